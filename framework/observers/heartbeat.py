"""A worker's sign of life, which the driver watches and shows as progress."""

from __future__ import annotations

import json
import os
import resource
import time
from pathlib import Path

from framework.train.loop import StepDone


class Heartbeat:
    """Writes ``heartbeat-RANK.json`` in the stage's folder: phase, done, total, and a line to show."""

    def __init__(self, folder: Path, rank: int) -> None:
        self._path = folder / f"heartbeat-{rank}.json"
        self._phase = "start"
        self._last = 0.0

    def phase(self, name: str) -> None:
        """A new phase begins."""
        self._phase = name
        self.beat(0, 0, force=True)

    def beat(self, done: int, total: int, note: str = "", force: bool = False) -> None:
        """At most five times a second, so that short steps do not pay for it."""
        now = time.monotonic()
        if not force and done != total and now - self._last < 0.2:
            return
        self._last = now
        used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        record = {
            "phase": self._phase,
            "done": done,
            "total": total,
            "note": note,
            "pid": os.getpid(),
            "memory_bytes": used,
        }
        temporary = self._path.with_suffix(".tmp")
        temporary.write_text(json.dumps(record), encoding="utf-8")
        os.replace(temporary, self._path)

    def on_step(self, done: StepDone) -> None:
        """Show loss and speed."""
        note = f"loss {done.loss:.3f}  {done.tokens / done.seconds:,.0f} tokens/s"
        if "reward_accuracy" in done.metrics:
            note += f"  accuracy {done.metrics['reward_accuracy']:.0%}"
        self.beat(done.step, done.steps, note)
