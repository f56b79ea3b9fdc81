"""What no single section of the configuration can know: settings that contradict or do nothing, missing data."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.util import find_spec
from shutil import which
from typing import Any, get_args

from framework.compose import Composed, suggest
from framework.data.contract import Contract
from framework.data.mix import problems as mix_problems
from framework.devices import visible_gpus
from framework.errors import ConfigError, Problem
from framework.findings import codes
from framework.models import model_problems
from framework.objectives.base import Objective
from framework.schema import Kind


def problems_of(composed: Composed) -> list[Problem]:
    """Everything of that sort, found without reading data or models."""
    config = composed.config
    found: list[Problem] = []
    for kind in dict.fromkeys(config.stage.order):
        found += _of_stage(composed, kind)
    for name, suite in config.eval.suites.items():
        found += _collect(suite.load, f"eval.suites.{name}")
    for place, gate in enumerate(config.eval.gates):
        if gate.suite not in config.eval.suites:
            where = f"eval.gates.{place}.suite"
            fix = suggest(gate.suite, config.eval.suites, "it") or "remove the gate, or choose an eval that has suites"
            found.append(Problem(where, f"there is no suite {gate.suite!r}", fix, composed.origin(where)))
    for code in config.checks.allow:
        if code not in codes():
            fix = suggest(code, codes(), "a code")
            found.append(Problem("checks.allow", f"there is no check {code!r}", fix, composed.origin("checks.allow")))
    found += _objectives(composed)
    found += model_problems(config.model)
    found += _implementations(composed)
    found += _collect(config.launch.ready, "launch")
    found += _unused(composed)
    found += _unasked(composed)
    return found


def _of_stage(composed: Composed, kind: Kind) -> Iterator[Problem]:
    config = composed.config
    settings = config.stage.settings(kind)
    if settings is None:
        message = f"stage.order names {kind}, which has no settings"
        fix = f"choose a stage order that has it, such as stage={kind}"
        yield Problem(f"stage.{kind}", message, fix, composed.origin("stage.order"))
        return
    if settings.batch.tokens > settings.max_length and settings.batch.tokens % settings.max_length:
        path = f"stage.{kind}.batch.tokens"
        message = f"{settings.batch.tokens} is not a multiple of max_length {settings.max_length}"
        nearest = max(1, round(settings.batch.tokens / settings.max_length)) * settings.max_length
        yield Problem(path, message, f"set {path}={nearest}", composed.origin(path))
    if kind == "reward" and settings.strength < 1:
        path = "stage.reward.strength"
        message = "a reward model's head has no start to go back to"
        yield Problem(path, message, f"set {path}=1", composed.origin(path))
    data = config.data.of(kind)
    path = f"data.{kind}.sources"
    if not data.sources:
        fix = f"name one: {path}.NAME.path=FILE, or choose other data, or a stage order without {kind}"
        yield Problem(path, f"the stage {kind} has no data", fix, composed.origin(path))
        return
    yield from mix_problems(data.mix, list(data.sources), f"data.{kind}.mix")
    for other in data.mix.replay:
        if not config.data.of(other).sources:
            where = f"data.{kind}.mix.replay.{other}"
            message = f"data.{other} has no sources to replay"
            yield Problem(where, message, f"remove {where}", composed.origin(where))
    where = f"data.{kind}.contract"
    if kind == "domain":
        yield from _collect(data.contract.read, where)
    elif data.contract != Contract():
        message = f"{kind} has no contract of topics: COVERAGE and RELEVANCE judge domain data alone"
        yield Problem(where, message, f"remove {where}, or declare it as data.domain.contract", composed.origin(where))
    for name, source in data.sources.items():
        yield from _collect(source.files, f"{path}.{name}")


def _implementations(composed: Composed) -> Iterator[Problem]:
    """Implementations that are asked for where they cannot run."""
    config = composed.config
    model = config.model
    if model.attention == "varlen" and (model.dtype == "float32" or not visible_gpus()):
        lacking = "a 16-bit dtype" if visible_gpus() else "a GPU"
        where = "model.attention"
        yield Problem(where, f"varlen needs {lacking}", f"set {where}=auto", composed.origin(where))
    if model.kernels == "liger":
        where = "model.kernels"
        if not visible_gpus():
            yield Problem(where, "liger needs a GPU", f"set {where}=standard", composed.origin(where))
        elif find_spec("liger_kernel") is None:
            fix = f"pip install -e '.[liger]', or set {where}=standard"
            yield Problem(where, "liger is not installed", fix, composed.origin(where))
    if model.compile:
        where = "model.compile"
        fix = f"set {where}=false"
        if config.engine.zero == 3:
            message = "ZeRO-3 gathers weights as blocks are called: with compiled blocks that is untried"
            yield Problem(where, message, f"{fix}, or use engine=zero2", composed.origin(where))
        if not visible_gpus() and which("g++") is None:
            message = "compiling for a CPU needs g++, and there is none"
            yield Problem(where, message, f"install g++, or {fix}", composed.origin(where))


def _objectives(composed: Composed) -> Iterator[Problem]:
    """A policy has no scores, and a reward model no probabilities: neither trains by what is for the other."""
    config = composed.config
    methods = "such as align=dpo, or train a reward model: stage=reward"
    for kind, scores, fix in (("align", False, methods), ("reward", True, "reward=bradley_terry")):
        objective: Objective = getattr(config, kind)
        if kind in config.stage.order and objective.scores != scores:
            trained, wanted = ("policy", "reward model") if scores else ("reward model", "policy")
            message = f"{objective.kind} trains a {trained}, not a {wanted}"
            yield Problem(f"{kind}.kind", message, f"choose {fix}", composed.origin(f"{kind}.kind"))


def _unused(composed: Composed) -> Iterator[Problem]:
    """Settings given on the command line that this run would never read: a silent no-op is worse than an error."""
    config = composed.config
    read: set[str] = {"align", "reward"} & set(config.stage.order)
    for kind in config.stage.order:
        read |= {f"stage.{kind}", f"data.{kind}", *(f"data.{other}" for other in config.data.of(kind).mix.replay)}
    unread = {"align", "reward", *(f"{part}.{kind}" for part in ("stage", "data") for kind in get_args(Kind))} - read
    if config.do != "audit":
        for key in sorted(key for key in composed.given if key.startswith("audit.")):
            yield Problem(key, "is read by do=audit alone", "remove it, or say do=audit", "command line")
    fix = f"remove it, or choose a stage order that has it; this one is {', '.join(config.stage.order)}"
    for key in sorted(composed.given):
        if any(key == section or key.startswith(section + ".") for section in unread):
            yield Problem(key, "has no effect in this run", fix, "command line")


def _unasked(composed: Composed) -> Iterator[Problem]:
    """Suites given on the command line that measure what this run does not make."""
    config = composed.config
    asked = {name for kind in config.stage.order for name in config.suites_of(kind)}
    for name in config.eval.suites.keys() - asked:
        path = f"eval.suites.{name}"
        if composed.origin(path) == "command line":
            made = "a reward model" if config.eval.suites[name].of_reward_model else "a policy"
            fix = f"remove it, or choose a stage order that makes {made}"
            yield Problem(path, f"measures {made}, and this run makes none", fix, "command line")


def _collect(action: Callable[[], Any], path: str) -> list[Problem]:
    """What an action of the section at ``path`` complains about, with the full paths of keys."""
    try:
        action()
    except ConfigError as error:
        return [replace(problem, path=f"{path}.{problem.path}" if problem.path else path) for problem in error.problems]
    return []
