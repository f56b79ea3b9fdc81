"""Runs as jobs of a real Slurm on this machine: warned and queued again, stopped, several at once, on two nodes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

NEEDED = ("slurmctld", "slurmd", "sbatch", "munged")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        os.geteuid() != 0 or any(shutil.which(tool) is None for tool in NEEDED),
        reason="needs root and Slurm: apt-get install slurm-wlm munge",
    ),
]
SCRIPT = Path(__file__).parents[1] / "slurm" / "cluster.sh"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A cluster of two nodes; what commands need in their environment to reach it."""
    folder = tmp_path_factory.mktemp("cluster")
    started = subprocess.run([SCRIPT, "start", folder], capture_output=True, text=True)
    try:
        assert started.returncode == 0, started.stderr
        yield {"SLURM_CONF": str(folder / "slurm.conf")}
    finally:
        subprocess.run([SCRIPT, "stop", folder], check=True)


def tool(cluster: dict[str, str], *words: str) -> str:
    return subprocess.run(words, env={**os.environ, **cluster}, capture_output=True, text=True, check=True).stdout


def queue(cluster: dict[str, str]) -> list[str]:
    return tool(cluster, "squeue", "--noheader", "--format=%i").split()


def until(condition: Callable[[], Any], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def test_a_run_that_is_warned_is_queued_again_and_ends_as_one_that_was_not(
    cluster: dict[str, str], new_job: Callable[..., Any], start: Any, train: Any
) -> None:
    steps = 60
    plain, job = new_job(steps), new_job(steps)
    ran = train(*plain.command("launch.processes=2", "engine=zero2"), env=plain.env)
    assert ran.code == 0, ran
    process = start(*job.command("launch=slurm", "launch.nodes=2", "engine=zero2"), env={**job.env, **cluster})
    job.wait(process, 5)
    (number,) = queue(cluster)
    tool(cluster, "scancel", "--signal=USR1", "--batch", number)
    until(lambda: job.events("interrupted"), 60, "the run did not stop")
    reached = len(job.metrics())
    assert 5 <= reached < steps
    # Slurm lets a job that was queued again wait for two minutes; a test need not.
    until(lambda: "PENDING" in tool(cluster, "squeue", "--noheader", "--format=%T"), 90, "the job is not queued again")
    tool(cluster, "scontrol", "update", f"JobId={number}", "StartTime=now")
    out, err = process.communicate(timeout=200)
    assert process.returncode == 0, (out, err)
    assert [event["step"] for event in job.events("resumed")] == [reached]
    assert "Restarts=1" in tool(cluster, "scontrol", "show", "job", number)
    assert job.summary()["status"] == "finished" and job.stage()["world_size"] == 2
    assert [record["step"] for record in job.metrics()] == list(range(1, steps + 1))
    assert job.losses() == plain.losses()
    weights = "model/adapter_model.safetensors"
    assert (job.folder / weights).read_bytes() == (plain.folder / weights).read_bytes()


def test_stopping_the_submission_stops_the_job(
    cluster: dict[str, str], new_job: Callable[..., Any], start: Any
) -> None:
    job = new_job(400)
    process = start(*job.command("launch=slurm"), env={**job.env, **cluster})
    job.wait(process, 3)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130 and f"run_dir={job.run}" in err and "Traceback" not in err
    assert queue(cluster) == []
    assert job.summary()["status"] == "interrupted"
    assert list((job.folder / "checkpoints").glob("step-*")), "nothing was saved"


def test_three_runs_are_submitted_and_finish(cluster: dict[str, str], new_job: Callable[..., Any], train: Any) -> None:
    jobs = [new_job(4) for _ in range(3)]
    for seed, job in enumerate(jobs):
        ran = train(*job.command("launch=slurm", "launch.wait=false", f"seed={seed}"), env={**job.env, **cluster})
        assert ran.code == 0 and "submitted: job" in ran.out, ran
    until(lambda: not queue(cluster), 240, "the jobs do not end")
    assert [job.summary()["status"] for job in jobs] == ["finished"] * 3
    assert len({tuple(job.losses()) for job in jobs}) == 3


@pytest.mark.parametrize("how", ["scancel", "kill -9"])
def test_a_job_that_is_cancelled_or_dies_is_no_success(
    cluster: dict[str, str], new_job: Callable[..., Any], start: Any, how: str
) -> None:
    job = new_job(400)
    process = start(*job.command("launch=slurm"), env={**job.env, **cluster})
    job.wait(process, 1)
    worker = job.worker(0)
    if how == "scancel":  # Slurm asks all processes to end before it kills them
        tool(cluster, "scancel", *queue(cluster))
        code, says = 143, "the run is interrupted"
    else:
        os.kill(int((job.run / ".lock").read_text().split()[1]), signal.SIGKILL)
        code, says = 3, "the job ended while the run was running"
    out, err = process.communicate(timeout=120)
    assert process.returncode == code and says in out + err, (out, err)
    until(lambda: not Path(f"/proc/{worker}").exists(), 20, "a rank outlives its job")


def test_what_slurm_does_not_grant_is_a_message(
    cluster: dict[str, str], new_job: Callable[..., Any], train: Any
) -> None:
    for argument, says in (
        ("launch.partition=lnog", "choose of main"),
        ("launch.options=[--no-such-option]", "sbatch refuses the job"),
    ):
        job = new_job()
        ran = train(*job.command("launch=slurm", argument), env={**job.env, **cluster})
        assert ran.code == 2 and says in ran.err and "Traceback" not in ran.err, ran
