"""The mix of a stage as it is configured: weights, caps, replay and schedule, and the shares that they ask for."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from framework.errors import Problem
from framework.registry import Section

REPLAY = "replay:"
"""What the names of replayed sources start with: ``replay:STAGE/NAME``."""

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
    """Relative weight of a source over the stage, linear between evenly spaced points; the others stay constant. It
    moves a source about and leaves its share of the whole stage as it is."""


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


def shares(sizes: Mapping[str, int], mix: Mix) -> dict[str, float]:
    """The share of each source that the mix asks for, from sizes in its unit; shares sum to 1.

    Weights count among the stage's own sources, and among those replayed from one earlier stage.
    """
    groups: dict[str, dict[str, int]] = {}
    for name, size in sorted(sizes.items()):  # sums must not depend on the order of declaration
        if size:
            groups.setdefault(replayed_from(name), {})[name] = size
    replayed = {stage: share for stage, share in sorted(mix.replay.items()) if stage in groups and share}
    parts: dict[str, float] = {"": 1.0 - sum(replayed.values()), **replayed}
    found = dict.fromkeys(sizes, 0.0)
    for stage, part in parts.items():
        group = groups.get(stage, {})
        weights = {name: float(size) ** (1.0 / mix.temperature) for name, size in group.items()}
        if any(name in mix.weights for name in group):
            weights = {name: mix.weights.get(name, 0.0) for name in group}
        whole = sum(weights.values())
        for name, weight in weights.items():
            found[name] = part * weight / whole if whole else 0.0
    return found


def replayed_from(name: str) -> str:
    """The stage that a source is replayed from; empty for a stage's own."""
    return name.removeprefix(REPLAY).split("/", 1)[0] if name.startswith(REPLAY) else ""
