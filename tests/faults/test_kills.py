"""kill -9 of workers and drivers, at every step and at every write of a checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from .conftest import STEPS, Job

pytestmark = pytest.mark.faults


@pytest.mark.parametrize("who", ["worker", "driver", "both"])
def test_killed_after_every_step(
    new_job: Callable[..., Job], uninterrupted: Job, train: Any, promise: Any, who: str
) -> None:
    """One run, killed after step 1, then after step 2, and so on: each time it goes on from the step before."""
    names = {"worker": "the worker", "driver": "the driver", "both": "driver and worker"}
    with promise(f"kill -9 of {names[who]}", "after each step in turn, before its checkpoint", STEPS) as tried:
        job = new_job(f"launch.retries={STEPS + 1}")
        codes: list[int] = []
        while len(codes) <= STEPS and (not codes or codes[-1] != 0):
            codes.append(train(*job.command(), env=job.fault(at="step", who=who)).code)
        tried.runs = len(job.happened())
        assert job.happened() == [f"step {step}" for step in range(1, STEPS + 1)]
        assert codes == ([0] if who == "worker" else [-9] * STEPS + [0])
        assert [event["step"] for event in job.events("resumed")] == list(range(1, STEPS))
        job.same(uninterrupted)


def test_killed_within_a_checkpoint(new_job: Callable[..., Job], uninterrupted: Job, train: Any, promise: Any) -> None:
    """Killed at each call that changes the disk while a checkpoint is written, files half written among them."""
    with promise("kill -9 while a checkpoint is written", "at each write, fsync and rename in turn") as tried:
        job = new_job("launch.retries=60")
        ran = train(*job.command(), env=job.fault(at="write", who="worker"), timeout=600)
        tried.runs = len(job.happened())
        assert ran.code == 0, ran
        assert {"mkdir", "before save_file", "half of save_file", "fsync", "replace", "rename"} <= set(job.happened())
        resumed = [event["step"] for event in job.events("resumed")]
        assert resumed == sorted(resumed), "a checkpoint that was there is lost"
        job.same(uninterrupted)
