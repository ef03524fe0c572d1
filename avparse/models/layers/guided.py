"""Audio-guided attention (Tian et al.: Audio-Visual Event Localization in Unconstrained Videos, ECCV 2018, "AVE")."""

from __future__ import annotations

from torch import Tensor, nn


class GuidedPooling(nn.Module):
    """The audio of a segment weighs the segment's several visual vectors: their mean, weighted by a softmax.

    With k vectors v_i and the audio a, the weight of v_i before the softmax is ``w . tanh(W relu(U v_i) + (G relu(Q
    a))_i)``: the audio adds one value per vector, the same to all k hidden units.

    Args:
        width: feature size D of the vectors and of the audio.
        count: number k of visual vectors per segment.
    """

    def __init__(self, width: int, count: int) -> None:
        super().__init__()
        self.look, self.listen = nn.Linear(width, width), nn.Linear(width, width)
        self.seen, self.heard = nn.Linear(width, count, bias=False), nn.Linear(width, count, bias=False)
        self.score = nn.Linear(count, 1, bias=False)
        for part in (self.look, self.listen, self.seen, self.heard, self.score):
            nn.init.xavier_uniform_(part.weight)

    def forward(self, vectors: Tensor, sound: Tensor, audible: Tensor | None) -> Tensor:
        """Return the weighted mean ``[B, T, D]`` of the visual vectors.

        Args:
            vectors: visual vectors ``[B, T, k, D]``.
            sound: audio segments ``[B, T, D]``.
            audible: segments ``[B, T]`` that have audio; elsewhere all vectors weigh the same.
        """
        scores = self.score(
            (self.seen(self.look(vectors).relu()) + self.heard(self.listen(sound).relu())[..., None]).tanh()
        )
        if audible is not None:
            scores = scores.masked_fill(~audible[..., None, None], 0.0)
        pooled: Tensor = (scores.softmax(dim=-2) * vectors).sum(dim=-2)
        return pooled
