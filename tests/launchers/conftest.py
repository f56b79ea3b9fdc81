"""A run of a few steps that every launcher can be asked for."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

LABEL = "1-instruct"


@dataclass(frozen=True)
class Job:
    """One run in its own store."""

    arguments: list[str]
    run: Path
    home: Path

    @property
    def folder(self) -> Path:
        return self.run / "stages" / LABEL

    @property
    def env(self) -> dict[str, str]:
        return {"TRIPTYCH_HOME": str(self.home)}

    def command(self, *more: str) -> list[str]:
        return [*self.arguments, *more, f"run_dir={self.run}"]

    def metrics(self) -> list[dict[str, Any]]:
        file = self.folder / "metrics.jsonl"
        lines = file.read_text().splitlines(keepends=True) if file.exists() else []
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def losses(self) -> list[float]:
        return [record["loss"] for record in self.metrics()]

    def events(self, name: str) -> list[dict[str, Any]]:
        lines = (self.run / "events.jsonl").read_text().splitlines()
        return [event for event in map(json.loads, lines) if event["event"] == name]

    def summary(self) -> dict[str, Any]:
        return json.loads((self.run / "summary.json").read_text())

    def stage(self) -> dict[str, Any]:
        return json.loads((self.folder / "stage.json").read_text())

    def wait(self, process: subprocess.Popen[str], steps: int, seconds: float = 400.0) -> None:
        """Until so many steps are done."""
        deadline = time.monotonic() + seconds
        while len(self.metrics()) < steps:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def worker(self, rank: int) -> int:
        """The process of a rank."""
        return int(json.loads((self.folder / f"heartbeat-{rank}.json").read_text())["pid"])


@pytest.fixture(scope="session")
def new_job(
    tmp_path_factory: pytest.TempPathFactory, new_home: Callable[[], Path], write_rows: Any
) -> Callable[..., Job]:
    """Makes a run of ``steps`` steps on rows of its own."""
    rows = [
        {"instruction": f"Question {n} about case {n % 7}?", "response": f"By rule {n % 5} it holds."}
        for n in range(300)
    ]
    file = write_rows(tmp_path_factory.mktemp("launchers") / "talk.jsonl", rows)

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
