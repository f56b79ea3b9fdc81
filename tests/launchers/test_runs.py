"""Real runs through each launcher on this machine: what a lost rank, a stop and a dead driver come to."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

STEPS = 60


def hosts(folder: Path) -> list[str]:
    """Two hosts that are this machine, behind a shell that is none."""
    file = folder / "hosts"
    file.write_text("first slots=1\nsecond slots=1\n")
    shell = "launch.shell=[env,'HOST={host}',sh,-c,'{command}']"
    return ["launch=hostfile", f"launch.hostfile={file}", "launch.master=127.0.0.1", shell]


def gone(pids: list[int], seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_a_lost_rank_on_another_host_is_named_and_the_run_goes_on(
    new_job: Callable[..., Any], start: Any, tmp_path: Path
) -> None:
    job = new_job(STEPS)
    process = start(*job.command("engine.checkpoint_minutes=0.0001", *hosts(tmp_path)), env=job.env)
    job.wait(process, 5)
    os.kill(job.worker(1), signal.SIGKILL)
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, (out, err)
    (failed,) = job.events("workers_failed")
    assert failed["kind"] == "signal" and failed["message"].startswith("rank 1 on ") and "SIGKILL" in failed["message"]
    assert job.events("resumed")
    assert [record["step"] for record in job.metrics()] == list(range(1, STEPS + 1))


@pytest.mark.slow
def test_deepspeeds_launcher_lets_the_ranks_save(new_job: Callable[..., Any], start: Any, train: Any) -> None:
    job = new_job(STEPS)
    command = job.command("launch=deepspeed", "launch.processes=2", "engine=zero3")
    process = start(*command, env=job.env)
    job.wait(process, 3)
    pids = [job.worker(0), job.worker(1)]
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 143, (out, err)
    assert gone(pids)
    reached = len(job.metrics())
    assert 3 <= reached < STEPS
    ran = train(*command, env=job.env)
    assert ran.code == 0, ran
    assert [event["step"] for event in job.events("resumed")] == [reached]
    assert job.stage()["world_size"] == 2


@pytest.mark.slow
@pytest.mark.parametrize("launch", ["deepspeed", "hostfile"])
def test_ranks_end_with_a_killed_driver(new_job: Callable[..., Any], start: Any, tmp_path: Path, launch: str) -> None:
    job = new_job(STEPS)
    how = hosts(tmp_path) if launch == "hostfile" else ["launch=deepspeed", "launch.processes=2"]
    process = start(*job.command(*how), env=job.env)
    job.wait(process, 3)
    pids = [job.worker(0), job.worker(1)]
    process.kill()
    process.communicate(timeout=60)
    assert gone(pids), "ranks go on without their driver"


@pytest.mark.slow
def test_a_killed_deepspeed_launcher_is_a_failure_that_is_tried_again(new_job: Callable[..., Any], start: Any) -> None:
    job = new_job(STEPS)
    process = start(*job.command("launch=deepspeed", "launch.processes=2"), env=job.env)
    job.wait(process, 3)
    launcher = int(Path(f"/proc/{job.worker(0)}/stat").read_text().rsplit(")", 1)[1].split()[1])
    assert b"deepspeed.launcher.launch" in Path(f"/proc/{launcher}/cmdline").read_bytes()
    os.kill(launcher, signal.SIGKILL)
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, (out, err)
    (failed,) = job.events("workers_failed")
    assert failed["kind"] == "signal" and failed["message"].startswith("the launcher on ")


@pytest.mark.slow
def test_cores_are_bound(new_job: Callable[..., Any], train: Any) -> None:
    import shutil

    if shutil.which("numactl") is None:
        pytest.skip("there is no command numactl (Debian: apt-get install numactl)")
    job = new_job()
    ran = train(*job.command("launch=deepspeed", "launch.processes=1", "launch.bind_cores=true"), env=job.env)
    assert ran.code == 0, (ran, [log.read_text()[-2000:] for log in job.run.glob("logs/*.log")])


def test_a_host_that_cannot_be_reached_ends_the_run_with_its_name(
    new_job: Callable[..., Any], train: Any, tmp_path: Path
) -> None:
    job = new_job()
    arguments = [word for word in hosts(tmp_path) if not word.startswith("launch.shell")]
    shell = "launch.shell=[sh,-c,'echo no route to {host}; exit 255','{command}']"
    ran = train(*job.command(*arguments, shell), env=job.env)
    assert ran.code == 3 and "could not be reached" in ran.err and "no route to" in ran.err, ran
    assert "Traceback" not in ran.err and not job.events("resumed")
