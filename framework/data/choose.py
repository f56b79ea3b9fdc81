"""The rows that a stage is trained on, in packs: the mix drawn, packed, and cut to the steps that there are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from framework.data.draw import Drawn, draw, level
from framework.data.mix import Mix
from framework.data.pack import NARROW, WINDOW, Kinds, pack

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]

_TRIES = 6


@dataclass(frozen=True, slots=True)
class Bounds:
    """How long a stage is, and how large its packs are."""

    epochs: float
    capacity: int
    """Tokens of a pack."""
    max_packs: int | None
    seed: int


@dataclass(frozen=True, slots=True)
class Chosen:
    """Units in draw order, by source (in the order of ``sizes``) and row, and packs of them."""

    source: Ints
    row: Ints
    packs: list[list[int]]
    shares: dict[str, float]
    """What each source was to get, in the mix's unit, after caps."""
    capped: list[str]


def choose(sizes: Mapping[str, Any], mix: Mix, bounds: Bounds) -> Chosen:
    """Draw and pack. ``sizes`` holds, for each source, the tokens of each row.

    When there may be so many packs and no more, the stage is planned to fill them, so that shares, caps and schedules
    are those of what is trained on. Each source differs from its share by at most a pack (in examples, by a row).
    """
    import numpy as np

    lengths = [np.asarray(size, dtype=np.int64) for size in sizes.values()]
    capacity, most = bounds.capacity, bounds.max_packs
    at_most = None if most is None else float(most * capacity)
    enough, too_much = 0.0, float("inf")
    best: tuple[tuple[int, int], Chosen] | None = None
    for _ in range(_TRIES):
        drawn = draw(sizes, mix, bounds.epochs, bounds.seed, at_most)
        tokens = _looked_up(lengths, drawn)
        amount = tokens if mix.unit == "tokens" else np.ones_like(tokens)
        kinds = Kinds(drawn.source, amount, len(lengths))
        packs = pack(tokens, capacity, NARROW if mix.schedule else WINDOW, bounds.seed, most, kinds)
        used = sum(len(group) for group in packs)
        over = int(tokens[used:].sum())
        found = _levelled(drawn, amount[:used], packs, list(sizes), capacity if mix.unit == "tokens" else 1)
        best = max(best or ((-1, 0), found), ((len(found.packs), -over), found), key=lambda one: one[0])
        if at_most is None or most is None or (over <= capacity and (len(packs) == most or not drawn.cut)):
            break
        # How full packs become is known now: a stage of half a pack more than goes in fills them just so.
        if over > capacity:
            too_much, guess = at_most, float(tokens[:used].sum()) + capacity / 2
        else:
            enough, guess = at_most, at_most + (most - len(packs)) * capacity
        at_most = guess if enough < guess < too_much else (enough + too_much) / 2
    assert best is not None  # the loop has run
    return best[1]


def _levelled(drawn: Drawn, amount: Ints, packs: list[list[int]], names: list[str], limit: int) -> Chosen:
    """Without the last rows of sources that the end of the packs left above their share."""
    import numpy as np

    source = drawn.source[: len(amount)]
    own = [np.flatnonzero(source == index) for index in range(len(names))]
    shares = [drawn.shares[name] for name in names]
    kept = level([amount[rows] for rows in own], [len(rows) for rows in own], shares, limit)
    keep = np.ones(len(amount), dtype=np.bool_)
    for rows, count in zip(own, kept, strict=True):
        keep[rows[count:]] = False
    if not keep.all():
        number = np.cumsum(keep) - 1
        cut = [[int(number[row]) for row in group if keep[row]] for group in packs]
        packs = [group for group in cut if group]
    return Chosen(source[keep], drawn.row[: len(amount)][keep], packs, drawn.shares, drawn.capped)


def _looked_up(lengths: list[Ints], drawn: Drawn) -> Ints:
    """The tokens of each drawn row."""
    import numpy as np

    found = np.empty(len(drawn.row), dtype=np.int64)
    for index, length in enumerate(lengths):
        own = drawn.source == index
        found[own] = length[drawn.row[own]]
    return found
