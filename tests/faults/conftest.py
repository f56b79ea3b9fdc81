"""Runs in which a fault is made to happen, and the table of the promises that were kept."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests import jobs

INJECT = Path(__file__).parent / "inject"
STEPS = 6


@dataclass
class Job(jobs.Job):
    """One training of a few short steps, to which a fault happens."""

    environment: dict[str, str] = field(default_factory=dict)

    @property
    def turns(self) -> Path:
        return self.home / "turns"

    @property
    def env(self) -> dict[str, str]:
        return {"TRIPTYCH_HOME": str(self.home), **self.environment}

    def fault(self, **what: Any) -> dict[str, str]:
        """The environment in which the fault happens."""
        path = os.pathsep.join([str(INJECT), *filter(None, [os.environ.get("PYTHONPATH")])])
        return {**self.env, "PYTHONPATH": path, "FAULT": json.dumps({"turns": str(self.turns), **what})}

    def happened(self) -> list[str]:
        return self.turns.read_text().splitlines() if self.turns.exists() else []

    def same(self, expected: Job) -> None:
        """Bitwise the weights of a run that nothing happened to, and metrics without a gap or a repeat."""
        timing = {"tokens_per_second", "seconds"}
        shown = [{name: value for name, value in record.items() if name not in timing} for record in self.metrics()]
        wanted = [
            {name: value for name, value in record.items() if name not in timing} for record in expected.metrics()
        ]
        assert [record["step"] for record in shown] == list(range(1, len(wanted) + 1))
        assert shown == wanted
        assert self.weights() == expected.weights()
        assert self.summary()["status"] == "finished"
        assert not (self.folder / "checkpoints").exists() and not list(self.folder.glob("heartbeat-*"))


@pytest.fixture(scope="session")
def rows(tmp_path_factory: pytest.TempPathFactory, write_rows: Any) -> Path:
    found = [
        {"id": f"r{n}", "instruction": f"Question {n} about case {n % 7}?", "response": f"By rule {n % 5} it holds."}
        for n in range(60)
    ]
    return write_rows(tmp_path_factory.mktemp("rows") / "talk.jsonl", found)


@pytest.fixture(scope="session")
def new_job(tmp_path_factory: pytest.TempPathFactory, new_home: Callable[[], Path], rows: Path) -> Callable[..., Job]:
    def make(*more: str, home: Path | None = None) -> Job:
        arguments = [
            "model=tiny",
            "stage=instruct",
            "data=files",
            "eval=none",
            "tracker=none",
            "adapter.dropout=0.1",
            f"data.instruct.sources.talk.path={rows}",
            "stage.instruct.max_length=128",
            "stage.instruct.batch.tokens=256",
            "stage.instruct.batch.micro_tokens=128",
            "stage.instruct.epochs=4",
            f"stage.instruct.max_steps={STEPS}",
            "engine.checkpoint_minutes=0.00001",
            *more,
        ]
        return Job(arguments, tmp_path_factory.mktemp("run") / "run", home or new_home())

    return make


@pytest.fixture(scope="module")
def uninterrupted(new_job: Callable[..., Job], train: Any) -> Job:
    """The run that nothing happens to."""
    job = new_job()
    ran = train(*job.command(), env=job.env)
    assert ran.code == 0, ran
    assert len(job.metrics()) == STEPS
    return job


@pytest.fixture
def running(start: Any) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts runs in the background, and ends those that are left."""
    processes: list[subprocess.Popen[str]] = []

    def run(*arguments: str, env: dict[str, str]) -> subprocess.Popen[str]:
        processes.append(start(*arguments, env=env))
        return processes[-1]

    yield run
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.communicate()


@dataclass
class Tried:
    """How often a fault was made to happen under one promise."""

    runs: int = 1


@pytest.fixture
def promise(request: pytest.FixtureRequest) -> Any:
    """Counts for the table: ``with promise(fault, how) as tried``; kept when the block ends well."""

    @contextmanager
    def count(fault: str, how: str, runs: int = 1) -> Iterator[Tried]:
        tried, kept = Tried(runs), False
        try:
            yield tried
            kept = True
        finally:
            record = [fault, how, tried.runs, tried.runs if kept else 0]
            request.node.user_properties.append(("fault", record))

    return count
