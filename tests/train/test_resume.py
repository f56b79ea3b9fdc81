"""Runs that are stopped or killed and go on end as one that never stopped: the same weights, bit for bit."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.jobs import Job, talk

STEPS = 120


@pytest.fixture(scope="module")
def new_job(
    tmp_path_factory: pytest.TempPathFactory, new_home: Callable[[], Path], write_rows: Any
) -> Callable[[], Job]:
    folder = tmp_path_factory.mktemp("resume")
    file = write_rows(folder / "talk.jsonl", talk())
    arguments = [
        "model=tiny",
        "stage=instruct",
        "data=files",
        "eval=none",
        "tracker=none",
        "adapter.dropout=0.1",
        f"data.instruct.sources.talk.path={file}",
        "stage.instruct.max_length=128",
        "stage.instruct.batch.tokens=128",
        "stage.instruct.epochs=4",
        f"stage.instruct.max_steps={STEPS}",
        "engine.checkpoint_minutes=0.01",
    ]
    return lambda: Job(arguments, tmp_path_factory.mktemp("run") / "run", new_home())


@pytest.fixture(scope="module")
def uninterrupted(new_job: Callable[[], Job], train: Any) -> Job:
    job = new_job()
    ran = train(*job.command(), env=job.env)
    assert ran.code == 0, ran
    assert len(job.metrics()) == STEPS
    return job


def same(job: Job, expected: Job) -> None:
    assert job.weights() == expected.weights()
    timing = {"tokens_per_second", "seconds"}
    shown = [{name: value for name, value in record.items() if name not in timing} for record in job.metrics()]
    wanted = [{name: value for name, value in record.items() if name not in timing} for record in expected.metrics()]
    assert [record["step"] for record in shown] == list(range(1, STEPS + 1))
    assert shown == wanted
    assert not (job.folder / "checkpoints").exists()
    assert not list(job.folder.glob("heartbeat-*"))
    done, other = (json.loads((each.folder / "stage.json").read_text()) for each in (job, expected))
    for name in ("key", "steps", "tokens", "supervised_tokens", "status"):
        assert done[name] == other[name]


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_run_goes_on(
    new_job: Callable[[], Job], uninterrupted: Job, start: Any, train: Any, number: signal.Signals, code: int
) -> None:
    job = new_job()
    process = start(*job.command(), env=job.env)
    job.wait(process, 5)
    process.send_signal(number)
    out, err = process.communicate(timeout=120)
    assert process.returncode == code, (out, err)
    assert "go on with: python train.py" in err and f"run_dir={job.run}" in err and "Traceback" not in err
    reached = len(job.metrics())
    assert 5 <= reached < STEPS
    assert json.loads((job.run / "summary.json").read_text())["status"] == "interrupted"
    assert not (job.folder / "stage.json").exists()
    ran = train(*job.command(), env=job.env)
    assert ran.code == 0, ran
    resumed = [event["step"] for event in job.events("resumed")]
    assert resumed == [reached], "a stop saves before it leaves: no step is lost"
    same(job, uninterrupted)


def test_a_killed_worker_is_started_again(new_job: Callable[[], Job], uninterrupted: Job, start: Any) -> None:
    job = new_job()
    process = start(*job.command(), env=job.env)
    job.wait(process, 5)
    os.kill(job.worker(), signal.SIGKILL)
    out, err = process.communicate(timeout=180)
    assert process.returncode == 0, (out, err)
    (failed,) = job.events("workers_failed")
    assert failed["kind"] == "signal" and "SIGKILL" in failed["message"] and "SIGKILL" in out
    same(job, uninterrupted)


def test_a_killed_driver_takes_its_workers_along(
    new_job: Callable[[], Job], uninterrupted: Job, start: Any, train: Any
) -> None:
    job = new_job()
    process = start(*job.command(), env=job.env)
    job.wait(process, 3)
    worker = job.worker()
    process.kill()
    process.communicate(timeout=60)
    deadline = time.monotonic() + 10
    while not gone(worker):
        assert time.monotonic() < deadline, "the worker goes on without its driver"
        time.sleep(0.05)
    ran = train(*job.command(), env=job.env)
    assert ran.code == 0, ran
    same(job, uninterrupted)


def test_a_run_that_cannot_go_on_says_why(uninterrupted: Job, train: Any) -> None:
    ran = train(*uninterrupted.command(), "seed=1", env=uninterrupted.env)
    assert ran.code == 2 and "run_dir" in ran.err and "another plan" in ran.err and "1-instruct" in ran.err
    ran = train(*uninterrupted.command(), "resume=never", env=uninterrupted.env)
    assert ran.code == 2 and "resume=never" in ran.err and "Traceback" not in ran.err
