"""Packing: rows into packs of fixed capacity, best fit within windows of the draw order."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

WINDOW = 64
"""Packs' worth of tokens among which rows may change places; small beside a stage, so that the mix stays even."""


def pack(
    lengths: NDArray[np.int64] | Sequence[int], capacity: int, window: int = WINDOW, seed: int = 0
) -> list[list[int]]:
    """Group row indices into packs of at most ``capacity`` tokens.

    Within a window the longest rows are placed first, each where it leaves the least room. The least full pack of a
    window stays open for the next one. The packs of a window come out shuffled, their rows in draw order.
    Raises ``ValueError`` for a row longer than the capacity.
    """
    import numpy as np

    sizes = [int(length) for length in lengths]
    if sizes and max(sizes) > capacity:
        raise ValueError(f"a row of {max(sizes)} tokens does not fit into a pack of {capacity}")
    generator = np.random.Generator(np.random.PCG64([seed, capacity, window]))
    packs: list[list[int]] = []
    held: list[int] = []
    opened: list[int] = []
    tokens = 0
    for row, size in enumerate(sizes):
        held.append(row)
        tokens += size
        if tokens >= window * capacity:
            found = _best_fit(held, opened, sizes, capacity)
            fresh = range(1 if opened else 0, len(found))  # a pack stays open once, so that no row is left behind
            rest = min(fresh, key=lambda at: sum(sizes[row] for row in found[at]), default=None)
            opened = [] if rest is None else found.pop(rest)
            held, tokens = [], 0
            packs += [sorted(found[at]) for at in generator.permutation(len(found))]
    found = _best_fit(held, opened, sizes, capacity)
    return packs + [sorted(found[at]) for at in generator.permutation(len(found))]


def _best_fit(rows: list[int], opened: list[int], sizes: list[int], capacity: int) -> list[list[int]]:
    """Best-fit decreasing, from one opened pack (or none) that stays the first."""
    packs: list[list[int]] = [opened] if opened else []
    rooms: list[tuple[int, int]] = [(capacity - sum(sizes[row] for row in opened), 0)] if opened else []
    """(room left, pack), sorted."""
    for row in sorted(rows, key=lambda row: (-sizes[row], row)):
        at = bisect_left(rooms, (sizes[row], -1))
        room, index = rooms.pop(at) if at < len(rooms) else (capacity, len(packs))
        if index == len(packs):
            packs.append([])
        packs[index].append(row)
        insort(rooms, (room - sizes[row], index))
    return packs
