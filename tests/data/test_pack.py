"""Packing: every row once, no pack too full, windows keep the order, and real data fills the packs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framework.data.mix import Mix
from framework.data.pack import NARROW, STRAY, Kinds, pack
from framework.data.prepare import Request, prepare
from framework.sources.jsonl import JsonLines


@given(st.lists(st.integers(1, 64), max_size=300), st.integers(64, 100), st.integers(1, 8), st.integers(0, 3))
def test_every_row_is_packed_once(lengths: list[int], capacity: int, window: int, seed: int) -> None:
    packs = pack(np.array(lengths, dtype=np.int64), capacity, window, seed)
    assert sorted(row for group in packs for row in group) == list(range(len(lengths)))
    assert all(0 < sum(lengths[row] for row in group) <= capacity for group in packs)
    assert all(group == sorted(group) for group in packs)
    assert packs == pack(lengths, capacity, window, seed)


def test_rows_stay_near_their_place() -> None:
    lengths = np.random.default_rng(0).integers(1, 512, 5000)
    places = np.empty(len(lengths))
    at = 0
    for group in pack(lengths, 1024, window=16):
        for row in group:
            places[row] = at
            at += 1
    assert np.abs(places - np.arange(len(lengths))).max() < 3 * 16 * 1024 / lengths.mean()


def test_packs_are_not_sorted_by_length() -> None:
    lengths = np.random.default_rng(0).integers(1, 512, 5000)
    longest = [max(lengths[row] for row in group) for group in pack(lengths, 1024)]
    assert abs(np.corrcoef(longest, np.arange(len(longest)))[0, 1]) < 0.1


def test_a_row_that_does_not_fit_is_an_error() -> None:
    with pytest.raises(ValueError, match="9 tokens"):
        pack([3, 9], 8)
    assert pack([], 8) == []


def test_a_limit_takes_a_beginning_of_the_rows() -> None:
    lengths = np.random.default_rng(0).integers(1, 512, 3000)
    whole = pack(lengths, 1024)
    for limit in (1, 7, 64, 65, 200, len(whole) - 1):
        packs = pack(lengths, 1024, limit=limit)
        rows = sorted(row for group in packs for row in group)
        assert len(packs) == limit and rows == list(range(len(rows)))
        assert lengths[rows].sum() >= 0.9 * limit * 1024
    assert pack(lengths, 1024, limit=len(whole)) == whole


def test_sources_that_would_stray_are_held_back() -> None:
    """Full packs of two sources in turn: any run of one source in the shuffled order is an imbalance."""
    kinds = Kinds(np.arange(6400) % 2, np.full(6400, 64), 2)
    lengths = np.full(6400, 64)
    off: list[float] = []
    for packs in (pack(lengths, 64, 640), pack(lengths, 64, 640, kinds=kinds)):
        ones = np.cumsum([row % 2 for group in packs for row in group])
        off.append(float(np.abs(ones - np.arange(1, len(ones) + 1) / 2).max()))
    assert off[0] > STRAY + 1 >= off[1]


@given(st.integers(0, 99), st.floats(0.5, 1.3))
@settings(max_examples=10, deadline=None)
def test_rows_like_those_of_instruct_data_fill_the_packs(seed: int, spread: float) -> None:
    """Log-normal lengths of 90 to 240 tokens on average, cut at the capacity."""
    lengths = np.random.default_rng(seed).lognormal(4.5, spread, 10_000).clip(8, 1024).astype(np.int64)
    packs = pack(lengths, 1024)
    assert lengths.sum() / (len(packs) * 1024) >= 0.97
    assert lengths.sum() / (len(pack(lengths, 1024, NARROW)) * 1024) >= 0.97


def test_dolly_fills_the_packs(shared: Path, smollm2: Path) -> None:
    source = JsonLines(path=str(shared / "dolly15k" / "dolly15k.jsonl.gz"))
    request = Request(
        name="instruct",
        path="data.instruct",
        rows="sft",
        sources={"dolly": source},
        replay={},
        mix=Mix(),
        max_length=1024,
        long="truncate",
        epochs=1.0,
        max_steps=None,
        batch_tokens=8192,
        seed=0,
        model_dir=smollm2,
    )
    prepared = prepare(request)
    use = prepared.sources["dolly"]
    assert use.rows == 15015 == use.rows_used + sum(one.count for one in use.dropped.values())
    assert prepared.packing_efficiency >= 0.97
