"""Near duplicates by MinHash and locality-sensitive hashing (Broder 1997; Leskovec, Rajaraman and Ullman, chapter 3).

A row is the set of its runs of five words. Two signatures agree in a position with a probability equal to the sets'
Jaccard similarity; rows that agree in a whole band become candidates, and candidates whose signatures agree in the
asked share of positions count as near duplicates. With 16 bands of 4, two rows of similarity 0.8 become candidates
with a probability of 0.9998, two of 0.3 with one of 0.12.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from framework.profile.words import growing_runs

BANDS, BAND = 16, 4
PERMUTATIONS = BANDS * BAND
SHINGLE = 5
"""Words in a run; shorter rows are one run."""

_random = np.random.default_rng(20261123)
_A = _random.integers(1, 2**63, PERMUTATIONS, dtype=np.uint64) | np.uint64(1)
_B = _random.integers(0, 2**63, PERMUTATIONS, dtype=np.uint64)
_ODD = np.uint64(0x9E3779B97F4A7C15)
_AT_ONCE = 1 << 15
"""Pairs that are compared at once: 16 MB of signatures."""
_MOST_IN_A_BUCKET = 200
"""Larger buckets hold copies of one another: each is compared with the bucket's first row alone."""


def signature(words: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """The signature of a row's words, uint32 [P]."""
    return signatures(words, np.array([len(words)]))[0]


def signatures(words: NDArray[np.uint32], counts: NDArray[np.int64]) -> NDArray[np.uint32]:
    """The signatures of several rows.

    Args:
        words: [W], the words of all rows, one row after the other.
        counts: [N], the words of each row.

    Returns:
        uint32 [N, P]; of a row without words all ones.
    """
    found = np.full((len(counts), PERMUTATIONS), 2**32 - 1, dtype=np.uint32)
    starts = np.cumsum(counts) - counts
    for length, numbers in enumerate(growing_runs(words, SHINGLE), start=1):
        if length < SHINGLE:
            rows = np.flatnonzero(counts == length)
            own, begins = numbers[starts[rows]], np.arange(len(rows))
        else:
            rows = np.flatnonzero(counts >= SHINGLE)
            left = np.repeat(starts + counts, counts)[: len(numbers)] - np.arange(len(numbers))
            own = numbers[left >= SHINGLE]  # a run across two rows is none
            begins = np.cumsum(counts[rows] - SHINGLE + 1) - (counts[rows] - SHINGLE + 1)
        if len(rows):
            found[rows] = _smallest(own, begins)
    return found


def _smallest(numbers: NDArray[np.uint64], begins: NDArray[np.int64]) -> NDArray[np.uint32]:
    """The least value of every permutation over each stretch of runs; uint32 [stretches, P]."""
    least = np.empty((PERMUTATIONS, len(begins)), dtype=np.uint64)
    mixed = np.empty_like(numbers)
    for place in range(PERMUTATIONS):
        # The multiplication wraps; the upper half of the product is well mixed.
        np.multiply(numbers, _A[place], out=mixed)
        np.add(mixed, _B[place], out=mixed)
        np.minimum.reduceat(mixed, begins, out=least[place])
    return (least >> np.uint64(32)).astype(np.uint32).T


def first_alike(signatures: Sequence[NDArray[np.uint32]], similarity: float) -> NDArray[np.int64]:
    """For each row the first of those that are alike, itself when it is alone.

    Two rows are alike when their estimated similarity is at least ``similarity``, or when a third one is alike to both.

    Args:
        signatures: uint32 [N, P] of each source; rows are counted through all sources.
        similarity: Jaccard similarity.

    Returns:
        int64 [all N].
    """
    joined = _Joined(signatures)
    first = np.arange(joined.rows, dtype=np.int64)
    for band in range(BANDS):
        for pairs in _candidates(joined.keys(band)):
            apart = pairs[first[pairs[:, 0]] != first[pairs[:, 1]]]
            agree = (joined.take(apart[:, 0]) == joined.take(apart[:, 1])).mean(axis=1)
            first = _united(first, apart[agree >= similarity])
    return first


class _Joined:
    """The signatures of several sources as if they were one."""

    def __init__(self, parts: Sequence[NDArray[np.uint32]]) -> None:
        self._parts = parts
        self._ends = np.cumsum([len(part) for part in parts])
        self.rows = int(self._ends[-1]) if len(parts) else 0

    def keys(self, band: int) -> NDArray[np.uint64]:
        """A number for each row, equal where the band is; [N]."""
        bands = [np.ascontiguousarray(part[:, band * BAND : (band + 1) * BAND]) for part in self._parts]
        found = np.zeros(self.rows, dtype=np.uint64)
        for column in np.concatenate(bands).T:
            found = (found ^ column.astype(np.uint64)) * _ODD
            found ^= found >> np.uint64(32)
        return found

    def take(self, rows: NDArray[np.int64]) -> NDArray[np.uint32]:
        """The signatures of these rows."""
        found = np.empty((len(rows), PERMUTATIONS), dtype=np.uint32)
        begin = 0
        for part, end in zip(self._parts, self._ends.tolist(), strict=True):
            own = (rows >= begin) & (rows < end)
            found[own] = part[rows[own] - begin]
            begin = end
        return found


def _candidates(keys: NDArray[np.uint64]) -> Iterator[NDArray[np.int64]]:
    """Pairs of rows with the same key, a bounded number at a time; int64 [M, 2].

    All pairs of a bucket's first rows are given; of a larger bucket, each row with the one before it and the first.
    """
    order = np.argsort(keys, kind="stable")
    same = keys[order[1:]] == keys[order[:-1]]
    starts = np.flatnonzero(np.concatenate([[True], ~same]))
    sizes = np.diff(np.concatenate([starts, [len(order)]]))
    looked = np.minimum(sizes, _MOST_IN_A_BUCKET)
    for size in np.unique(looked[looked > 1]).tolist():
        inner = np.stack(np.triu_indices(size, 1), axis=1)
        buckets = starts[looked == size]
        step = max(1, _AT_ONCE // len(inner))
        for begin in range(0, len(buckets), step):
            yield order[buckets[begin : begin + step, None, None] + inner].reshape(-1, 2)
    for start, size in zip(starts[sizes > looked].tolist(), sizes[sizes > looked].tolist(), strict=True):
        for begin in range(start + 1, start + size, _AT_ONCE):
            rows = np.arange(begin, min(begin + _AT_ONCE, start + size))
            for other in (rows - 1, np.full(len(rows), start)):
                yield order[np.stack([other, rows], axis=1)]


def _united(first: NDArray[np.int64], pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    """``first`` once the groups of each pair are one, by hooking every group to the least and following the hooks."""
    while len(pairs):
        ends = np.sort(first[pairs], axis=1)
        pairs = pairs[ends[:, 0] != ends[:, 1]]
        ends = ends[ends[:, 0] != ends[:, 1]]
        np.minimum.at(first, ends[:, 1], ends[:, 0])
        while (first[first] != first).any():
            first = first[first]
    return first
