"""Runs that tests start, look at while they go on, and stop."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LABEL = "1-instruct"


@dataclass
class Job:
    """One run of a single stage in its own store."""

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

    def worker(self, rank: int = 0) -> int:
        """The process of a rank."""
        return int(json.loads((self.folder / f"heartbeat-{rank}.json").read_text())["pid"])

    def weights(self) -> bytes:
        return (self.folder / "model" / "adapter_model.safetensors").read_bytes()


def talk() -> list[dict[str, str]]:
    """Rows for a stage of many short steps."""
    return [
        {"instruction": f"Question {n} about case {n % 7}?", "response": f"By rule {n % 5} it holds."}
        for n in range(300)
    ]


def stop(process: subprocess.Popen[str], metrics: Path, steps: int) -> None:
    """Ask a run to stop once it has done so many steps, and wait until it has."""
    while not metrics.exists() or len(metrics.read_text().splitlines()) < steps:
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=120)
    assert process.returncode == 143
