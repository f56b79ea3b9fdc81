"""Decides when a checkpoint is due: by time, and when the run is asked to stop."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import torch
import torch.distributed as dist

from framework.train.anchor import Anchors
from framework.train.checkpoint import Checkpoints
from framework.train.engine import DeepSpeedEngine
from framework.train.loop import StepDone, Stopped


class StopFlag:
    """Set by SIGTERM or SIGINT; the loop looks at it between steps."""

    def __init__(self) -> None:
        self.raised = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._raise)

    def _raise(self, number: int, frame: FrameType | None) -> None:
        self.raised = True


class Saver:
    """Saves every ``minutes`` and on a stop. Rank 0 decides, so that all workers save after the same step."""

    def __init__(
        self,
        checkpoints: Checkpoints,
        engine: DeepSpeedEngine,
        anchors: Anchors,
        minutes: float,
        stop: StopFlag,
        device: torch.device,
        told: Callable[[str, dict[str, Any]], None],
    ) -> None:
        self._checkpoints = checkpoints
        self._engine = engine
        self._anchors = anchors
        self._seconds = 60 * minutes
        self._stop = stop
        self._device = device
        self._told = told
        self._last = time.monotonic()

    def on_step(self, done: StepDone) -> None:
        """Save when due. Raises ``Stopped`` after the save when the run was asked to stop."""
        due = time.monotonic() - self._last > self._seconds and dist.get_rank() == 0
        flags = torch.tensor([float(due), float(self._stop.raised)], device=self._device)
        dist.all_reduce(flags, op=dist.ReduceOp.MAX)
        due, stopped = (bool(flag) for flag in flags.tolist())
        finished = done.step == done.steps
        if (due or stopped) and not finished:
            self._checkpoints.save(done.step, self._write)
            self._told("checkpoint", {"step": done.step})
            self._last = time.monotonic()
        if stopped and not finished:
            raise Stopped(done.step)

    def _write(self, folder: Path) -> None:
        self._engine.save(folder, {"anchors": self._anchors.state()})
