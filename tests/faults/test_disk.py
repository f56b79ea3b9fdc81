"""Full and read-only disks, checkpoints and models that are torn, flipped or incomplete."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from .conftest import STEPS, Job

pytestmark = pytest.mark.faults


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[None]:
    """A small file system in memory on a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True, text=True, check=False
    )
    if made.returncode:
        pytest.skip(f"no file system can be mounted here: {made.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


root = pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")


@root
def test_a_disk_that_fills_up_while_saving(
    new_job: Callable[..., Job], uninterrupted: Job, train: Any, promise: Any
) -> None:
    """Neither a checkpoint nor the model fits any more: the run ends, and goes on once there is room."""
    with promise("disk full", "a small tmpfs under run_dir that is filled up between two starts"):
        job = new_job("launch.retries=0")
        job.turns.write_text("\n" * 3)
        with mounted(job.run, "size=16m"):
            ran = train(*job.command(), env=job.fault(at="step", who="worker"))
            assert ran.code == 3, ran
            filler = job.run / "filler"
            filler.write_bytes(bytes(shutil.disk_usage(job.run).free - 100_000))
            ran = train(*job.command(), env=job.env)
            assert ran.code == 3 and "disk_full" in ran.err and "bytes are free" in ran.err, ran
            assert "fix: make room" in ran.err and "Traceback" not in ran.err
            assert {event["step"] for event in job.events("checkpoint_failed")} == {4, 5}
            assert job.summary()["status"] == "failed" and not (job.folder / "model").exists()
            filler.unlink()
            ran = train(*job.command(), env=job.env)
            assert ran.code == 0, ran
            assert [event["step"] for event in job.events("resumed")] == [3, 3]
            job.same(uninterrupted)


@root
def test_a_read_only_run_dir_is_refused(new_job: Callable[..., Job], train: Any, promise: Any) -> None:
    with promise("read-only output", "a read-only tmpfs as run_dir"):
        job = new_job()
        with mounted(job.run, "size=1m,ro"):
            ran = train(*job.command(), env=job.env)
            assert ran.code == 2 and "run_dir" in ran.err and "Read-only file system" in ran.err, ran
            assert "Traceback" not in ran.err


@root
def test_a_store_that_cannot_be_written(
    new_job: Callable[..., Job], uninterrupted: Job, train: Any, promise: Any
) -> None:
    """The run is finished without it, and found done in its own directory."""
    with promise("read-only store", "a read-only tmpfs as TRIPTYCH_HOME/store"):
        job = new_job()
        with mounted(job.home / "store", "size=1m,ro"):
            ran = train(*job.command(), env=job.env)
            assert ran.code == 0 and "not kept for reuse" in ran.out, ran
            job.same(uninterrupted)
            ran = train(*job.command(), env=job.env)
            assert ran.code == 0 and "done in this run_dir already" in ran.out, ran
            assert "starting the workers" not in ran.out
            job.same(uninterrupted)


@pytest.fixture(scope="module")
def stopped(new_job: Callable[..., Job], train: Any) -> Job:
    """A run whose worker was killed for good after step 5, with checkpoints of steps 3 and 4."""
    job = new_job("launch.retries=0")
    job.turns.write_text("\n" * (STEPS - 2))
    ran = train(*job.command(), env=job.fault(at="step", who="worker"))
    assert ran.code == 3 and sorted(path.name for path in (job.folder / "checkpoints").iterdir()) == [
        "step-00000003",
        "step-00000004",
    ], ran
    return job


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(bytes(content))


def tear(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        ("state-00000.safetensors", flip),
        ("state-00000.safetensors", tear),
        ("state-00000.safetensors", Path.unlink),
        ("generators.safetensors", flip),
        ("state.json", tear),
        ("manifest.json", Path.unlink),
    ],
)
def test_a_damaged_checkpoint_is_named_and_passed_over(
    stopped: Job,
    uninterrupted: Job,
    train: Any,
    promise: Any,
    tmp_path: Path,
    file: str,
    damage: Callable[[Path], None],
) -> None:
    words = {"flip": "one bit flipped", "tear": "half of the file", "unlink": "file missing"}
    with promise("damaged checkpoint", words[damage.__name__]):
        subprocess.run(["cp", "-a", str(stopped.run), str(stopped.home), str(tmp_path)], check=True)
        job = Job(stopped.arguments, tmp_path / stopped.run.name, tmp_path / stopped.home.name)
        damage(job.folder / "checkpoints" / "step-00000004" / file)
        ran = train(*job.command(), env=job.env)
        assert ran.code == 0, ran
        (told,) = job.events("checkpoint_damaged")
        assert "step-00000004" in told["message"]
        if file != "manifest.json":
            assert file in told["message"]
        assert "damaged checkpoint passed over" in ran.out and "step-00000004" in ran.out
        assert [event["step"] for event in job.events("resumed")] == [3]
        job.same(uninterrupted)


def test_a_model_that_is_damaged_is_not_called_finished(
    uninterrupted: Job, train: Any, promise: Any, tmp_path: Path
) -> None:
    """Store and run directory share one file: that it is damaged is noticed, and the stage is trained again."""
    with promise("damaged model", "one bit flipped in the file that store and run_dir share"):
        subprocess.run(["cp", "-a", str(uninterrupted.run), str(uninterrupted.home), str(tmp_path)], check=True)
        job = Job(uninterrupted.arguments, tmp_path / uninterrupted.run.name, tmp_path / uninterrupted.home.name)
        (stored,) = (job.home / "store" / "stages").glob("*/model/adapter_model.safetensors")
        assert stored.samefile(job.folder / "model" / "adapter_model.safetensors")
        flip(stored)
        ran = train(*job.command(), env=job.env)
        assert ran.code == 0 and "is damaged; training it again" in ran.out, ran
        job.same(uninterrupted)
