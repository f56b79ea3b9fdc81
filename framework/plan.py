"""The plan: what a run will do, counted exactly and judged, before anything is trained. Free of torch."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from framework.checks.base import Finding
from framework.compose import Composed
from framework.contradictions import problems_of
from framework.data.encode import TRAINABLE
from framework.data.mix import REPLAY
from framework.data.parallel import kept
from framework.data.prepare import Prepared, Request, prepare
from framework.errors import ConfigError, Problem
from framework.estimate import Estimate, Shape, estimate, micro_tokens
from framework.findings import judge
from framework.keys import evaluation_key, plan_key, stage_inputs, stage_key
from framework.models import ModelFiles, resolve
from framework.objectives.base import Objective
from framework.schema import Config, Kind, Stage
from framework.store import Store

if TYPE_CHECKING:
    from pathlib import Path

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class StagePlan:
    """One stage of a plan: everything that its workers will be told, and what it will cost."""

    index: int
    """Position in the order, from 1."""
    kind: Kind
    key: str
    inputs: dict[str, Any]
    """What the key is the hash of."""
    parent: str
    """Key of the last stage before it that changed the policy, or the fingerprint of the model."""
    reused: bool
    """Whether the store has it already."""
    settings: Stage
    objective: Objective
    adapter: str
    prepared: Prepared
    estimate: Estimate
    micro_tokens: int
    checkpointing: bool
    prepare_seconds: float
    """What reading, tokenising and packing its data took just now; next to nothing where it was cached."""

    @property
    def label(self) -> str:
        """``1-instruct``: the name of its folder."""
        return f"{self.index}-{self.kind}"

    def public(self) -> dict[str, Any]:
        """The stage as plan.json shows it."""
        prepared = self.prepared
        return {
            "name": self.label,
            "kind": self.kind,
            "key": self.key,
            "inputs": self.inputs,
            "parent": self.parent,
            "reused": self.reused,
            "objective": self.objective.kind,
            "adapter": self.adapter,
            "strength": self.settings.strength,
            "sources": {
                name: {
                    "rows": use.rows,
                    "rows_used": use.rows_used,
                    "tokens": use.tokens,
                    "supervised_tokens": use.supervised_tokens,
                    "epochs": use.epochs,
                    "planned": use.planned,
                    "weight": use.weight,
                    "fingerprint": use.fingerprint,
                    "dropped": {reason: dropped.count for reason, dropped in use.dropped.items()},
                    "truncated": use.truncated,
                    "format": use.format,
                    "records": use.records,
                    "available_tokens": use.available_tokens,
                    "budget_spent": use.budget_spent,
                    "conversion": asdict(use.conversion) if use.conversion else None,
                    "margins": use.margins if self.objective.margins != "none" else None,
                }
                for name, use in prepared.sources.items()
            },
            "steps": prepared.steps,
            "tokens": prepared.tokens,
            "supervised_tokens": prepared.supervised_tokens,
            "packing_efficiency": prepared.packing_efficiency,
            "estimate": {
                "memory_bytes": self.estimate.memory_bytes,
                "flops": self.estimate.flops,
                "seconds": self.estimate.seconds,
            },
        }


@dataclass(frozen=True, slots=True)
class Plan:
    """The frozen result of composing, preparing and checking."""

    composed: Composed
    model: ModelFiles
    key: str
    evaluation_keys: dict[Kind, str]
    """By kind of stage in the order: the key of the suites that measure what it makes."""
    stages: list[StagePlan]
    findings: list[Finding] = field(default_factory=list)

    @property
    def config(self) -> Config:
        """The typed configuration."""
        return self.composed.config

    @property
    def errors(self) -> list[Finding]:
        """The findings that keep the plan from being executed."""
        return [finding for finding in self.findings if finding.level == "error"]

    def public(self) -> dict[str, Any]:
        """The content of plan.json."""
        chosen = self.config.model
        return {
            "plan_key": self.key,
            "seed": self.config.seed,
            "model": {"name": chosen.name or chosen.path, "fingerprint": self.model.fingerprint, "dtype": chosen.dtype},
            "stages": [stage.public() for stage in self.stages],
            "findings": [finding.public() for finding in self.findings],
        }


@kept()
def make_plan(composed: Composed, progress: Progress) -> Plan:
    """Prepare every stage's data, count, estimate and judge. Raises ``ConfigError`` with all problems at once."""
    config = composed.config
    problems = problems_of(composed)
    if problems:
        raise ConfigError(problems)
    model = resolve(config.model)
    prepared = _prepare_all(composed, model, progress)
    stages = list(_stage_plans(config, model, prepared))
    suites = evaluation_key(config.eval.suites)
    by_kind: dict[Kind, Prepared] = {kind: data for kind, (data, _) in prepared.items()}
    memory: dict[Kind, int] = {stage.kind: stage.estimate.memory_bytes for stage in stages}
    findings = judge(config, model, by_kind, config.stage.order, suites, progress, memory)
    explained = {finding.stage for finding in findings if finding.level == "error"}
    empty = [stage for stage in stages if not stage.prepared.steps and stage.kind not in explained]
    if empty:
        raise ConfigError([_nothing_to_train_on(stage) for stage in empty])
    measured: dict[Kind, str] = {kind: evaluation_key(config.suites_of(kind)) for kind in config.stage.order}
    whole = plan_key([stage.key for stage in stages], "+".join(dict.fromkeys(measured.values())))
    return Plan(composed, model, whole, measured, stages, findings)


def _prepare_all(composed: Composed, model: ModelFiles, progress: Progress) -> dict[Kind, tuple[Prepared, float]]:
    """Each stage's data in the order of the stages, with the seconds that it took.

    Raises ``ConfigError`` with the problems of all stages.
    """
    problems: list[Problem] = []
    prepared: dict[Kind, tuple[Prepared, float]] = {}
    for kind in composed.config.stage.order:
        began = time.perf_counter()
        try:
            data = prepare(_request(composed, kind, model.directory), progress)
        except ConfigError as error:
            problems += error.problems
            continue
        prepared[kind] = data, time.perf_counter() - began
        problems += _without_margins(composed.config, kind, data)
    if problems:
        raise ConfigError(problems)
    return prepared


def _stage_plans(
    config: Config, model: ModelFiles, prepared: Mapping[Kind, tuple[Prepared, float]]
) -> Iterator[StagePlan]:
    """The stages in order, each with its key and what it starts from."""
    store = Store()
    shape = Shape.of(model.config)
    parent = model.fingerprint
    for index, (kind, (data, seconds)) in enumerate(prepared.items(), start=1):
        settings = _settings(config, kind)
        objective = config.objective(kind)
        micro = settings.batch.micro_tokens or micro_tokens(settings, data.capacity)
        cost, checkpointing = estimate(config, shape, settings, data, micro)
        inputs = stage_inputs(config, kind, settings, objective, data.fingerprint, parent, micro)
        key = stage_key(inputs)
        yield StagePlan(
            index=index,
            kind=kind,
            key=key,
            inputs=inputs,
            parent=parent,
            reused=store.has(key),
            settings=settings,
            objective=objective,
            adapter=config.adapter.kind,
            prepared=data,
            estimate=cost,
            micro_tokens=micro,
            checkpointing=checkpointing,
            prepare_seconds=seconds,
        )
        if kind != "reward":  # a reward model is beside the policy: what follows starts from the policy before it
            parent = key


def _nothing_to_train_on(stage: StagePlan) -> Problem:
    reasons: dict[str, int] = {}
    for use in stage.prepared.sources.values():
        for reason, dropped in use.dropped.items():
            reasons[reason] = reasons.get(reason, 0) + dropped.count
    said = "; ".join(f"{count:,} x {reason}" for reason, count in reasons.items())
    fix = f"the stage trains on rows of kind {' or '.join(sorted(TRAINABLE[stage.objective.rows]))}"
    return Problem(f"data.{stage.kind}.sources", f"no row can be trained on: {said}", fix)


def _without_margins(config: Config, kind: Kind, prepared: Prepared) -> list[Problem]:
    """An objective that needs margins would be another one without them."""
    objective = config.objective(kind)
    if objective.margins != "required" or not prepared.steps or any(use.margins for use in prepared.sources.values()):
        return []
    message = f"{objective.kind} needs margins, and no pair of data.{kind} has one"
    fix = f"give rows a column margin (data.{kind}.sources.NAME.map.COLUMN=margin), or choose align=dpo"
    return [Problem(f"data.{kind}.sources", message, fix)]


def _settings(config: Config, kind: Kind) -> Stage:
    settings = config.stage.settings(kind)
    assert settings is not None  # _problems has asked
    return settings


def _request(composed: Composed, kind: Kind, model_dir: Path) -> Request:
    config = composed.config
    settings = _settings(config, kind)
    data = config.data.of(kind)
    replayed = config.replayed(kind)
    # What is replayed comes in the shares in which it was taught.
    taught = {
        f"{REPLAY}{other}/{name}": weight
        for other in replayed
        for name, weight in config.data.of(other).mix.weights.items()
    }
    return Request(
        name=kind,
        path=f"data.{kind}",
        rows=config.objective(kind).rows,
        sources=dict(data.sources),
        replay={other: (dict(config.data.of(other).sources), share) for other, share in replayed.items()},
        mix=data.mix.model_copy(update={"weights": {**data.mix.weights, **taught}}),
        max_length=settings.max_length,
        long=settings.long,
        epochs=settings.epochs,
        max_steps=settings.max_steps,
        batch_tokens=settings.batch.tokens,
        seed=config.seed,
        model_dir=model_dir,
        margins=config.objective(kind).margins != "none",
    )
