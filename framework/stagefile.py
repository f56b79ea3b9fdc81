"""The frozen orders that the driver gives to worker processes. Paths are absolute."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from framework.adapters.base import Adapter
from framework.devices import Dtype
from framework.objectives.base import Objective
from framework.registry import Plugin, Section
from framework.schema import Engine, Kind, Model, Stage
from framework.suites.base import Suite

COLLECTIVE_SECONDS = 7 * 24 * 3600.0
"""Bound on a collective operation. Longer than any wait: the driver watches for hanging workers and names them, which a
collective that gives up on its own would hide."""


class Ancestor(Section):
    """An earlier stage whose result is part of a model."""

    path: str
    """Its ``model/`` folder."""
    adapter: Annotated[Adapter, Plugin("adapters")]


def follow(lineage: list[Ancestor], kind: Kind, adapter: Adapter, model: Path) -> list[Ancestor]:
    """The policy's lineage after a stage of any kind: a reward model is beside it, not part of it."""
    return lineage if kind == "reward" else extended(lineage, adapter, model)


def extended(lineage: list[Ancestor], adapter: Adapter, model: Path) -> list[Ancestor]:
    """The lineage after one more stage. An adapter that went on replaces the one that it started from."""
    own = Ancestor(path=str(model), adapter=adapter)
    return [*(lineage[:-1] if goes_on(lineage, adapter) else lineage), own]


def goes_on(lineage: list[Ancestor], adapter: Adapter) -> bool:
    """Whether a stage trains on its predecessor's adapter instead of merging it."""
    return bool(lineage) and adapter.between == "continue" and not adapter.trains_all


class EvaluationFile(Section):
    """Measure one model."""

    task: Literal["evaluate"] = "evaluate"
    model: Model
    model_dir: str
    lineage: list[Ancestor]
    """Stages in order whose results make the model."""
    reward_model: str = ""
    """Measure the reward model in this folder instead."""
    suites: dict[str, Annotated[Suite, Plugin("suites")]]
    folder: str
    """Where heartbeats and ``result.json`` go."""
    collective_seconds: float = COLLECTIVE_SECONDS


class StageFile(Section):
    """Train one stage, and measure it."""

    task: Literal["train"] = "train"
    label: str
    """``1-instruct``: position and kind."""
    kind: Kind
    key: str
    seed: int
    model: Model
    model_dir: str
    lineage: list[Ancestor]
    """Earlier stages in order; merged before this one starts, unless its adapter goes on."""
    stage: Stage
    micro_tokens: int
    checkpointing: bool
    adapter: Annotated[Adapter, Plugin("adapters")]
    objective: Annotated[Objective, Plugin("objectives")]
    engine: Engine
    packs: str
    sources: list[str]
    reference: str | None
    """What identifies the starting policy, under which its log-probabilities are cached; None where none is needed."""
    suites: dict[str, Annotated[Suite, Plugin("suites")]]
    evaluate_before: bool
    """Measure the model that the stage starts from as well: the run's first stage does, unless that is known."""
    folder: str
    """The stage's folder in the run directory."""
    events: str
    collective_seconds: float = COLLECTIVE_SECONDS


class ExportFile(Section):
    """Make the model of a lineage, to write it or to talk to it."""

    dtype: Dtype
    model_dir: str
    lineage: list[Ancestor]
    to: str
    """The directory to write; empty where nothing is written."""
