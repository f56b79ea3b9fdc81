"""Losses that are no numbers, losses that jump, and memory that does not suffice."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from .conftest import STEPS, Job

pytestmark = pytest.mark.faults


def step_rows(job: Job, step: int) -> set[str]:
    (failed,) = job.events("workers_failed")
    assert f"at step {step}" in failed["message"]
    return set(failed["message"].split("(rows ")[1].rstrip(")").split(", "))


@pytest.mark.parametrize("zero", [0, 1, 2, 3])
def test_a_loss_that_is_not_finite(new_job: Callable[..., Job], train: Any, promise: Any, zero: int) -> None:
    """It stops the stage and names the rows; with ``skip`` the step changes nothing and the run goes on."""
    with promise("loss is NaN, stop", f"NaN at step 3, ZeRO {zero}"):
        job = new_job(f"engine.zero={zero}")
        ran = train(*job.command(), env=job.fault(at="forward", what="nan", step=3))
        assert ran.code == 3 and "not_finite" in ran.err and "stage.STAGE.not_finite=skip" in ran.err, ran
        rows = step_rows(job, 3)
        assert rows and all(row.endswith(tuple(f"r{n}" for n in range(60))) for row in rows)
        assert [record["step"] for record in job.metrics()] == [1, 2]
    with promise("loss is NaN, skip", f"NaN at step 3, ZeRO {zero}"):
        job = new_job(f"engine.zero={zero}", "stage.instruct.not_finite=skip")
        ran = train(*job.command(), env=job.fault(at="forward", what="nan", step=3))
        assert ran.code == 0 and "1 steps were skipped (1 not_finite)" in ran.out, ran
        steps = job.metrics()
        assert [record.get("skipped") for record in steps] == [None, None, "not_finite", None, None, None]
        assert steps[2]["loss"] is None and all(record["loss"] > 0 for record in steps if "skipped" not in record)
        assert job.summary()["totals"]["skipped_steps"] == 1
        (told,) = job.events("step_skipped")
        assert told["step"] == 3 and set(told["rows"]) >= rows
        json.dumps(job.summary(), allow_nan=False)


def test_a_loss_that_jumps(new_job: Callable[..., Job], train: Any, promise: Any) -> None:
    with promise("loss spike, skip", "a thousandfold loss at step 6"):
        job = new_job("stage.instruct.not_finite=skip", "stage.instruct.spike=3", "stage.instruct.max_steps=8")
        ran = train(*job.command(), env=job.fault(at="forward", what="spike", step=6))
        assert ran.code == 0, ran
        assert [record["step"] for record in job.metrics() if record.get("skipped") == "loss_spike"] == [6]
    with promise("loss spike, stop", "a thousandfold loss at step 6"):
        job = new_job("stage.instruct.spike=3", "stage.instruct.max_steps=8")
        ran = train(*job.command(), env=job.fault(at="forward", what="spike", step=6))
        assert ran.code == 3 and "loss_spike" in ran.err and "over the bound" in ran.err, ran
        assert step_rows(job, 6)


def test_memory_that_does_not_suffice(new_job: Callable[..., Job], train: Any, promise: Any) -> None:
    """The allocator refuses forward passes of more than one pack: half of it is tried, and fits."""
    with promise("out of memory, halve", "the allocator refuses the larger micro-batches"):
        job = new_job("stage.instruct.batch.micro_tokens=256")
        ran = train(*job.command(), env=job.fault(at="forward", what="memory", tokens=128))
        assert ran.code == 0, ran
        (failed,) = job.events("workers_failed")
        assert failed["kind"] == "out_of_memory"
        for words in ("can't allocate memory", "the largest worker used", "the plan estimated", "next: 128 micro"):
            assert words in failed["message"], failed
        done = json.loads((job.folder / "stage.json").read_text())
        assert done["micro_tokens"] == 128 and len(job.metrics()) == STEPS
    with promise("out of memory, stop", "the allocator refuses the larger micro-batches"):
        job = new_job("stage.instruct.batch.micro_tokens=256", "engine.out_of_memory=stop")
        ran = train(*job.command(), env=job.fault(at="forward", what="memory", tokens=128))
        assert ran.code == 3 and "out_of_memory" in ran.err and "batch.micro_tokens" in ran.err, ran
        assert len(job.happened()) == 1
