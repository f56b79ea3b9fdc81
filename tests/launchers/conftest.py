"""A run of a few steps that every launcher can be asked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.jobs import Job, talk


@pytest.fixture(scope="session")
def new_job(
    tmp_path_factory: pytest.TempPathFactory, new_home: Callable[[], Path], write_rows: Any
) -> Callable[..., Job]:
    """Makes a run of ``steps`` steps on rows of its own."""
    file = write_rows(tmp_path_factory.mktemp("launchers") / "talk.jsonl", talk())

    def make(steps: int = 6) -> Job:
        arguments = [
            "model=tiny",
            "stage=instruct",
            "data=files",
            "eval=none",
            "tracker=none",
            f"data.instruct.sources.talk.path={file}",
            "stage.instruct.max_length=128",
            "stage.instruct.batch.tokens=384",
            "stage.instruct.batch.micro_tokens=128",
            "stage.instruct.epochs=8",
            f"stage.instruct.max_steps={steps}",
        ]
        return Job(arguments, tmp_path_factory.mktemp("run") / "run", new_home())

    return make


@pytest.fixture(scope="session")
def alone(new_job: Callable[..., Job], train: Any) -> Job:
    """The run on one process of this machine."""
    job = new_job()
    ran = train(*job.command("launch.processes=1"), env=job.env)
    assert ran.code == 0, ran
    return job
