"""Near duplicates, known runs and rows counted through, each against a plain computation of the same thing."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framework.checks._rows import Places
from framework.checks.consistency import _contested  # pyright: ignore[reportPrivateUsage]
from framework.data.arrays import Files
from framework.profile import minhash, search
from framework.profile.columns import Profile
from framework.profile.minhash import BAND, BANDS, first_alike, signature, signatures
from framework.profile.words import hashed, runs, word_numbers, words


def groups(rows: np.ndarray, similarity: float) -> list[int]:
    """The first row of each row's group, found by looking at all pairs that share a band."""
    first = list(range(len(rows)))
    for one in range(len(rows)):
        for two in range(one):
            same = rows[one] == rows[two]
            banded = same.reshape(BANDS, BAND).all(axis=1).any()
            if banded and same.mean() >= similarity and first[one] != first[two]:
                low, high = sorted((first[one], first[two]))
                first = [low if group == high else group for group in first]
    return first


@settings(max_examples=300, deadline=None)
@given(st.text() | st.text("aZ9 _-.'’é漢İ\n\x1c\xa0²", max_size=30))
def test_words_cut_as_bytes_are_those_cut_as_text(text: str) -> None:
    assert word_numbers(text).tolist() == hashed(words(text)).tolist()


@pytest.mark.parametrize("at_once", [4, 1 << 15])
@pytest.mark.parametrize("similarity", [0.6, 0.8, 0.95])
def test_groups_are_those_of_all_pairs(similarity: float, at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(minhash, "_AT_ONCE", at_once)
    rng = np.random.default_rng(5)
    for _ in range(5):
        rows = rng.integers(0, 2**32, (120, BANDS * BAND), dtype=np.uint32)
        for _ in range(100):
            one, two = rng.integers(0, 120, 2)
            rows[two] = rows[one]
            rows[two, rng.choice(BANDS * BAND, rng.integers(0, 25), replace=False)] ^= np.uint32(1)
        found = first_alike([rows[:50], rows[50:50], rows[50:]], similarity)
        assert found.tolist() == groups(rows, similarity)


def test_large_buckets_are_chained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(minhash, "_MOST_IN_A_BUCKET", 3)
    rows = np.repeat(np.arange(3, dtype=np.uint32), 40)[:, None] + np.zeros((1, BANDS * BAND), dtype=np.uint32)
    assert first_alike([rows], 0.8).tolist() == [0] * 40 + [40] * 40 + [80] * 40
    assert first_alike([rows[:0]], 0.8).tolist() == []


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.integers(0, 40), max_size=12), min_size=1, max_size=12))
def test_signatures_of_many_are_those_of_each(rows: list[list[int]]) -> None:
    words = [np.array(row, dtype=np.uint32) for row in rows]
    found = signatures(np.concatenate(words), np.array([len(row) for row in rows]))
    assert (found == np.stack([signature(row) for row in words])).all()
    for row, signed in zip(words, found, strict=True):
        assert (signed == 2**32 - 1).all() == (not len(row))


def stored(folder: Path, rows: list[list[int]]) -> Profile:
    """A profile that holds words alone."""
    (folder / "names.json").write_text("{}")
    with Files(folder) as files:
        files.array("kind", np.uint8).append(np.zeros(len(rows)))
        files.raw("words.bin").write(np.array([word for row in rows for word in row], dtype=np.uint32).tobytes())
        files.array("word_starts", np.int64).append(np.cumsum([0, *(len(row) for row in rows)]))
    return Profile(folder)


@pytest.mark.parametrize("block", [1, 10, 1 << 16])
def test_known_runs_are_found_where_they_stand(tmp_path: Path, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "_BLOCK", block)
    rng = np.random.default_rng(3)
    rows = [rng.integers(0, 6, rng.integers(0, 12)).tolist() for _ in range(200)]
    profile = stored(tmp_path, rows)
    known = {
        length: np.unique(np.concatenate([runs(np.array(rows[row], dtype=np.uint32), length) for row in range(9)]))
        for length in (2, 3, 5)
    }
    expected = {
        (length, place, number)
        for length, numbers in known.items()
        for place, row in enumerate(rows)
        for number in runs(np.array(row, dtype=np.uint32), length).tolist()
        if number in numbers
    }
    found = {
        (length, row, number)
        for length, places, numbers in search.found_runs(profile, known)
        for row, number in zip(places.tolist(), numbers.tolist(), strict=True)
    }
    assert found == expected and expected
    assert list(search.found_runs(profile, {})) == []


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2)), min_size=1, max_size=30))
def test_contested_prompts_are_those_with_two_replies(rows: list[tuple[int, int]]) -> None:
    prompts, replies = np.array(rows, dtype=np.uint64).T
    expected = [len({reply for prompt, reply in rows if prompt == own}) > 1 for own, _ in rows]
    assert _contested(prompts, replies).tolist() == expected


def test_rows_counted_through_several_sources() -> None:
    profiles = cast(
        "dict[str, Any]", {n: SimpleNamespace(rows=count) for n, count in zip("abcd", (2, 0, 3, 0), strict=True)}
    )
    places = Places(profiles)
    assert [places[row] for row in range(len(places))] == [("a", 0), ("a", 1), ("c", 0), ("c", 1), ("c", 2)]
    assert places.sources(np.arange(5)).tolist() == [0, 0, 2, 2, 2]
    assert places.first(np.array([False, True, True, True, True])) == [("a", 1), ("c", 0), ("c", 1)]
    assert len(Places({})) == 0
