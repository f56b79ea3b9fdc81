"""Known runs of words, looked for in all rows of a profile at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from framework.profile.columns import Profile
from framework.profile.words import growing_runs

_BLOCK = 1 << 16
"""Words that are looked at at once: what stays in a core's cache."""
_BITS = np.uint64(18)
"""Leading bits by which most runs are passed over before they are compared."""


def found_runs(
    profile: Profile, known: Mapping[int, NDArray[np.uint64]]
) -> Iterator[tuple[int, NDArray[np.int64], NDArray[np.uint64]]]:
    """Where known runs stand: length of run, rows [H] and runs [H], some rows at a time.

    Args:
        profile: the rows.
        known: by length, the sorted different runs of so many words.

    Yields:
        For each block of rows and each length with a hit; rows ascend, and within a row the places of the runs.
    """
    some = {length: numbers for length, numbers in known.items() if len(numbers)}
    tables = {length: _table(numbers) for length, numbers in some.items()}
    for first, words, starts in blocks(profile):
        for length, runs in enumerate(growing_runs(words, max(some, default=0)), start=1):
            if length in some:
                at = np.flatnonzero(tables[length][runs >> (np.uint64(64) - _BITS)])
                places = np.searchsorted(some[length], runs[at])
                at = at[some[length][np.minimum(places, len(some[length]) - 1)] == runs[at]]
                rows = np.searchsorted(starts, at, side="right") - 1
                inside = at + length <= starts[rows + 1]  # a run across two rows is none
                if inside.any():
                    yield length, rows[inside] + first, runs[at[inside]]


def blocks(profile: Profile) -> Iterator[tuple[int, NDArray[np.uint32], NDArray[np.int64]]]:
    """Whole rows, a bounded number of words or one row at a time: the first row, their words, where each starts."""
    starts = profile.word_starts
    first = 0
    while first < profile.rows:
        last = max(first + 1, int(np.searchsorted(starts, starts[first] + _BLOCK, side="right")) - 1)
        yield first, profile.word_numbers[starts[first] : starts[last]], starts[first : last + 1] - starts[first]
        first = last


def _table(numbers: NDArray[np.uint64]) -> NDArray[np.bool_]:
    found = np.zeros(1 << int(_BITS), dtype=np.bool_)
    found[numbers >> (np.uint64(64) - _BITS)] = True
    return found
