"""Packing: rows into packs of fixed capacity, best fit within windows of the draw order."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]
    Numbers = NDArray[np.floating[Any] | np.integer[Any]]

WINDOW = 64
"""Packs' worth of tokens among which rows may change places; small beside a stage, so that the mix stays even."""
NARROW = 8
"""The same where weights change over the stage."""
STRAY = 4.0
"""Packs by which a source may run ahead of the draw order, or fall behind it, before packs are put in another order."""


@dataclass(frozen=True, slots=True)
class Kinds:
    """What is to stay even: the source of each row, from 0, and what it amounts to in the unit of the mix."""

    source: Ints
    amount: Ints
    count: int
    """Number of sources."""


def pack(
    lengths: Ints | Sequence[int],
    capacity: int,
    window: int = WINDOW,
    seed: int = 0,
    limit: int | None = None,
    kinds: Kinds | None = None,
) -> list[list[int]]:
    """Group row indices into packs of at most ``capacity`` tokens.

    Within a window the longest rows are placed first, each where it leaves the least room. The least full pack of a
    window stays open for the next one. The packs of a window come out shuffled, their rows in draw order; where that
    would let one of ``kinds`` stray, the next pack is one that does not.

    With a ``limit``, the packs are at most so many, and hold as long a beginning of the rows as was found to fit.
    Raises ``ValueError`` for a row longer than the capacity.
    """
    import numpy as np

    array = np.asarray(lengths, dtype=np.int64)
    sizes: list[int] = array.tolist()
    if sizes and max(sizes) > capacity:
        raise ValueError(f"a row of {max(sizes)} tokens does not fit into a pack of {capacity}")
    generator = np.random.Generator(np.random.PCG64([seed, capacity, window]))
    packs: list[list[int]] = []
    opened: list[int] = []
    windows = _windows(sizes, window * capacity)
    for number, rows in enumerate(windows, start=1):
        found = _best_fit(rows, opened, sizes, capacity)
        full = limit is not None and len(packs) + len(found) > limit
        if limit is not None and full:
            found = _beginning(rows, opened, sizes, capacity, limit - len(packs))
        elif number < len(windows):
            fresh = range(1 if opened else 0, len(found))  # a pack stays open once, so that no row is left behind
            rest = min(fresh, key=lambda at: sum(sizes[row] for row in found[at]), default=None)
            opened = [] if rest is None else found.pop(rest)
        found = [sorted(found[at]) for at in generator.permutation(len(found)).tolist()]
        packs += _evened(found, opened, array, kinds) if kinds is not None and kinds.count > 1 else found
        if full:
            break
    return packs


def _windows(sizes: list[int], tokens: int) -> list[range]:
    """Consecutive rows of just so many tokens each, and what is left."""
    windows: list[range] = []
    begin, held = 0, 0
    for row, size in enumerate(sizes):
        held += size
        if held >= tokens:
            windows.append(range(begin, row + 1))
            begin, held = row + 1, 0
    return [*windows, range(begin, len(sizes))]


def _best_fit(rows: Sequence[int], opened: list[int], sizes: list[int], capacity: int) -> list[list[int]]:
    """Best-fit decreasing, from one opened pack (or none) that stays the first."""
    packs: list[list[int]] = [list(opened)] if opened else []
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


def _beginning(rows: Sequence[int], opened: list[int], sizes: list[int], capacity: int, limit: int) -> list[list[int]]:
    """The packs of a beginning of the rows that needs at most so many, found by halving."""
    found: list[list[int]] = [list(opened)] if opened else []
    fits, over = 0, len(rows)
    while over - fits > 1:
        middle = (fits + over) // 2
        tried = _best_fit(rows[:middle], opened, sizes, capacity)
        if len(tried) <= limit:
            fits, found = middle, tried
        else:
            over = middle
    return found


def _evened(packs: list[list[int]], opened: list[int], sizes: Ints, kinds: Kinds) -> list[list[int]]:
    """A window's packs in an order in which no source strays far from the draw order.

    The order stays as it is up to where a source would stray; then comes the first pack that keeps all near or, failing
    that, the one that strays least. ``opened`` are rows of the window that stay for the next one.
    """
    import numpy as np

    if len(packs) < 2:
        return packs
    flat = np.fromiter(chain.from_iterable(packs), dtype=np.int64)
    group = np.repeat(np.arange(len(packs)), [len(pack) for pack in packs])
    cells = np.bincount(group * kinds.count + kinds.source[flat], kinds.amount[flat], len(packs) * kinds.count)
    held = cells.reshape(len(packs), kinds.count)
    tokens = np.bincount(group, sizes[flat])
    rows = np.sort(np.concatenate([flat, np.array(opened, dtype=np.int64)]))
    ahead = np.zeros((len(rows) + 1, kinds.count))
    ahead[np.arange(1, len(rows) + 1), kinds.source[rows]] = kinds.amount[rows]
    ahead = np.cumsum(ahead, axis=0)
    passed = np.concatenate([[0.0], np.cumsum(sizes[rows])])
    bound = STRAY * float(held.sum(axis=1).max())

    def strays(reached: Numbers, spent: Numbers) -> Numbers:
        """How far the worst source is from where the draw order has it after so many tokens."""
        at = np.minimum(np.searchsorted(passed, spent, side="right") - 1, len(rows) - 1)
        part = (spent - passed[at]) / (passed[at + 1] - passed[at])
        return np.abs(reached - ahead[at] - part[:, None] * (ahead[at + 1] - ahead[at])).max(axis=1)

    if strays(np.cumsum(held, axis=0), np.cumsum(tokens)).max() <= bound:
        return packs
    left = np.arange(len(packs))
    reached, spent = np.zeros(kinds.count), 0.0
    order: list[int] = []
    while len(left):
        far = strays(reached + held[left], spent + tokens[left])
        near = np.flatnonzero(far <= bound)
        at = int(near[0]) if len(near) else int(far.argmin())
        order.append(int(left[at]))
        reached, spent = reached + held[left[at]], spent + float(tokens[left[at]])
        left = np.delete(left, at)
    return [packs[at] for at in order]
