"""Logs a run directory to Weights & Biases: ``python -m framework.observers.wandb_process RUN_DIR``.

Follows the files of the run until standard input ends. One W&B run for each plan; every stage has its own step axis.
"""

from __future__ import annotations

import json
import os
import select
import sys
import time
from pathlib import Path
from typing import Any

import wandb
import yaml

from framework.files import read_json, read_lines

_POLL_SECONDS = 2.0
_BEGIN_SECONDS = 30.0


class Follower:
    """Sends to W&B what has been added to a run directory since the last look."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        deadline = time.monotonic() + _BEGIN_SECONDS
        while not (folder / "plan.json").exists() and time.monotonic() < deadline:
            time.sleep(0.1)  # the run writes it as it begins
        config: dict[str, Any] = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
        plan: dict[str, Any] = read_json(folder / "plan.json")
        tracker = config["tracker"]
        self._run = wandb.init(
            dir=str(folder),
            project=tracker["project"],
            entity=tracker["entity"],
            group=tracker["group"] or config["name"],
            tags=tracker["tags"] or None,
            name=f"{config['name']}-{plan['plan_key'][:8]}",
            config={**config, "plan_key": plan["plan_key"]},
            settings=wandb.Settings(
                console="off",
                disable_git=True,
                disable_code=True,
                x_disable_meta=True,
                x_disable_stats=True,
                init_timeout=tracker["timeout"] / 3,
            ),
        )
        self._plan = plan
        self._sent: dict[str, int] = {}
        self._stages_sent: set[str] = set()
        for stage in plan["stages"]:
            label = stage["name"]
            self._run.define_metric(f"{label}/step")
            self._run.define_metric(f"{label}/*", step_metric=f"{label}/step")

    def look(self) -> None:
        """Log new steps."""
        for stage in self._plan["stages"]:
            label = stage["name"]
            records = read_lines(self._folder / "stages" / label / "metrics.jsonl")
            for record in records[self._sent.get(label, 0) :]:
                self._run.log({f"{label}/{name}": value for name, value in _flat(record).items()})
            self._sent[label] = len(records)

    def finish(self) -> None:
        """Log the tables and where the stages' weights are."""
        self.look()
        summary: dict[str, Any] = read_json(self._folder / "summary.json")
        rows: list[Any] = [
            [stage, source, mix["planned"], mix["realised"], mix["tokens"], mix["epochs"]]
            for stage, sources in summary["mix"].items()
            for source, mix in sources.items()
        ]
        columns: list[Any] = ["stage", "source", "planned share", "realised share", "tokens", "epochs"]
        self._run.log({"mix": wandb.Table(columns=columns, data=rows)})
        retention = summary["retention"]
        if retention:
            values: list[Any] = [
                [row["suite"], row["measures"], row["metric"], *(cell and cell["value"] for cell in row["cells"])]
                for row in retention["rows"]
            ]
            table = wandb.Table(columns=["suite", "measures", "metric", *retention["columns"]], data=values)
            self._run.log({"retention": table})
            for row in retention["rows"]:
                for column, cell in zip(retention["columns"], row["cells"], strict=True):
                    if cell:
                        self._run.summary[f"{row['suite']}/{column}"] = cell["value"]
        for stage in summary["stages"]:
            model = self._folder / "stages" / stage["name"] / "model"
            if model.exists():
                artifact = wandb.Artifact(f"stage-{stage['key']}", type="model")
                artifact.add_reference(f"file://{model}", checksum=False)
                self._run.log_artifact(artifact)
        self._run.summary.update({"status": summary["status"], "plan_key": summary["plan_key"], **summary["totals"]})
        self._run.finish()


def _flat(record: dict[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in record.items():
        if isinstance(value, dict):
            inner: dict[str, Any] = value  # pyright: ignore[reportUnknownVariableType]
            flat |= {f"{name}/{key}": item for key, item in inner.items()}
        else:
            flat[name] = value
    return flat


def main() -> None:
    """Follow until standard input ends, then finish."""
    try:
        follower = Follower(Path(sys.argv[1]))
    except wandb.Error as error:
        if os.environ.get("WANDB_MODE") != "online":
            raise
        # The library does not recover from a failed start in the same process; a new one keeps the data offline.
        print(f"{type(error).__name__}: {error}; going on offline", file=sys.stderr, flush=True)
        os.execve(
            sys.executable,
            [sys.executable, "-m", "framework.observers.wandb_process", *sys.argv[1:]],
            {**os.environ, "WANDB_MODE": "offline"},
        )
    while True:
        ready, _, _ = select.select([sys.stdin], [], [], _POLL_SECONDS)
        if ready and not sys.stdin.read(1):
            break
        follower.look()
    follower.finish()


if __name__ == "__main__":
    try:
        main()
    except (OSError, ValueError, KeyError, json.JSONDecodeError, wandb.Error) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(1)
