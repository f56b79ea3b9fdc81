"""Progress in the terminal: bars where people watch, plain lines where output goes to a file."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID


def console() -> Console:
    """Standard output; wide enough for tables where it is not a terminal."""
    from rich.console import Console

    probe = Console(highlight=False)
    return probe if probe.is_terminal else Console(highlight=False, width=100)


def _progress() -> Progress:
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        TextColumn("{task.fields[count]}"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}"),
    )
    return Progress(*columns, console=console(), transient=True)


class PlanProgress:
    """A bar for long steps of planning; nothing is shown, or imported, for a plan that is cached."""

    def __init__(self) -> None:
        self._progress: Progress | None = None
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> PlanProgress:
        return self

    def __exit__(self, *_: object) -> None:
        if self._progress is not None:
            self._progress.stop()

    def __call__(self, message: str, done: int, total: int) -> None:
        """Something got on."""
        if self._progress is None:
            self._progress = _progress()
            self._progress.start()
        if message not in self._tasks:
            self._tasks[message] = self._progress.add_task(message, count="", note="")
        count = f"{done:,}/{total:,}" if total else ""
        self._progress.update(self._tasks[message], completed=done, total=total or None, count=count)


class Screen:
    """The progress of stages. Implements ``framework.run.Screen``."""

    def __init__(self) -> None:
        self._console = console()
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        self._label = ""
        self._phase = ""
        self._began = 0.0

    def begin(self, label: str) -> None:
        """A new bar."""
        self._label, self._phase = label, ""
        if self._console.is_terminal:
            self._progress = _progress()
            self._progress.start()
            self._task = self._progress.add_task(label, count="starting the workers", note="", total=None)
        else:
            self.note(f"{label}: starting the workers")

    def beat(self, heartbeat: dict[str, Any]) -> None:
        """Where rank 0 is."""
        phase, done, total = heartbeat["phase"], heartbeat["done"], heartbeat["total"]
        if self._progress is not None and self._task is not None:
            count = f"{done}/{total}" if total else ""
            description = f"{self._label}: {phase}"
            self._progress.update(
                self._task,
                description=description,
                completed=done,
                total=total or None,
                count=count,
                note=heartbeat["note"],
            )
        elif phase != self._phase:
            self._began = time.monotonic()
            self.note(f"{self._label}: {phase}")
        elif phase == "train" and time.monotonic() - self._began > 15:
            self._began = time.monotonic()
            self.note(f"{self._label}: step {done}/{total}  {heartbeat['note']}")
        self._phase = phase

    def note(self, text: str) -> None:
        """A line that stays."""
        self._console.print(text, markup=False, soft_wrap=True)

    def end(self) -> None:
        """The bar goes."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None
