"""Decides when a checkpoint is due: by time, and when the run is asked to stop."""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import torch
import torch.distributed as dist

from framework.files import sync
from framework.train.checkpoint import Checkpoints, Snapshot
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
    """Saves every ``minutes`` and on a stop. Rank 0 decides, so that all workers save after the same step.

    A checkpoint that cannot be written is told as an event, and training goes on: the one before it stays.
    """

    def __init__(
        self,
        checkpoints: Checkpoints,
        snapshot: Callable[[], Snapshot],
        folder: Path,
        minutes: float,
        stop: StopFlag,
        device: torch.device,
        told: Callable[[str, dict[str, Any]], None],
    ) -> None:
        self._checkpoints = checkpoints
        self._snapshot = snapshot
        self._folder = folder
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
            self._save(done.step)
            self._last = time.monotonic()
        if stopped and not finished:
            raise Stopped(done.step)

    def _save(self, step: int) -> None:
        if dist.get_rank() == 0:
            sync(self._folder / "metrics.jsonl")  # a power cut must not leave a checkpoint ahead of the metrics
        failed = self._checkpoints.save(step, self._snapshot())
        if failed is None:
            self._told("checkpoint", {"step": step})
        else:
            free = shutil.disk_usage(self._folder).free
            self._told("checkpoint_failed", {"step": step, "reason": failed, "free_bytes": free})
