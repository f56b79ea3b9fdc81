"""Retention: what every suite says after every stage, and the bounds on what a stage may lose."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from framework.errors import ConfigError, Problem
from framework.registry import Section

START = "start"
"""The column before the first stage."""

Evaluations = Mapping[str, Mapping[str, Any]]
"""Suite results by suite name, as dictionaries: ``dataclasses.asdict`` of a ``SuiteResult``, or one read from
a file.
"""

_TOLERANCE = 1e-9
"""A change of exactly the bound passes, whatever the floating-point error of the subtraction."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A suite's value in one column, against the best of this column and those before it."""

    value: float
    n: int
    best: float
    change: float
    """``value - best``: zero or negative where higher is better, zero or positive where lower is."""
    change_percent: float | None
    """The same in percent of the best, where lower is better (perplexity); else ``None``, as is that of a
    best of zero.
    """


@dataclass(frozen=True, slots=True)
class RetentionRow:
    """One suite through the run; a cell is ``None`` where the suite was not measured."""

    suite: str
    metric: str
    higher_is_better: bool
    cells: tuple[Cell | None, ...]


@dataclass(frozen=True, slots=True)
class RetentionTable:
    """Rows of suites, by first appearance; columns in order: the start, then each stage."""

    columns: tuple[str, ...]
    rows: tuple[RetentionRow, ...]

    def row(self, suite: str) -> RetentionRow | None:
        """The suite's row, or ``None``."""
        return next((row for row in self.rows if row.suite == suite), None)

    def public(self, measures: Mapping[str, str]) -> dict[str, Any]:
        """As summary.json shows it; ``measures`` says what each suite judges."""
        rows = [
            {**asdict(row), "measures": measures[row.suite], "cells": [c and asdict(c) for c in row.cells]}
            for row in self.rows
        ]
        return {"columns": list(self.columns), "rows": rows}


class Gate(Section):
    """A bound on what a suite may lose against its best value so far.

    Exactly one of the two limits is given.
    """

    suite: str
    max_drop: Annotated[float, Field(ge=0, le=1)] | None = None
    """Where higher is better: the largest drop in points (0.02 allows 0.80 to become 0.78)."""
    max_rise: Annotated[float, Field(ge=0)] | None = None
    """Where lower is better: the largest rise as a share of the best (0.1 allows 20 to become 22)."""

    @model_validator(mode="after")
    def _one_limit(self) -> Self:
        if (self.max_drop is None) == (self.max_rise is None):
            raise ValueError("give max_drop (where higher is better) or max_rise (where lower is), not both")
        return self


@dataclass(frozen=True, slots=True)
class GateFailure:
    """A gate that the last column breaks.

    ``loss`` and ``limit`` are points, or shares where lower is better.
    """

    suite: str
    column: str
    metric: str
    value: float
    best: float
    loss: float
    limit: float

    def __str__(self) -> str:
        return (
            f"{self.suite}: {self.metric} is {self.value:.4g} after {self.column}, "
            f"the best was {self.best:.4g}: a loss of {self.loss:.4g}, the gate allows {self.limit:.4g}"
        )


class _Measured(BaseModel):
    """What the table needs of a suite's result."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True, allow_inf_nan=False)
    metric: str
    value: float
    n: int
    higher_is_better: bool


def retention(columns: Sequence[tuple[str, Evaluations]]) -> RetentionTable:
    """The table of labelled columns, in the run's order.

    Raises ``ValueError`` for a label that stands twice, for a result without the needed fields (or not
    finite), and for a suite whose metric or direction differs between columns.
    """
    labels = tuple(label for label, _ in columns)
    if len(set(labels)) < len(labels):
        raise ValueError(f"columns must have different labels: {', '.join(labels)}")
    measured = [
        {suite: _Measured.model_validate(dict(found)) for suite, found in suites.items()} for _, suites in columns
    ]
    names = dict.fromkeys(suite for column in measured for suite in column)
    return RetentionTable(labels, tuple(_row(suite, [column.get(suite) for column in measured]) for suite in names))


def check(table: RetentionTable, gates: Sequence[Gate]) -> list[GateFailure]:
    """The gates that the table's last column breaks.

    Raises ``ConfigError`` with every gate that cannot be judged: its suite is not in the last column, or its
    limit is for the other direction. The column of the start shows that already, so check it before the first
    stage is trained.
    """
    problems: list[Problem] = []
    failures: list[GateFailure] = []
    for gate in gates:
        row = table.row(gate.suite)
        cell = row.cells[-1] if row else None
        if row is None or cell is None:
            measured = ", ".join(_measured_last(table)) or "none"
            message = f"the gate's suite was not measured; measured are {measured}"
            problems.append(Problem(gate.suite, message, "name a suite that is evaluated, or remove the gate"))
        elif row.higher_is_better != (gate.max_drop is not None):
            better, limit = ("higher", "max_drop") if row.higher_is_better else ("lower", "max_rise")
            problems.append(Problem(gate.suite, f"{better} is better for {row.metric}", f"give {limit} instead"))
        elif (failure := _judge(gate, table.columns[-1], row, cell)) is not None:
            failures.append(failure)
    if problems:
        raise ConfigError(problems)
    return failures


def _row(suite: str, found: Sequence[_Measured | None]) -> RetentionRow:
    first = next(one for one in found if one is not None)
    best: float | None = None
    cells: list[Cell | None] = []
    for one in found:
        if one is None:
            cells.append(None)
            continue
        if (one.metric, one.higher_is_better) != (first.metric, first.higher_is_better):
            raise ValueError(f"{suite}: the metric changes from {first.metric} to {one.metric} between columns")
        better = max if one.higher_is_better else min
        best = one.value if best is None else better(best, one.value)
        change = one.value - best
        percent = None if one.higher_is_better or best == 0 else 100 * change / best
        cells.append(Cell(one.value, one.n, best, change, percent))
    return RetentionRow(suite, first.metric, first.higher_is_better, tuple(cells))


def _judge(gate: Gate, column: str, row: RetentionRow, cell: Cell) -> GateFailure | None:
    """The gate's failure, if the cell breaks it. From a best of zero, any rise is endless."""
    if gate.max_drop is not None:
        loss, limit = -cell.change, gate.max_drop
    else:
        loss = cell.change / cell.best if cell.best else (math.inf if cell.change else 0.0)
        limit = gate.max_rise or 0.0
    if loss <= limit + _TOLERANCE:
        return None
    return GateFailure(gate.suite, column, row.metric, cell.value, cell.best, loss, limit)


def _measured_last(table: RetentionTable) -> list[str]:
    return [row.suite for row in table.rows if row.cells[-1] is not None]
