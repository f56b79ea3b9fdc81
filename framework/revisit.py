"""Going back to a finished run: measure it again, export its result, talk to it."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from framework.compose import Composed
from framework.devices import visible_gpus
from framework.errors import ConfigError, Exit, Problem, StageFailed
from framework.files import read_json, write_json, write_text
from framework.models import ModelFiles, fetch_weights, resolve
from framework.paths import helper_environment
from framework.retention import START, retention
from framework.rundir import RunDir
from framework.schema import Config, Kind
from framework.screen import Screen, console
from framework.stagefile import Ancestor, EvaluationFile, ExportFile, follow
from framework.supervise import attempt


@dataclass(frozen=True, slots=True)
class FinishedRun:
    """What a run directory says of the model that it made."""

    directory: RunDir
    config: Config
    model: ModelFiles
    labels: list[str]
    """Finished stages in order."""

    def kind(self, label: str) -> Kind:
        """What a stage of it is."""
        return self.config.stage.order[self.labels.index(label)]

    @property
    def policies(self) -> list[str]:
        """The stages that changed the policy."""
        return [label for label in self.labels if self.kind(label) != "reward"]

    def columns(self) -> list[tuple[str, Kind]]:
        """The columns of its retention table, each with the kind of stage whose suites it has."""
        found: list[tuple[str, Kind]] = [(label, self.kind(label)) for label in self.labels]
        if self.policies:
            found.insert(0, (START, self.kind(self.policies[0])))
        return found

    def lineage(self, last: str | None = None) -> list[Ancestor]:
        """The policy's lineage up to a stage, all of them by default, none for ``start``."""
        stages = self.labels if last is None else self.labels[: self.labels.index(last) + 1] if last != START else []
        found: list[Ancestor] = []
        for label in stages:
            found = follow(found, self.kind(label), self.config.adapter, self.directory.stage(label) / "model")
        return found

    def policy(self, verb: str) -> list[Ancestor]:
        """What ``do=export`` and ``do=chat`` take. Raises ``ConfigError`` when the run only trained a reward model."""
        if self.policies:
            return self.lineage()
        made = self.directory.stage(self.labels[-1]) / "model"
        message = f"{self.directory.path} trained a reward model and no policy"
        fix = f"{made} is whole: load it as it is, or name it as the model of a suite of kind reward"
        raise ConfigError([Problem("run", f"{message}, so there is nothing to {verb}", fix, "command line")])


def open_run(composed: Composed) -> FinishedRun:
    """The run that ``run=`` names. Raises ``ConfigError`` when it is none, or has no finished stage."""
    given = composed.config.run
    verb = composed.config.do
    fix = f"do={verb} run=outputs/NAME/DATE_TIME"
    if not given:
        raise ConfigError([Problem("run", "name the directory of a run", fix, "command line")])
    directory = RunDir(Path(given).expanduser().resolve())
    try:
        config = Config.model_validate(yaml.safe_load(directory.config.read_text(encoding="utf-8")))
        summary = read_json(directory.summary)
    except FileNotFoundError as missing:
        message = f"{given} is not a run: it has no {Path(str(missing.filename)).name}"
        raise ConfigError([Problem("run", message, fix, "command line")]) from None
    except (ValidationError, ValueError) as error:
        message = f"{given} was written by another version: {str(error).splitlines()[0]}"
        raise ConfigError([Problem("run", message, "use the version that wrote it", "command line")]) from None
    labels = [stage["name"] for stage in summary["stages"] if stage["status"] != "failed"]
    if not labels:
        raise ConfigError([Problem("run", f"{given} has no finished stage", "finish it first", "command line")])
    return FinishedRun(directory, config, fetch_weights(resolve(config.model)), labels)


def evaluate_run(composed: Composed) -> Exit:
    """Measure the start and every stage again with the suites of this command line; rewrites tables and report."""
    from framework.report.console import print_retention
    from framework.report.html import write_report

    run = open_run(composed)
    suites = composed.config.eval.suites
    columns = run.columns()
    if not any(composed.config.suites_of(kind) for _, kind in columns):
        message = "there is nothing to measure" if not suites else "no suite measures what this run made"
        raise ConfigError([Problem("eval", message, "choose eval=legal or eval=files")])
    with run.directory.locked():
        measured: dict[str, dict[str, Any]] = {}
        for label, kind in columns:
            if composed.config.suites_of(kind):
                measured[label] = _measure(composed, run, label, kind)
        before = measured.get(START)
        for label in run.labels:
            reward = run.kind(label) == "reward"
            evals = {"before": None if reward else before, "after": measured.get(label)}
            write_json(run.directory.stage(label) / "evals.json", evals)
            before = before if reward else measured.get(label)
        summary = read_json(run.directory.summary)
        table = retention(list(measured.items()))
        summary["retention"] = table.public({name: suite.measures for name, suite in suites.items()})
        for stage in summary["stages"]:
            if (found := measured.get(stage["name"])) is not None:
                stage["metrics"] = {name: result["value"] for name, result in found.items()}
        write_json(run.directory.summary, summary)
        report = write_report(run.directory.path)
    print_retention(summary, console())
    print(f"report: {report}")
    return Exit.OK


def _measure(composed: Composed, run: FinishedRun, label: str, kind: Kind) -> dict[str, Any]:
    folder = run.directory.path / "stages" / f".evaluation-{label}"
    folder.mkdir(parents=True, exist_ok=True)
    launch = composed.config.launch
    order = EvaluationFile(
        model=run.config.model,
        model_dir=str(run.model.directory),
        lineage=run.lineage(label),
        reward_model=str(run.directory.stage(label) / "model") if kind == "reward" else "",
        suites=composed.config.suites_of(kind),
        folder=str(folder),
    )
    file = folder / "order.json"
    write_text(file, order.model_dump_json())
    screen = Screen()
    screen.begin(label)
    try:
        attempt(
            launch, file, folder, run.directory.logs, "the same command", screen.beat, lambda failure, tries: failure
        )
    finally:
        screen.end()
    results: dict[str, Any] = read_json(folder / "result.json")["evals"]["after"]
    for leftover in folder.iterdir():
        leftover.unlink()
    folder.rmdir()
    return results


def export_run(composed: Composed) -> Exit:
    """Write the run's result to ``to``: one merged model that any library loads, with a model card."""
    from framework.card import model_card

    run = open_run(composed)
    if not composed.config.to:
        raise ConfigError(
            [Problem("to", "name the directory to write", "do=export run=RUN_DIR to=DIR", "command line")]
        )
    to = Path(composed.config.to).expanduser().resolve()
    if to.exists() and any(to.iterdir()):
        raise ConfigError([Problem("to", f"{to} is not empty", "name a new directory", "command line")])
    order = ExportFile(
        dtype=run.config.model.dtype, model_dir=str(run.model.directory), lineage=run.policy("export"), to=str(to)
    )
    _helper("framework.train.export", order, run.directory)
    write_text(to / "README.md", model_card(run.config, read_json(run.directory.summary)))
    print(f"exported: {to}")
    return Exit.OK


def chat_with_run(composed: Composed) -> Exit:
    """Talk to the run's result: a line is a message, /new starts afresh, /quit or end of input ends."""
    run = open_run(composed)
    order = ExportFile(
        dtype=run.config.model.dtype, model_dir=str(run.model.directory), lineage=run.policy("chat"), to=""
    )
    _helper("framework.train.chat", order, run.directory)
    return Exit.OK


def _helper(module: str, order: ExportFile, run: RunDir) -> None:
    """Run a helper process on an order, since this process stays free of torch. Its warnings go to a log."""
    name = module.rpartition(".")[2]
    file, log = run.path / f".{name}.json", run.logs / f"{name}.log"
    write_text(file, order.model_dump_json())
    environment = helper_environment()
    if not visible_gpus():
        environment["DS_ACCELERATOR"] = "cpu"  # DeepSpeed, imported along the way, would look for one and say so
    run.logs.mkdir(exist_ok=True)
    try:
        with log.open("w", encoding="utf-8") as errors:
            done = subprocess.run([sys.executable, "-m", module, str(file)], env=environment, stderr=errors)
    finally:
        file.unlink()
    if done.returncode:
        raise StageFailed(f"do={name} failed with exit code {done.returncode}\n    fix: see {log}")
