"""Audio-guided attention (Tian et al.: Audio-Visual Event Localization in Unconstrained Videos, ECCV 2018, "AVE")."""

from __future__ import annotations

from torch import Tensor, nn


class GuidedPooling(nn.Module):
    """The sound of a segment chooses among the several visual vectors of it: their mean, weighted by a softmax.

    With k vectors v_i and the sound a, the weight of v_i before the softmax is
    ``w . tanh(W relu(U v_i) + (G relu(Q a))_i)``: the sound adds one number a vector, the same to all k hidden units.

    Args:
        width: of the vectors and of the sound.
        count: k.
    """

    def __init__(self, width: int, count: int) -> None:
        super().__init__()
        self.look, self.listen = nn.Linear(width, width), nn.Linear(width, width)
        self.seen, self.heard = nn.Linear(width, count, bias=False), nn.Linear(width, count, bias=False)
        self.score = nn.Linear(count, 1, bias=False)
        for part in (self.look, self.listen, self.seen, self.heard, self.score):
            nn.init.xavier_uniform_(part.weight)

    def forward(self, vectors: Tensor, sound: Tensor, audible: Tensor | None) -> Tensor:
        """Return ``[B, T, D]``.

        Args:
            vectors: ``[B, T, k, D]``.
            sound: ``[B, T, D]``.
            audible: ``[B, T]``, where there is sound; elsewhere the vectors weigh the same.
        """
        scores = self.score(
            (self.seen(self.look(vectors).relu()) + self.heard(self.listen(sound).relu())[..., None]).tanh()
        )
        if audible is not None:
            scores = scores.masked_fill(~audible[..., None, None], 0.0)
        pooled: Tensor = (scores.softmax(dim=-2) * vectors).sum(dim=-2)
        return pooled
