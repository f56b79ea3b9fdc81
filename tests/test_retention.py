from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from framework.errors import ConfigError
from framework.retention import Cell, Evaluations, Gate, check, retention
from framework.suites.base import SuiteResult


def accuracy(value: float, n: int = 50) -> dict[str, Any]:
    return asdict(SuiteResult("accuracy", value, n, higher_is_better=True, slices={}))


def perplexity(value: float) -> dict[str, Any]:
    return asdict(SuiteResult("perplexity", value, 20, higher_is_better=False, slices={}))


RUN: list[tuple[str, Evaluations]] = [
    ("start", {"format": accuracy(0.3), "wiki": perplexity(20.0)}),
    ("instruct", {"format": accuracy(0.8), "wiki": perplexity(16.0)}),
    ("domain", {"format": accuracy(0.6), "wiki": perplexity(20.0), "law": accuracy(0.5)}),
    ("align", {"format": accuracy(0.75), "wiki": perplexity(18.0), "law": accuracy(0.55)}),
]


def test_the_table_worked_by_hand() -> None:
    table = retention(RUN)
    assert table.columns == ("start", "instruct", "domain", "align")
    assert [row.suite for row in table.rows] == ["format", "wiki", "law"]
    form, wiki, law = table.rows
    assert form.cells == (
        Cell(0.3, 50, 0.3, 0.0, None),
        Cell(0.8, 50, 0.8, 0.0, None),
        Cell(0.6, 50, 0.8, 0.6 - 0.8, None),
        Cell(0.75, 50, 0.8, 0.75 - 0.8, None),
    )
    assert wiki.cells == (
        Cell(20.0, 20, 20.0, 0.0, 0.0),
        Cell(16.0, 20, 16.0, 0.0, 0.0),
        Cell(20.0, 20, 16.0, 4.0, 25.0),
        Cell(18.0, 20, 16.0, 2.0, 12.5),
    )
    assert law.cells == (None, None, Cell(0.5, 50, 0.5, 0.0, None), Cell(0.55, 50, 0.55, 0.0, None))


def test_gates_judge_the_last_column() -> None:
    gates = [
        Gate(suite="format", max_drop=0.1),
        Gate(suite="wiki", max_rise=0.2),
        Gate(suite="law", max_drop=0.0),
    ]
    assert check(retention(RUN), gates) == []
    failures = check(retention(RUN[:3]), gates)
    assert [(found.suite, found.column, found.value, found.best) for found in failures] == [
        ("format", "domain", 0.6, 0.8),
        ("wiki", "domain", 20.0, 16.0),
    ]
    assert [found.loss for found in failures] == [pytest.approx(0.2), pytest.approx(0.25)]
    assert str(failures[0]) == (
        "format: accuracy is 0.6 after domain, the best was 0.8: a loss of 0.2, the gate allows 0.1"
    )


def test_a_loss_of_exactly_the_bound_passes() -> None:
    run = [("start", {"a": accuracy(0.8)}), ("instruct", {"a": accuracy(0.75)})]  # 0.05000000000000004 apart
    assert check(retention(run), [Gate(suite="a", max_drop=0.05)]) == []


def test_gates_that_cannot_be_judged_are_all_reported() -> None:
    gates = [
        Gate(suite="form", max_drop=0.1),
        Gate(suite="wiki", max_drop=0.1),
        Gate(suite="format", max_rise=0.1),
    ]
    with pytest.raises(ConfigError) as caught:
        check(retention(RUN[:1]), gates)
    assert [(problem.path, problem.fix) for problem in caught.value.problems] == [
        ("form", "name a suite that is evaluated, or remove the gate"),
        ("wiki", "give max_rise instead"),
        ("format", "give max_drop instead"),
    ]


def test_a_suite_left_out_of_the_last_column_does_not_pass_silently() -> None:
    with pytest.raises(ConfigError, match="not measured"):
        check(retention([*RUN, ("again", {})]), [Gate(suite="law", max_drop=0.1)])


def test_a_rise_from_zero_is_endless() -> None:
    zero = perplexity(0.0) | {"metric": "errors"}
    table = retention([("start", {"e": zero}), ("instruct", {"e": zero | {"value": 0.1}})])
    assert table.rows[0].cells[1] == Cell(0.1, 20, 0.0, 0.1, None)
    assert len(check(table, [Gate(suite="e", max_rise=10.0)])) == 1


@pytest.mark.parametrize(
    "limits",
    [{}, {"max_drop": 0.1, "max_rise": 0.1}, {"max_drop": -0.1}, {"max_drop": 2.0}, {"max_rise": -1.0}],
)
def test_a_gate_has_exactly_one_sensible_limit(limits: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Gate(suite="a", **limits)


def test_columns_that_do_not_fit_together() -> None:
    with pytest.raises(ValueError, match="different labels"):
        retention([RUN[0], RUN[0]])
    with pytest.raises(ValueError, match="metric changes"):
        retention([("start", {"a": accuracy(0.5)}), ("instruct", {"a": perplexity(3.0)})])
    with pytest.raises(ValueError, match="finite"):
        retention([("start", {"a": perplexity(float("inf"))})])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_the_change_is_never_a_gain_over_the_best(values: list[float]) -> None:
    table = retention([(str(index), {"a": accuracy(value)}) for index, value in enumerate(values)])
    cells = [cell for cell in table.rows[0].cells if cell is not None]
    assert [cell.best for cell in cells] == [max(values[: index + 1]) for index in range(len(values))]
    assert all(cell.change <= 0 for cell in cells)
    assert check(table, [Gate(suite="a", max_drop=1.0)]) == []
