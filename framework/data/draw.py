"""Which rows of its sources a stage sees, how often, and in which order.

Shares are exact to one row and evenly interleaved. The order depends on the seed and the sources' names alone: not on
the order in which they are declared, nor on who asks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from framework.data.mix import Mix, replayed_from, shares
from framework.data.schedule import densities, placed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]

_HALVINGS = 60


@dataclass(frozen=True, slots=True)
class Drawn:
    """The rows of a stage in order. ``source`` counts the sources in the order of ``sizes``."""

    source: Ints
    row: Ints
    epochs: dict[str, float]
    """Passes over each source, in the mix's unit."""
    shares: dict[str, float]
    """What each source was to get of the rows drawn, in the mix's unit, after caps."""
    capped: list[str]
    """Sources whose cap cut their share."""
    cut: bool
    """Whether ``at_most`` made the stage shorter."""


def draw(sizes: Mapping[str, Any], mix: Mix, epochs: float, seed: int, at_most: float | None = None) -> Drawn:
    """Choose and order the rows of a stage.

    ``sizes`` holds, for each source, the tokens of each row (an integer array without zeros). Replayed sources are
    named ``replay:STAGE/NAME``. ``at_most`` bounds the stage in tokens: it becomes shorter, its shares and schedule
    stay.

    Each source differs from its share of what is drawn by at most the longest row (in examples, by one row). In every
    prefix, it differs from what it should have there by at most half of its longest row, and its share of half of the
    longest row of every source.
    """
    import numpy as np

    names = sorted(sizes)
    lengths = {name: np.asarray(sizes[name], dtype=np.int64) for name in names}
    units = {name: _units(lengths[name], mix.unit) for name in names}
    targets, capped, cut = _targets(units, lengths, mix, epochs, at_most)
    asked = sum(targets.values())
    drawn_shares = {name: target / asked if asked else 0.0 for name, target in targets.items()}
    chosen = {name: _rows(units[name], targets[name], name, seed) for name in names}
    amounts = [units[name][chosen[name]] for name in names]
    # A source that wants too little for even one of its rows counts as well.
    longest = max((int(units[name].max()) for name in names if len(units[name]) and drawn_shares[name]), default=0)
    counts = level(amounts, [len(amount) for amount in amounts], [drawn_shares[name] for name in names], longest)
    density = densities(mix.schedule, drawn_shares) if mix.schedule else {}
    place = {name: index for index, name in enumerate(sizes)}
    sources: list[Ints] = [np.zeros(0, dtype=np.int64)]
    rows: list[Ints] = [np.zeros(0, dtype=np.int64)]
    positions = [np.zeros(0)]
    passes: dict[str, float] = {}
    for name, amount, count in zip(names, amounts, counts, strict=True):
        weight = amount[:count]
        whole = int(units[name].sum())
        passes[name] = int(weight.sum()) / whole if whole else 0.0
        middle = (np.cumsum(weight) - weight / 2.0) / max(int(weight.sum()), 1)
        positions.append(placed(middle, density[name]) if name in density else middle)
        rows.append(chosen[name][:count])
        sources.append(np.full(count, place[name], dtype=np.int64))
    order = np.argsort(np.concatenate(positions), kind="stable")
    return Drawn(np.concatenate(sources)[order], np.concatenate(rows)[order], passes, drawn_shares, capped, cut)


def level(amounts: Sequence[Ints], counts: Sequence[int], shares: Sequence[float], limit: float) -> list[int]:
    """How many of its first rows each source keeps, so that none differs from its share by more than ``limit``.

    ``amounts`` are the sources' rows in order, of which each has ``counts`` at first. Last rows go, one at a time,
    from the source that is furthest above its share.
    """
    import numpy as np

    kept = list(counts)
    sums = np.array([float(amount[:count].sum()) for amount, count in zip(amounts, kept, strict=True)])
    wanted = np.array(shares)
    while len(sums):
        excess = sums - wanted * sums.sum()
        most = int(excess.argmax())
        if not kept[most] or excess[most] <= 0.0 or np.abs(excess).max() <= limit:
            break
        kept[most] -= 1
        sums[most] -= float(amounts[most][kept[most]])
    return kept


def _units(lengths: Ints, unit: str) -> Ints:
    import numpy as np

    return lengths if unit == "tokens" else np.ones_like(lengths)


def _targets(
    units: Mapping[str, Ints], lengths: Mapping[str, Ints], mix: Mix, epochs: float, at_most: float | None
) -> tuple[dict[str, float], list[str], bool]:
    """How much of each source to draw, in the mix's unit, which sources their cap cut, and whether ``at_most`` did."""
    sizes = {name: int(size.sum()) for name, size in units.items()}
    tokens = {name: int(size.sum()) for name, size in lengths.items()}
    wanted = shares(sizes, mix)
    limits = {name: mix.max_epochs.get(name, mix.default_max_epochs) * size for name, size in sizes.items()}

    def capped_at(total: float) -> dict[str, float]:
        return {name: min(wanted[name] * total, limits[name]) for name in sizes}

    def tokens_at(total: float) -> float:
        return sum(part * tokens[name] / sizes[name] for name, part in capped_at(total).items() if part)

    total = _total(sizes, tokens, {name: len(size) for name, size in units.items()}, wanted, mix, epochs)
    cut = at_most is not None and tokens_at(total) > at_most
    if cut:
        low, high = 0.0, total
        for _ in range(_HALVINGS):
            middle = (low + high) / 2.0
            low, high = (low, middle) if tokens_at(middle) > (at_most or 0.0) else (middle, high)
        total = low
    capped = [name for name in sizes if wanted[name] * total > limits[name] * (1.0 + 1e-9)]
    return capped_at(total), capped, cut


def _total(
    sizes: Mapping[str, int],
    tokens: Mapping[str, int],
    rows: Mapping[str, int],
    wanted: Mapping[str, float],
    mix: Mix,
    epochs: float,
) -> float:
    """Size of the stage before caps, in the mix's unit."""
    own = {name: size for name, size in sizes.items() if wanted[name] and not replayed_from(name)}
    part = sum(wanted[name] for name in own)
    given = mix.total
    if given is None or given.epochs is not None:
        passes = epochs if given is None or given.epochs is None else given.epochs
        return passes * sum(own.values()) / part if part else 0.0
    asked, counted = (given.tokens, "tokens") if given.tokens is not None else (given.examples, "examples")
    if counted == mix.unit:
        return float(asked or 0)
    # The total is in the other unit: convert by what an average unit of this mix amounts to there.
    other = tokens if counted == "tokens" else rows
    rate = sum(share * other[name] / sizes[name] for name, share in sorted(wanted.items()) if share)
    return (asked or 0) / rate if rate else 0.0


def _rows(size: Ints, target: float, name: str, seed: int) -> Ints:
    """Rows epoch by epoch, each a fresh permutation, until their sum is nearest to the target."""
    import numpy as np

    whole = int(size.sum())
    if not whole or target <= 0.0:
        return np.zeros(0, dtype=np.int64)
    orders = [_generator(name, seed, epoch).permutation(len(size)) for epoch in range(int(target / whole) + 1)]
    order = np.concatenate(orders)
    reached = np.concatenate([[0], np.cumsum(size[order])])
    after = min(int(np.searchsorted(reached, target)), len(order))
    nearest = after if reached[after] - target <= target - reached[after - 1] else after - 1
    return order[:nearest]


def _generator(name: str, seed: int, epoch: int) -> np.random.Generator:
    import numpy as np

    digest = hashlib.sha256(f"{seed}/{epoch}/{name}".encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "big")))
