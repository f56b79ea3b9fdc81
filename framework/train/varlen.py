"""Attention by segments on GPUs: one call of PyTorch's variable-length FlashAttention for all spans of a micro-batch.

FlashAttention aligns the causal mask of a segment that has more
keys than queries to its last key, so a continuation needs its prefix's keys and values alone, and no query twice
(Dao, "FlashAttention-2", arXiv:2307.08691, and its release notes of version 2.1).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from framework.train.attention import Region, Spans, segment_attention


class Layout(NamedTuple):
    """Spans as FlashAttention takes them."""

    queries: Tensor
    """int32 [N + 1]: where each span's queries begin, and the end of the last."""
    keys: Tensor
    """int32 [N + 1]: the same of its keys, which are its prefix's and its own."""
    most_queries: int
    most_keys: int
    places: Tensor | None
    """int64 [keys]: where in the sequence each key is; None where keys and queries are the same tokens."""


def layout(spans: Spans, device: torch.device) -> Layout:
    """The layout of a micro-batch, kept with it: every layer asks for the same."""
    kept = spans.kept.get(device)
    if not isinstance(kept, Layout):
        kept = spans.kept[device] = _layout(spans, device)
    return kept


def _layout(spans: Spans, device: torch.device) -> Layout:
    lengths = [span.length for span in spans]
    totals = [span.length + sum(region.length for region in span.prefix) for span in spans]
    places: Tensor | None = None
    if lengths != totals:
        regions = [region for span in spans for region in (*span.prefix, Region(span.start, span.length))]
        places = torch.cat([torch.arange(region.start, region.end) for region in regions]).to(device)
    return Layout(_starts(lengths, device), _starts(totals, device), max(lengths), max(totals), places)


def _starts(lengths: list[int], device: torch.device) -> Tensor:
    return torch.tensor([0, *lengths]).cumsum(dim=0).to(device, torch.int32)


def varlen_attention(
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
    """Attention over one packed sequence; shapes, result and the case without spans as in ``segment_attention``.

    A model's sliding window is kept. Dropout of attention weights is not what FlashAttention's kernels here offer:
    with it, spans are attended to one by one.
    """
    if spans is None or dropout:
        return segment_attention(module, query, key, value, attention_mask, scaling, dropout, spans, **others)
    from torch.nn.attention.varlen import varlen_attn

    told = layout(spans, query.device)
    queries, keys, values = (part[0].transpose(0, 1) for part in (query, key, value))
    if told.places is not None:
        keys, values = keys.index_select(0, told.places), values.index_select(0, told.places)
    window = getattr(module, "sliding_window", None)
    output: Any = varlen_attn(
        queries.contiguous(),
        keys.contiguous(),
        values.contiguous(),
        told.queries,
        told.keys,
        told.most_queries,
        told.most_keys,
        scale=scaling,
        window_size=(-1 if window is None else window - 1, 0),
        enable_gqa=queries.shape[1] != keys.shape[1],
    )
    return output[None], None
