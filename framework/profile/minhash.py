"""Near duplicates by MinHash and locality-sensitive hashing (Broder 1997; Leskovec, Rajaraman and Ullman, chapter 3).

A row is the set of its runs of five words. Two signatures agree in a position with a probability equal to the sets'
Jaccard similarity; rows that agree in a whole band become candidates, and candidates whose signatures agree in the
asked share of positions count as near duplicates. With 16 bands of 4, two rows of similarity 0.8 become candidates
with a probability of 0.9998, two of 0.3 with one of 0.12.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from framework.profile.words import runs

BANDS, BAND = 16, 4
PERMUTATIONS = BANDS * BAND
SHINGLE = 5
"""Words in a run; shorter rows are one run."""

_random = np.random.default_rng(20261123)
_A = _random.integers(1, 2**63, PERMUTATIONS, dtype=np.uint64) | np.uint64(1)
_B = _random.integers(0, 2**63, PERMUTATIONS, dtype=np.uint64)
_MOST_IN_A_BUCKET = 200
"""Larger buckets hold copies of one another: each is compared with the bucket's first row alone."""


def signature(words: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """The signature of a row's words, uint32 [P]."""
    found = runs(words, min(SHINGLE, max(1, len(words))))
    if not len(found):
        return np.full(PERMUTATIONS, 2**32 - 1, dtype=np.uint32)
    # The multiplication wraps; the upper half of the product is well mixed.
    mixed = (found[:, None] * _A[None, :] + _B[None, :]) >> np.uint64(32)
    return mixed.min(axis=0).astype(np.uint32)


def near_pairs(signatures: NDArray[np.uint32], similarity: float) -> NDArray[np.int64]:
    """Pairs of rows whose estimated similarity is at least ``similarity``; int64 [M, 2], first before second.

    Every row of a cluster is paired with some earlier one of it; not all pairs of a cluster are given.
    """
    candidates: list[NDArray[np.int64]] = []
    for band in range(BANDS):
        part = np.ascontiguousarray(signatures[:, band * BAND : (band + 1) * BAND])
        keys = part.view(np.dtype((np.void, part.dtype.itemsize * BAND))).ravel()
        order = np.argsort(keys, kind="stable")
        same = keys[order[1:]] == keys[order[:-1]]
        candidates.append(np.stack([order[:-1][same], order[1:][same]], axis=1))
        starts = np.flatnonzero(np.concatenate([[True], ~same]))
        sizes = np.diff(np.concatenate([starts, [len(order)]]))
        for start, size in zip(starts[sizes > 2].tolist(), sizes[sizes > 2].tolist(), strict=True):
            members = order[start : start + min(size, _MOST_IN_A_BUCKET)]
            first = np.full(size - 1, order[start])
            candidates.append(np.stack([first, order[start + 1 : start + size]], axis=1))
            inner = np.triu_indices(len(members), 2)
            candidates.append(np.stack([members[inner[0]], members[inner[1]]], axis=1))
    pairs = np.unique(np.sort(np.concatenate(candidates), axis=1), axis=0)
    agree = np.empty(len(pairs))
    for start in range(0, len(pairs), 1 << 16):
        part = pairs[start : start + (1 << 16)]
        agree[start : start + len(part)] = (signatures[part[:, 0]] == signatures[part[:, 1]]).mean(axis=1)
    return pairs[agree >= similarity].astype(np.int64)


def clusters(pairs: NDArray[np.int64], rows: int) -> NDArray[np.int64]:
    """For each row the first row of its cluster (itself when it is alone); int64 [rows]."""
    parent = list(range(rows))

    def root(row: int) -> int:
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    for first, second in pairs.tolist():
        one, two = root(first), root(second)
        parent[max(one, two)] = min(one, two)
    return np.array([root(row) for row in range(rows)], dtype=np.int64)
