"""Having workers carry an order out: the order's file, attempts, what is tried otherwise, and what they found."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from framework.failures import FAILURES, Failure
from framework.files import read_json, write_text
from framework.launchers.base import Launcher
from framework.rundir import RunDir
from framework.stagefile import EvaluationFile, StageFile
from framework.supervise import StopRequest, attempt


class Screen(Protocol):
    """Shows a stage's progress to people."""

    def begin(self, label: str) -> None:
        """A stage begins."""
        ...

    def beat(self, heartbeat: dict[str, Any]) -> None:
        """Rank 0 has got on."""
        ...

    def note(self, text: str) -> None:
        """A line that stays."""
        ...

    def end(self) -> None:
        """The workers have ended."""
        ...


@dataclass
class Work:
    """What every order of a run shares."""

    launch: Launcher
    run: RunDir
    screen: Screen
    hint: str
    """The command to go on with."""
    stop: StopRequest

    def do(
        self, label: str, order: StageFile | EvaluationFile, folder: Path, estimated_bytes: int = 0
    ) -> dict[str, Any]:
        """Start workers until the order is carried out; returns what they found. Raises as ``attempt`` does.

        Args:
            label: Of the stage, or ``evaluation``.
            order: What is to be done; a stage's is changed when it ran out of memory.
            folder: Where workers leave their files.
            estimated_bytes: Memory of the largest worker as the plan has it; 0 where it has none.
        """
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / "order.json"
        current = order

        def told(failure: Failure, tries: int) -> Failure:
            nonlocal current
            if failure.kind == "out_of_memory":
                failure = replace(failure, message=failure.message + _compared(failure.memory_bytes, estimated_bytes))
                smaller = _halved(current)
                if smaller is None:
                    failure = replace(failure, final=isinstance(current, StageFile))
                else:
                    current = smaller
                    _write(file, current)
                    failure = replace(failure, message=f"{failure.message}; next: {smaller.micro_tokens} micro_tokens")
            self.run.tell("workers_failed", label, kind=failure.kind, message=failure.message, attempt=tries + 1)
            self.screen.note(f"{label}: {failure.kind}: {failure.message}")
            return failure

        _write(file, order)
        self.screen.begin(label)
        began = time.monotonic()
        try:
            attempt(self.launch, file, folder, self.run.logs, self.hint, self.screen.beat, told, self.stop)
        finally:
            self.screen.end()
        self.screen.note(f"{label}: {order.task} took {time.monotonic() - began:.0f} s")
        result: dict[str, Any] = read_json(folder / "result.json")
        for note in result.pop("notes"):
            self.screen.note(f"{label}: {note}")
        if isinstance(current, StageFile):
            result["micro_tokens"] = current.micro_tokens
        return result


def clear(folder: Path) -> None:
    """Remove what workers leave in a folder for the driver alone."""
    patterns = ("heartbeat-*.json", FAILURES, "stack-*.txt", "result.json", "trained.json", "order.json")
    for pattern in patterns:
        for leftover in folder.glob(pattern):
            leftover.unlink(missing_ok=True)


def _write(file: Path, order: StageFile | EvaluationFile) -> None:
    write_text(file, order.model_dump_json(indent=2) + "\n")


def _halved(order: StageFile | EvaluationFile) -> StageFile | None:
    """The same stage with half the tokens to a forward pass; None where a pass is one pack already."""
    if not isinstance(order, StageFile) or order.engine.out_of_memory == "stop":
        return None
    length = order.stage.max_length
    smaller = max(1, order.micro_tokens // length // 2) * length
    return order.model_copy(update={"micro_tokens": smaller}) if smaller < order.micro_tokens else None


def _compared(used: int, estimated: int) -> str:
    parts = [f"the largest worker used {used / 1e9:.2f} GB" if used else ""]
    parts += [f"the plan estimated {estimated / 1e9:.2f} GB" if estimated else ""]
    said = ", ".join(part for part in parts if part)
    return f" ({said})" if said else ""
