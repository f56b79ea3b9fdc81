"""The mix of a stage: how much of each source, how often, and in which order.

Shares are exact to one row and evenly interleaved. The order depends on the seed and the sources' names alone.
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from framework.errors import Problem
from framework.registry import Section

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]
    Floats = NDArray[np.float64]

REPLAY = "replay:"
"""What the names of replayed sources start with: ``replay:STAGE/NAME``."""
_GRID = 4097
"""Points at which a schedule's cumulative weight is tabulated."""

Weight = Annotated[float, Field(ge=0.0)]


class Total(Section):
    """How much a stage sees in all, its own sources and replay together: exactly one of the three."""

    epochs: PositiveFloat | None = None
    tokens: PositiveInt | None = None
    examples: PositiveInt | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(value is not None for value in (self.epochs, self.tokens, self.examples)) != 1:
            raise ValueError("give exactly one of epochs, tokens and examples")
        return self


class Mix(Section):
    """Shares of a stage's sources."""

    weights: dict[str, Weight] = Field(default_factory=dict)
    """Relative share of each source; when empty, shares follow the sources' sizes and ``temperature``."""
    unit: Literal["tokens", "examples"] = "tokens"
    """What weights, sizes and shares are counted in."""
    temperature: PositiveFloat = 1.0
    """Shares grow with size to the power 1/T; 1 is proportional, large values tend to equal shares."""
    total: Total | None = None
    """Default: the stage's epochs over its own sources, replay on top."""
    max_epochs: dict[str, PositiveFloat] = Field(default_factory=dict)
    """Cap on how often one source is repeated."""
    default_max_epochs: PositiveFloat = 4.0
    """Beyond four passes repeated data is worth clearly less than new data (Muennighoff et al. 2023)."""
    replay: dict[Literal["instruct", "domain"], Annotated[float, Field(ge=0.0, lt=1.0)]] = Field(default_factory=dict)
    """Share of the stage that comes from an earlier stage's sources."""
    schedule: dict[str, list[Weight]] = Field(default_factory=dict)
    """Relative weight of a source over the stage, linear between evenly spaced points."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """The rows of a stage in order. ``source`` counts the sources in the order of ``sizes``."""

    source: Ints
    row: Ints
    epochs: dict[str, float]
    """Passes over each source, in the mix's unit."""
    capped: list[str]
    """Sources whose cap cut their share."""


def problems(mix: Mix, names: Iterable[str], path: str) -> list[Problem]:
    """What is wrong with a mix over sources with these names. ``path`` is the mix's dotted path."""
    declared = sorted(names)
    found: list[Problem] = []
    for field in ("weights", "max_epochs", "schedule"):
        for name in getattr(mix, field):
            if name not in declared:
                near = difflib.get_close_matches(name, declared, n=1)
                fix = f"did you mean {near[0]!r}?" if near else f"declared are {', '.join(declared) or 'none'}"
                found.append(Problem(f"{path}.{field}.{name}", f"{name!r} is not a declared source", fix))
    if mix.weights:
        for name in declared:
            if name not in mix.weights:
                fix = f"set {path}.weights.{name} (0 leaves the source out), or give no weights at all"
                found.append(Problem(f"{path}.weights", f"the source {name!r} has no weight", fix))
        if not any(mix.weights.values()):
            found.append(Problem(f"{path}.weights", "all weights are 0", "give one source a positive weight"))
    for name, points in mix.schedule.items():
        if len(points) < 2 or not any(points):
            fix = "give two or more numbers, one of them positive, such as [1.0, 0.2]"
            found.append(Problem(f"{path}.schedule.{name}", "a schedule needs two points and some weight", fix))
    if sum(mix.replay.values()) >= 1.0:
        found.append(Problem(f"{path}.replay", "replay leaves nothing for the stage's own sources", "lower its shares"))
    return found


def draw(sizes: Mapping[str, Any], mix: Mix, epochs: float, seed: int) -> Drawn:
    """Choose and order the rows of a stage.

    ``sizes`` holds, for each source, the tokens of each row (an integer array without zeros). Replayed sources are
    named ``replay:STAGE/NAME``.
    """
    import numpy as np

    units = {
        name: np.asarray(size, dtype=np.int64) if mix.unit == "tokens" else np.ones(len(size), dtype=np.int64)
        for name, size in sizes.items()
    }
    targets, capped = _targets(units, sizes, mix, epochs)
    sources: list[Ints] = []
    rows: list[Ints] = []
    positions: list[Floats] = []
    passes: dict[str, float] = {}
    for index, (name, size) in enumerate(units.items()):
        chosen = _rows(size, targets[name], name, seed)
        weight = size[chosen]
        drawn = int(weight.sum())
        passes[name] = drawn / int(size.sum()) if len(size) else 0.0
        middle = (np.cumsum(weight) - weight / 2.0) / max(drawn, 1)
        positions.append(_scheduled(middle, mix.schedule.get(name)))
        rows.append(chosen)
        sources.append(np.full(len(chosen), index, dtype=np.int64))
    empty = np.zeros(0, dtype=np.int64)
    order = np.argsort(np.concatenate([np.zeros(0), *positions]), kind="stable")
    return Drawn(np.concatenate([empty, *sources])[order], np.concatenate([empty, *rows])[order], passes, capped)


def shares(sizes: Mapping[str, int], mix: Mix) -> dict[str, float]:
    """The share of each source that the mix asks for, from sizes in its unit; shares sum to 1."""
    groups: dict[str, dict[str, int]] = {}
    for name, size in sizes.items():
        if size:
            groups.setdefault(_stage(name), {})[name] = size
    replayed = {stage: share for stage, share in mix.replay.items() if stage in groups and share}
    parts: dict[str, float] = {"": 1.0 - sum(replayed.values()), **replayed}
    found = dict.fromkeys(sizes, 0.0)
    for stage, part in parts.items():
        group = groups.get(stage, {})
        weights = {name: float(size) ** (1.0 / mix.temperature) for name, size in group.items()}
        if mix.weights and not stage:
            weights = {name: mix.weights.get(name, 0.0) for name in group}
        whole = sum(weights.values())
        for name, weight in weights.items():
            found[name] = part * weight / whole if whole else 0.0
    return found


def _stage(name: str) -> str:
    """The stage that a source is replayed from; empty for the stage's own."""
    return name.removeprefix(REPLAY).split("/", 1)[0] if name.startswith(REPLAY) else ""


def _targets(
    units: Mapping[str, Ints], tokens: Mapping[str, Any], mix: Mix, epochs: float
) -> tuple[dict[str, float], list[str]]:
    """How much of each source to draw, in the mix's unit, and which sources their cap cut."""
    sizes = {name: int(size.sum()) for name, size in units.items()}
    wanted = shares(sizes, mix)
    total = _total(sizes, units, tokens, wanted, mix, epochs)
    targets: dict[str, float] = {}
    capped: list[str] = []
    for name, share in wanted.items():
        limit = mix.max_epochs.get(name, mix.default_max_epochs) * sizes[name]
        targets[name] = min(share * total, limit)
        if share * total > limit * (1.0 + 1e-9):
            capped.append(name)
    return targets, capped


def _total(
    sizes: Mapping[str, int],
    units: Mapping[str, Ints],
    tokens: Mapping[str, Any],
    wanted: Mapping[str, float],
    mix: Mix,
    epochs: float,
) -> float:
    own = {name: size for name, size in sizes.items() if not _stage(name)}
    part = sum(wanted[name] for name in own)
    given = mix.total
    if given is None or given.epochs is not None:
        passes = epochs if given is None or given.epochs is None else given.epochs
        return passes * sum(own.values()) / part if part else 0.0
    asked, counted = (given.tokens, "tokens") if given.tokens is not None else (given.examples, "examples")
    if counted == mix.unit:
        return float(asked or 0)
    # The total is in the other unit: convert by what an average unit of this mix amounts to there.
    rate = 0.0
    for name, share in wanted.items():
        if share:
            other = float(sum(tokens[name])) if counted == "tokens" else float(len(units[name]))
            rate += share * other / sizes[name]
    return (asked or 0) / rate if rate else 0.0


def _rows(size: Ints, target: float, name: str, seed: int) -> Ints:
    """Rows epoch by epoch, each a fresh permutation, until their sum is nearest to the target."""
    import numpy as np

    whole = int(size.sum())
    if not whole or target <= 0.0:
        return np.zeros(0, dtype=np.int64)
    count = int(target / whole) + 1
    orders = [_generator(name, seed, epoch).permutation(len(size)) for epoch in range(count + 1)]
    order = np.concatenate(orders).astype(np.int64)
    reached = np.concatenate([[0], np.cumsum(size[order])])
    after = int(np.searchsorted(reached, target))
    nearest = after if reached[after] - target <= target - reached[after - 1] else after - 1
    return order[:nearest]


def _generator(name: str, seed: int, epoch: int) -> np.random.Generator:
    import numpy as np

    digest = hashlib.sha256(f"{seed}/{epoch}/{name}".encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "big")))


def _scheduled(position: Floats, points: list[float] | None) -> Floats:
    """Positions bent so that a source's density over the stage follows its schedule."""
    import numpy as np

    if not points:
        return position
    at = np.linspace(0.0, 1.0, _GRID)
    density = np.interp(at, np.linspace(0.0, 1.0, len(points)), points)
    mass = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2.0)])
    rising = np.concatenate([[True], np.diff(mass) > 0.0])  # an interval of zero weight takes no rows
    rising[:-1] |= rising[1:]
    return np.interp(position, mass[rising] / mass[-1], at[rising])
