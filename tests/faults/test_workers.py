"""Ranks that hang or die while the others wait, and signals that ask for a stop."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable
from typing import Any

import pytest

from .conftest import Job

pytestmark = pytest.mark.faults
TIMEOUT = 40
"""Seconds of launch.timeout: loading and the start of the engine take some on a busy machine."""


@pytest.mark.parametrize(
    ("what", "kind", "says"),
    [("halt", "hang", "rank 1 is halted"), ("stuck", "hang", "rank 1 is hanging"), ("kill", "signal", "rank 1 was")],
)
def test_a_lost_rank_is_named_and_started_again(
    new_job: Callable[..., Job], train: Any, promise: Any, what: str, kind: str, says: str
) -> None:
    how = {
        "halt": ("a rank hangs", "SIGSTOP before a collective, two processes"),
        "stuck": ("a rank hangs", "an endless loop before a collective, two processes"),
        "kill": ("a rank dies", "SIGKILL while the other waits in a collective"),
    }[what]
    with promise(*how):
        job = new_job("launch.processes=2", f"launch.timeout={TIMEOUT}")
        began = time.monotonic()
        ran = train(*job.command(), env=job.fault(at="forward", what=what, step=3, rank=1))
        assert ran.code == 0, ran
        (failed,) = job.events("workers_failed")
        assert failed["kind"] == kind and says in failed["message"], failed
        if what == "stuck":
            assert "stuck_here" in failed["message"]
        assert failed["message"] in " ".join(ran.out.split())
        assert [event["step"] for event in job.events("resumed")] == [2]
        assert [record["step"] for record in job.metrics()] == list(range(1, 7))
        # Starting twice, and the time that is allowed to pass before a worker counts as hanging.
        assert time.monotonic() - began < (0 if what == "kill" else TIMEOUT) + 180


def wait(job: Job, process: subprocess.Popen[str], ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not ready():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGUSR1, 143)], ids=str
)
def test_a_signal_saves_and_leaves(
    new_job: Callable[..., Job], running: Any, train: Any, promise: Any, number: signal.Signals, code: int
) -> None:
    with promise(f"{number.name}", "to the driver while it trains"):
        job = new_job("stage.instruct.max_steps=60", "stage.instruct.epochs=20", "engine.checkpoint_minutes=60")
        process = running(*job.command(), env=job.env)
        wait(job, process, lambda: (job.folder / "metrics.jsonl").exists() and len(job.metrics()) > 2)
        asked = time.monotonic()
        process.send_signal(number)
        out, err = process.communicate(timeout=120)
        assert time.monotonic() - asked < 60, "longer than launch.grace"
        assert process.returncode == code and "go on with: python train.py" in err, (out, err)
        assert job.summary()["status"] == "interrupted"
        reached = len(job.metrics())
        assert [event["step"] for event in job.events("checkpoint")] == [reached] and reached < 60
        ran = train(*job.command(), env=job.env)
        assert ran.code == 0 and [event["step"] for event in job.events("resumed")] == [reached], ran
        assert [record["step"] for record in job.metrics()] == list(range(1, 61))


def test_a_signal_before_the_training_starts(new_job: Callable[..., Job], running: Any, promise: Any) -> None:
    with promise("SIGUSR1", "to the driver while workers start"):
        job = new_job()
        process = running(*job.command(), env=job.env)
        wait(job, process, lambda: (job.folder / "order.json").exists())
        process.send_signal(signal.SIGUSR1)
        out, err = process.communicate(timeout=120)
        assert process.returncode == 143 and "go on with" in err and "Traceback" not in err, (out, err)
        assert job.summary()["status"] == "interrupted"
