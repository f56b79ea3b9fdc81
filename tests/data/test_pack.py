"""Packing: every row once, no pack too full, windows keep the order, and real data fills the packs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from framework.data.load import load
from framework.data.pack import pack
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


def test_real_rows_fill_the_packs(shared: Path) -> None:
    rows = load("dolly", JsonLines(path=str(shared / "dolly15k" / "dolly15k.jsonl.gz"))).rows
    characters = [sum(len(turn.content) for turn in row.turns) for row in rows]  # type: ignore[attr-defined]
    lengths = np.minimum(np.array(characters) // 4 + 30, 1024)
    packs = pack(lengths, 1024)
    assert lengths.sum() / (len(packs) * 1024) >= 0.97
