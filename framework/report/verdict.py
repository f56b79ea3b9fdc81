"""How much a loss against a suite's best value means; the same judgement in the terminal and the report."""

from __future__ import annotations

from typing import Literal

from framework.report import numbers
from framework.report.records import Cell, RetentionRow

Verdict = Literal["best", "slight", "loss"]

_SLIGHT_RISE = 0.05
"""Where lower is better there is no sampling error at hand: a rise of so large a share of the best is a loss."""

WORDS: dict[Verdict, str] = {
    "best": "at its best",
    "slight": "slightly worse than its best",
    "loss": "worse than its best",
}


def lost(row: RetentionRow, cell: Cell) -> float:
    """What a cell has lost against the best so far: points (0.02 is two) or a share of the best; 0 is nothing."""
    if row.higher_is_better:
        return max(0.0, cell.best - cell.value)
    return max(0.0, (cell.value - cell.best) / cell.best) if cell.best > 0 else 0.0


def tolerance(row: RetentionRow, cell: Cell) -> float:
    """The loss that chance alone explains (or, where lower is better, that is small)."""
    if not row.higher_is_better:
        return _SLIGHT_RISE
    if not 0 <= cell.value <= 1 or not 0 <= cell.best <= 1:
        return 0.0
    return numbers.sampling_error(cell.value, cell.best, cell.n)


def verdict(row: RetentionRow, cell: Cell) -> Verdict:
    """Whether a cell is the suite's best, below it within the tolerance, or below it by more."""
    loss = lost(row, cell)
    if loss < 0.0005:
        return "best"
    return "slight" if loss <= tolerance(row, cell) else "loss"
