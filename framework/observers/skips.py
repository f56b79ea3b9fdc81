"""Tells of every step that was left out, with the rows of its batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from framework.train.loop import StepDone


class SkipNotes:
    """An event for each skipped step, on rank 0."""

    def __init__(self, rows: Callable[[int], list[str]], told: Callable[[str, dict[str, Any]], None]) -> None:
        self._rows = rows
        """Ids of the rows of a step, from 0."""
        self._told = told

    def on_step(self, done: StepDone) -> None:
        """Tell, where the step was skipped."""
        if done.skipped:
            self._told("step_skipped", {"step": done.step, "reason": done.skipped, "rows": self._rows(done.step - 1)})
