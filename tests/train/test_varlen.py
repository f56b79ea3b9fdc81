"""The layout for FlashAttention, against attention span by span; the call itself under fake tensors.

No test here runs on a GPU: what FlashAttention computes is stated by a plain reference of its documented rule.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from framework.train.attention import Region, Span, Spans, segment_attention
from framework.train.varlen import layout, varlen_attention

PLAIN = Spans([Span(0, 5), Span(5, 3), Span(8, 9)])
SHARED = Spans([Span(0, 6), Span(6, 4, (Region(0, 4),)), Span(10, 5, (Region(0, 4), Region(6, 2))), Span(15, 2)])


def by_rule(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    cu_seq_q: Tensor,
    cu_seq_k: Tensor,
    max_q: int,
    max_k: int,
    *,
    scale: float | None = None,
    window_size: tuple[int, int] = (-1, -1),
    enable_gqa: bool = False,
) -> Tensor:
    """Each segment with a mask matrix whose diagonal ends at the last query and the last key."""
    assert enable_gqa == (query.shape[1] != key.shape[1]) and window_size[1] == 0
    rows: list[Tensor] = []
    for one in range(len(cu_seq_q) - 1):
        queries = query[cu_seq_q[one] : cu_seq_q[one + 1]].transpose(0, 1)
        own = slice(int(cu_seq_k[one]), int(cu_seq_k[one + 1]))
        repeat = query.shape[1] // key.shape[1]
        keys, values = (part[own].transpose(0, 1).repeat_interleave(repeat, dim=0) for part in (key, value))
        count, total = queries.shape[1], keys.shape[1]
        assert count <= max_q and total <= max_k
        distance = (torch.arange(count)[:, None] + total - count) - torch.arange(total)[None]
        seen = distance >= 0
        if window_size[0] >= 0:
            seen &= distance <= window_size[0]
        scores = (queries @ keys.transpose(1, 2)) * (query.shape[-1] ** -0.5 if scale is None else scale)
        rows.append((scores.masked_fill(~seen, -torch.inf).softmax(-1) @ values).transpose(0, 1))
    return torch.cat(rows)


def tensors(tokens: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    made = torch.Generator().manual_seed(seed)
    sizes = (6, 2, 2)
    query, key, value = (
        torch.randn(1, heads, tokens, 8, generator=made, dtype=torch.float64).requires_grad_() for heads in sizes
    )
    return query, key, value


@pytest.mark.parametrize("spans", [PLAIN, SHARED], ids=["plain", "shared"])
@pytest.mark.parametrize("scaling", [None, 0.7])
def test_the_layout_says_what_the_spans_say(
    spans: Spans, scaling: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.nn.attention.varlen.varlen_attn", by_rule)
    results: list[tuple[Tensor, ...]] = []
    for attention in (segment_attention, varlen_attention):
        inputs = tensors(17)
        output, _ = attention(nn.Module(), *inputs, None, scaling=scaling, spans=spans)
        output.square().sum().backward()
        results.append((output, *(one.grad for one in inputs if one.grad is not None)))
    for expected, found in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)
    assert layout(spans, torch.device("cpu")) is layout(spans, torch.device("cpu"))


def test_a_window_is_the_models(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.nn.attention.varlen.varlen_attn", by_rule)
    module: Any = nn.Module()
    module.sliding_window = 3
    query, key, value = tensors(9)
    found, _ = varlen_attention(module, query, key, value, None, spans=Spans([Span(0, 9)]))
    places = torch.arange(9)
    seen = (places[:, None] >= places) & (places[:, None] - places < 3)
    keys, values = (part.repeat_interleave(3, dim=1) for part in (key, value))
    expected = nn.functional.scaled_dot_product_attention(query, keys, values, attn_mask=seen)
    torch.testing.assert_close(found, expected.transpose(1, 2), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("spans", [PLAIN, SHARED], ids=["plain", "shared"])
def test_the_library_takes_the_call(spans: Spans) -> None:
    with FakeTensorMode(allow_non_fake_inputs=True):
        query = torch.empty(1, 6, 17, 64, dtype=torch.bfloat16, requires_grad=True)
        key, value = (torch.empty(1, 2, 17, 64, dtype=torch.bfloat16, requires_grad=True) for _ in range(2))
        output, _ = varlen_attention(nn.Module(), query, key, value, None, spans=Spans(spans))
        assert output.shape == (1, 17, 6, 64) and output.dtype == torch.bfloat16
        output.sum().backward()
        assert query.grad is not None and query.grad.shape == query.shape
