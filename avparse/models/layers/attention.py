"""Attention layers: over the segments of one video, and from any queries to them."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from avparse.foundation.errors import UserError
from avparse.models.layers.dropout import drop


class SegmentAttention(nn.Module):
    """Multi-head attention whose queries, keys and values come from one projection, the same for both modalities.

    Args:
        width: feature size D.
        heads: number of heads; must divide ``width``.
        dropout: probability of dropping an attention weight in training.
    """

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = _divides(heads, width)
        self.dropout = dropout
        self.project_in = nn.Linear(width, 3 * width)
        self.project_out = nn.Linear(width, width)
        nn.init.xavier_uniform_(self.project_in.weight)
        nn.init.zeros_(self.project_in.bias)
        nn.init.zeros_(self.project_out.bias)

    def forward(self, x: Tensor, key_mask: Tensor | None, across: bool) -> Tensor:
        """Let segments attend to segments of their own or of the other modality.

        Args:
            x: segments ``[2, B, T, D]``, audio then visual.
            key_mask: boolean ``[2, B, T]``, True where a segment may be attended to; None if all may be.
            across: whether each modality attends to the other one instead of itself.

        Returns:
            Attended segments ``[2, B, T, D]``. Where nothing may be attended to, they are the bias of the last
            projection.
        """
        query, key, value = self.project_in(x).flatten(0, 1).chunk(3, dim=-1)  # each [2B, T, D]
        if across:
            key, value = _other(key), _other(value)
            key_mask = None if key_mask is None else key_mask.flip(0)
        allowed = None if key_mask is None else key_mask.flatten(0, 1).unsqueeze(1)  # [2B, 1, T]
        mixed = attend(query, key, value, self.heads, allowed, self.dropout if self.training else 0.0)
        attended: Tensor = self.project_out(mixed.view(x.shape))
        return attended

    def between(self, x: Tensor, source: Tensor, key_mask: Tensor | None) -> Tensor:
        """Attend from ``x`` ``[B, T, D]`` to ``source``, of the same shape, where ``key_mask`` ``[B, T]`` allows it."""
        width = x.shape[-1]
        weight, bias = self.project_in.weight, self.project_in.bias
        query = functional.linear(x, weight[:width], bias[:width])
        key, value = functional.linear(source, weight[width:], bias[width:]).chunk(2, dim=-1)
        allowed = None if key_mask is None else key_mask.unsqueeze(1)
        mixed = attend(query, key, value, self.heads, allowed, self.dropout if self.training else 0.0)
        attended: Tensor = self.project_out(mixed)
        return attended


class AttentionBlock(nn.Module):
    """Queries attend to segments, then a feed-forward map follows; both are residual.

    It is the block of MM-Pyramid (Yu et al., ACM MM 2022) and LEAP. Only the queries are normalised, and only in the
    branches::

        u   = q + drop(MHA(norm(q), segments, segments))
        out = u + drop(W2 drop(relu(W1 norm(u))))

    Args:
        width: feature size D.
        heads: number of attention heads; must divide ``width``.
        feedforward: width between the last two maps.
        attention_dropout: dropout probability of attention weights.
        dropout: dropout probability of each branch's result, and between the last two maps.
    """

    def __init__(self, width: int, heads: int, feedforward: int, attention_dropout: float, dropout: float) -> None:
        super().__init__()
        self.heads = _divides(heads, width)
        self.attention_dropout, self.dropout = attention_dropout, dropout
        self.query_norm = nn.LayerNorm(width)
        self.project_query = nn.Linear(width, width)
        self.project_segments = nn.Linear(width, 2 * width)  # keys, values
        self.project_out = nn.Linear(width, width)
        self.feedforward_norm = nn.LayerNorm(width)
        self.expand = nn.Linear(width, feedforward)
        self.contract = nn.Linear(feedforward, width)

    def forward(self, queries: Tensor, segments: Tensor, allowed: Tensor | None = None) -> Tensor:
        """Return the updated queries ``[N, Q, D]``; the arguments are those of :meth:`read`."""
        return self.feed(self.read(queries, segments, allowed)[0])

    def read(self, queries: Tensor, segments: Tensor, allowed: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Apply the attention half of the block.

        Args:
            queries: query vectors ``[N, Q, D]``, or ``[1, Q, D]`` where they are the same for all videos.
            segments: segments ``[N, K, D]`` that are attended to.
            allowed: boolean ``[N, Q, K]``, any size of which may be one; True where a query may attend. A query that
                may attend to nothing gets only the bias of the last projection.

        Returns:
            u ``[N, Q, D]`` and the projected keys ``[N, K, D]``.
        """
        key, value = self.project_segments(segments).chunk(2, dim=-1)
        query = self.project_query(self.query_norm(queries))
        mixed = attend(query, key, value, self.heads, allowed, self.attention_dropout if self.training else 0.0)
        return queries + self._drop(self.project_out(mixed)), key

    def feed(self, u: Tensor) -> Tensor:
        """Apply the feed-forward half of the block."""
        inner = self._drop(functional.relu(self.expand(self.feedforward_norm(u))))
        return u + self._drop(self.contract(inner))

    def logits(self, u: Tensor, key: Tensor) -> Tensor:
        """Return the attention logits ``[N, Q, K]`` of queries ``u`` without normalisation, mean over heads.

        The mean over heads of h dot products of D/h values, each divided by the root of D/h, equals one dot product of
        all D values.
        """
        query: Tensor = self.project_query(u)
        scale: float = (self.heads * u.shape[-1]) ** -0.5
        return query @ key.transpose(1, 2) * scale

    def logit_biases(self) -> tuple[Tensor, Tensor]:
        """Return the biases ``[D]`` of queries and of keys; the product of both is part of every logit."""
        query, both = self.project_query.bias, self.project_segments.bias
        return query.data, both.data[: len(query)]

    def _drop(self, x: Tensor) -> Tensor:
        return drop(x, self.dropout, self.training)


def attend(query: Tensor, key: Tensor, value: Tensor, heads: int, allowed: Tensor | None, dropout: float) -> Tensor:
    """Return ``[N, Q, D]``, scaled dot-product attention of ``query`` ``[N, Q, D]`` to ``key, value`` ``[N, K, D]``.

    Args:
        query: queries ``[N, Q, D]``; N may be 1 where the queries are the same for all videos.
        key: vectors ``[N, K, D]`` that queries are compared with.
        value: vectors ``[N, K, D]`` that are averaged.
        heads: number of heads into which the D values are split.
        allowed: boolean, broadcast to ``[N, Q, K]``; None if all is allowed. Where nothing is allowed the result is
            zero.
        dropout: probability of dropping an attention weight in this call.
    """

    def split(y: Tensor) -> Tensor:
        return y.view(*y.shape[:2], heads, -1).transpose(1, 2)  # [N, heads, T, D/heads]

    logits = split(query) @ split(key).transpose(-1, -2) * (query.shape[-1] // heads) ** -0.5
    weights = masked_softmax(logits, None if allowed is None else allowed.unsqueeze(1), dim=-1)
    mixed = drop(weights, dropout).to(value.dtype) @ split(value)
    return mixed.transpose(1, 2).flatten(2)


def masked_softmax(x: Tensor, real: Tensor | None, dim: int) -> Tensor:
    """Softmax over the entries marked ``real`` (None: all); zero everywhere where no entry is marked."""
    if real is None:
        return x.softmax(dim=dim)
    return x.masked_fill(~real, torch.finfo(x.dtype).min).softmax(dim=dim) * real


def stack_masks(audio_mask: Tensor | None, visual_mask: Tensor | None, x: Tensor) -> Tensor | None:
    """Return ``[2, B, T]`` for stacked ``x`` ``[2, B, T, D]``, or None where neither modality is masked."""
    if audio_mask is None and visual_mask is None:
        return None
    everything = torch.ones(x.shape[1:3], dtype=torch.bool, device=x.device)
    return torch.stack(
        (everything if audio_mask is None else audio_mask, everything if visual_mask is None else visual_mask)
    )


def _other(x: Tensor) -> Tensor:
    """Swap the halves of ``[2B, ...]``: audio and visual."""
    return x.roll(len(x) // 2, 0)


def _divides(heads: int, width: int) -> int:
    if width % heads:
        raise UserError(f"attention: {heads} heads do not divide a width of {width}; choose another number of heads")
    return heads
