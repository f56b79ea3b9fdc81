"""What a run directory says, read leniently: what is missing or broken becomes a note, never an exception."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from framework.files import read_json
from framework.report.records import (
    EvalsFile,
    Finding,
    MixShare,
    PlanFile,
    PlanStage,
    Record,
    Result,
    Retention,
    StageFile,
    Step,
    SummaryFile,
    Totals,
)
from framework.retention import START, retention

_R = TypeVar("_R", bound=Record)


@dataclass(frozen=True, slots=True)
class StageRecord:
    """One stage: what was planned and what is there of it."""

    label: str
    """``1-instruct``: the name of its folder."""
    kind: str
    plan: PlanStage | None
    done: StageFile | None
    steps: list[Step]
    evals: EvalsFile

    @property
    def status(self) -> str:
        """In words, for people."""
        if self.done is not None:
            return self.done.status
        return "not finished" if self.steps else "not reached"


@dataclass(slots=True)
class RunRecord:
    """A run directory as far as it can be read."""

    path: Path
    plan: PlanFile | None = None
    summary: SummaryFile | None = None
    stages: list[StageRecord] = field(default_factory=list)
    retention: Retention | None = None
    notes: list[str] = field(default_factory=list)
    """What is missing or cannot be used, by file."""

    @property
    def status(self) -> str:
        """The summary's status, or ``unknown``."""
        return self.summary.status if self.summary else "unknown"

    @property
    def findings(self) -> list[Finding]:
        """From the plan, or else from the summary."""
        if self.plan is not None:
            return self.plan.findings
        return self.summary.findings if self.summary else []

    @property
    def mix(self) -> dict[str, dict[str, MixShare]]:
        """Planned and realised shares by stage and source."""
        return self.summary.mix if self.summary else {}

    @property
    def totals(self) -> Totals:
        """Sums over the stages that are there."""
        if self.summary is not None:
            return self.summary.totals
        done = [stage.done for stage in self.stages if stage.done is not None]
        return Totals(
            steps=sum(stage.steps for stage in done),
            tokens=sum(stage.tokens for stage in done),
            supervised_tokens=sum(stage.supervised_tokens for stage in done),
            seconds=sum(stage.seconds for stage in done),
        )


def read_run(path: Path) -> RunRecord:
    """Read a run directory's files."""
    run = RunRecord(path)
    run.plan = _read(run, path / "plan.json", PlanFile, "the plan is left out")
    run.summary = _read(run, path / "summary.json", SummaryFile, "status and mix are left out")
    planned = {stage.name: stage for stage in run.plan.stages} if run.plan else {}
    summed = {stage.name: stage for stage in run.summary.stages} if run.summary else {}
    folders = [folder.name for folder in (path / "stages").glob("*") if folder.is_dir()]
    for label in sorted({*planned, *summed, *folders}, key=_position):
        run.stages.append(_stage(run, label, planned.get(label), summed.get(label)))
    run.retention = run.summary.retention if run.summary else None
    if run.retention is None:
        run.retention = _own_retention(run)
    return run


def _position(label: str) -> tuple[int, str]:
    number = label.partition("-")[0]
    return (int(number) if number.isdecimal() else 0, label)


_NOT_MEASURED = EvalsFile(before=None, after=None)


def _stage(run: RunRecord, label: str, plan: PlanStage | None, summed: StageFile | None) -> StageRecord:
    kind = plan.kind if plan else summed.kind if summed else label.partition("-")[2]
    if Path(label).name != label:  # from a file that was tampered with: nothing outside the run is read
        run.notes.append(f"the stage {label!r} has no folder name: its files are left out")
        return StageRecord(label, kind, plan, summed, [], _NOT_MEASURED)
    folder = run.path / "stages" / label
    done = _read(run, folder / "stage.json", StageFile, "its counts are left out", expected=False) or summed
    ended = done is not None and done.status != "failed"
    evals = _read(run, folder / "evals.json", EvalsFile, "its evaluations are left out", expected=ended)
    steps = _steps(run, folder / "metrics.jsonl")
    return StageRecord(label, done.kind if done else kind, plan, done, steps, evals or _NOT_MEASURED)


def _read(run: RunRecord, path: Path, record: type[_R], effect: str, expected: bool = True) -> _R | None:
    """A file as a record; None, and a note unless it need not be there, when it cannot be had."""
    name = path.relative_to(run.path)
    try:
        return record.model_validate(read_json(path))
    except FileNotFoundError:
        if expected:
            run.notes.append(f"{name} is not there: {effect}")
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "its content"
        run.notes.append(f"{name} cannot be used ({where}: {first['msg'].lower()}): {effect}")
    except (OSError, ValueError, RecursionError) as error:
        run.notes.append(f"{name} cannot be read ({type(error).__name__}: {error}): {effect}")
    return None


def _steps(run: RunRecord, path: Path) -> list[Step]:
    name = path.relative_to(run.path)
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return []
    except OSError as error:
        run.notes.append(f"{name} cannot be read ({error}): its curves are left out")
        return []
    found: list[Step] = []
    broken: list[int] = []
    skipped = 0
    for number, line in enumerate(lines, start=1):
        try:
            record = json.loads(line)
            if isinstance(record, dict) and "skipped" in record:
                skipped += 1
            else:
                found.append(Step.model_validate(record))
        except (ValueError, RecursionError):  # a ValidationError is a ValueError
            broken.append(number)
    if skipped:
        run.notes.append(f"{name}: {skipped} steps were skipped (not finite, or a spike); its curves leave them out")
    if broken:
        plural = "lines" if len(broken) > 1 else "line"
        run.notes.append(f"{name}: {len(broken)} {plural} cannot be used (first line {broken[0]}) and left out")
    return found


def _own_retention(run: RunRecord) -> Retention | None:
    """The table from the stages' own evaluations, for a run whose summary does not have it."""
    columns: list[tuple[str, dict[str, Result]]] = []
    for stage in run.stages:
        if stage.evals.before is not None and not any(label == START for label, _ in columns):
            columns.insert(0, (START, stage.evals.before))
        if stage.evals.after is not None:
            columns.append((stage.label, stage.evals.after))
    if not columns:
        return None
    measures = {suite: result.measures for _, column in columns for suite, result in column.items()}
    try:
        table = retention([(label, {k: r.model_dump() for k, r in column.items()}) for label, column in columns])
    except ValueError as error:
        run.notes.append(f"the evaluations do not fit together ({error}): the retention table is left out")
        return None
    rows = [
        {
            "suite": row.suite,
            "measures": measures[row.suite],
            "metric": row.metric,
            "higher_is_better": row.higher_is_better,
            "cells": [
                None if cell is None else {"value": cell.value, "n": cell.n, "best": cell.best, "change": cell.change}
                for cell in row.cells
            ],
        }
        for row in table.rows
    ]
    return Retention.model_validate({"columns": list(table.columns), "rows": rows})
