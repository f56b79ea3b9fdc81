"""Numbers for people, and what they can carry."""

from __future__ import annotations

import pytest

from framework.report import numbers
from framework.report.records import Cell, RetentionRow
from framework.report.verdict import verdict


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "0"),
        (999, "999"),
        (999.9, "1.00k"),
        (1000, "1.00k"),
        (12_340, "12.3k"),
        (999_999, "1.00M"),
        (1_913_442, "1.91M"),
    ],
)
def test_compact(number: float, words: str) -> None:
    assert numbers.compact(number) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0.0 s"), (9.96, "10.0 s"), (59.6, "1 min"), (800, "13 min 20 s"), (7500, "2 h 5 min"), (273_600, "3 d 4 h")],
)
def test_duration(seconds: float, words: str) -> None:
    assert numbers.duration(seconds) == words


def test_values_and_changes() -> None:
    assert numbers.value(0.685, True) == "68.5%"
    assert numbers.value(0.685, False) == "0.685"
    assert numbers.value(1832.4, False) == "1,832"
    assert numbers.change(0.70, 0.68, True) == "-2.0 pts"
    assert numbers.change(20.0, 22.0, False) == "+10.0%"
    assert numbers.change(0.0, 2.0, False) == "2.00"
    assert numbers.share(0.0001) == "<0.1%"


def test_wilson_interval_by_hand() -> None:
    """8 of 10: 0.490 to 0.943, as in Wilson's formula worked out with z = 1.96."""
    low, high = numbers.interval(0.8, 10)
    assert (low, high) == (pytest.approx(0.4902, abs=1e-3), pytest.approx(0.9433, abs=1e-3))


def test_few_items_explain_more() -> None:
    assert numbers.sampling_error(0.0, 0.0, 10) > numbers.sampling_error(0.0, 0.0, 1000) > 0


def test_verdicts() -> None:
    row = RetentionRow(suite="s", metric="accuracy", higher_is_better=True, cells=[])
    lower = RetentionRow(suite="s", metric="perplexity", higher_is_better=False, cells=[])
    assert verdict(row, Cell(value=0.8, n=100, best=0.8, change=0)) == "best"
    assert verdict(row, Cell(value=0.78, n=100, best=0.8, change=-0.02)) == "slight"
    assert verdict(row, Cell(value=0.5, n=100, best=0.8, change=-0.3)) == "loss"
    assert verdict(lower, Cell(value=10.4, n=100, best=10, change=0.4)) == "slight"
    assert verdict(lower, Cell(value=11, n=100, best=10, change=1)) == "loss"
