"""Attention by segments: packed rows that never see one another, with no mask matrix.

The micro-batch says which stretches of the packed sequence are
causal on their own and which continue a shared prefix; every stretch is one call of PyTorch's fused attention.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from framework.train.products import widens


class Region(NamedTuple):
    """``length`` consecutive tokens of a packed sequence."""

    start: int
    length: int

    @property
    def end(self) -> int:
        """The position after the last token."""
        return self.start + self.length


class Span(NamedTuple):
    """A stretch of a packed sequence: ``length`` tokens from ``start`` that attend causally to themselves and to the
    whole of their prefix, whose regions are in order."""

    start: int
    length: int
    prefix: tuple[Region, ...] = ()


class Spans(tuple[Span, ...]):
    """The spans of one packed sequence, in order; they cover all of its tokens."""

    kept: dict[Any, object]
    """What an implementation of attention derives from them, by device: once, and not in every layer."""

    def __new__(cls, spans: Iterable[Span]) -> Self:
        """Spans with nothing derived from them yet."""
        made = super().__new__(cls, spans)
        made.kept = {}
        return made


def joined(regions: Iterable[Region]) -> tuple[Region, ...]:
    """The same tokens as the fewest regions."""
    found: list[Region] = []
    for region in regions:
        if found and found[-1].end == region.start:
            found[-1] = Region(found[-1].start, found[-1].length + region.length)
        else:
            found.append(region)
    return tuple(found)


_SHORT = 192
"""On a CPU with a unit for bf16, PyTorch's fused kernel takes half the time in fp32 that it takes in bf16 up to about
this length; on one without, at any length."""


def _causal(query: Tensor, key: Tensor, value: Tensor, scaling: float | None, dropout: float) -> Tensor:
    grouped = query.shape[1] != key.shape[1]
    dtype = query.dtype
    short = query.device.type == "cpu" and dtype is torch.bfloat16 and query.shape[2] <= _SHORT
    if short or widens(query):
        query, key, value = query.float(), key.float(), value.float()
    return scaled_dot_product_attention(
        query, key, value, is_causal=True, scale=scaling, dropout_p=dropout, enable_gqa=grouped
    ).to(dtype)


class _Cut(NamedTuple):
    """A packed sequence in pieces: on the way back their gradients are joined in one pass, where slices would each be
    added to zeros of the whole length."""

    lengths: list[int]
    of_spans: list[list[int]]
    """The pieces of every span's prefix and of the span itself, in order."""


def _cut(spans: Spans) -> _Cut:
    """The pieces of a micro-batch, kept with it: every layer asks for the same."""
    kept = spans.kept.get(_Cut)
    if not isinstance(kept, _Cut):
        places = [[*span.prefix, Region(span.start, span.length)] for span in spans]
        edges = sorted({edge for regions in places for region in regions for edge in (region.start, region.end)})
        piece = {edge: index for index, edge in enumerate(edges)}
        of_spans = [
            [i for region in regions for i in range(piece[region.start], piece[region.end])] for regions in places
        ]
        kept = spans.kept[_Cut] = _Cut([end - start for start, end in pairwise(edges)], of_spans)
    return kept


def _gathered(pieces: Sequence[Tensor], wanted: Sequence[int]) -> Tensor:
    """Some pieces of [1, heads, T, D], one after the other; a view where they are one."""
    return pieces[wanted[0]] if len(wanted) == 1 else torch.cat([pieces[index] for index in wanted], dim=2)


def segment_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    spans: Spans | None = None,
    **others: Any,
) -> tuple[Tensor, None]:
    """Attention over one packed sequence.

    ``query`` is [1, heads, T, D], ``key`` and ``value`` are [1, key-value heads, T, D]; ``spans`` are stretches in
    order that cover all ``T`` tokens. What a mask would say is in the spans, so ``attention_mask`` is not read.
    Without spans (decoding), the rows are padded ones under a mask, as with transformers' ``sdpa``.

    Returns:
        The output, [1, T, heads, D], and no weights.

    Raises:
        ValueError: when a model asks for a sliding window that a span would exceed.
    """
    if spans is None:
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **others
        )
    window = getattr(module, "sliding_window", None)
    lengths, of_spans = _cut(spans)
    parts = [part.split(lengths, dim=2) for part in (query, key, value)]
    outputs: list[Tensor] = []
    for (_, length, prefix), wanted in zip(spans, of_spans, strict=True):
        before = sum(region.length for region in prefix)
        if window is not None and before + length > window:
            raise ValueError(f"a row of {before + length} tokens exceeds the model's window of {window}")
        # The prefix's queries are computed once more and dropped: cheaper than a mask matrix, and exact.
        queries, keys, values = (_gathered(pieces, wanted) for pieces in parts)
        outputs.append(_causal(queries, keys, values, scaling, dropout)[:, :, before:])
    return torch.cat(outputs, dim=2).transpose(1, 2), None
