"""The run directory: its files by name, the lock that keeps a second run out, and the log of events."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from collections.abc import Generator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from framework.errors import ConfigError, Problem
from framework.files import append_json
from framework.processes import alive
from framework.schema import Config

_HOLDER_SECONDS = 2.0


class RunDir:
    """Paths below a run's directory."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / "config.yaml"
        self.plan = path / "plan.json"
        self.events = path / "events.jsonl"
        self.summary = path / "summary.json"
        self.logs = path / "logs"

    def stage(self, label: str) -> Path:
        """The folder of a stage, by its label (``1-instruct``)."""
        return self.path / "stages" / label

    def tell(self, event: str, stage: str = "", **fields: Any) -> None:
        """Add a line to events.jsonl."""
        append_json(self.events, {"time": time.time(), "event": event, "stage": stage, **fields})

    @contextmanager
    def locked(self) -> Generator[None]:
        """Held while a run writes here. The operating system drops it with the process, so it is never stale.

        Raises ``ConfigError`` naming the process that holds it, or why the directory cannot be written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            file = (self.path / ".lock").open("a+", encoding="utf-8")
        except OSError as error:
            message = f"{self.path} cannot be written: {error.strerror or error}"
            raise ConfigError([Problem("run_dir", message, "choose a directory that can be written")]) from None
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                message = f"{self.path} is in use by {_holder(self.path / '.lock')}"
                raise ConfigError([Problem("run_dir", message, "wait for it, or choose another run_dir")]) from None
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()}")
            file.flush()
            yield


def _holder(lock: Path) -> str:
    """Who holds the lock. One who has just taken it needs a moment to say so, and the last one's words stand there."""
    deadline = time.monotonic() + _HOLDER_SECONDS
    said = ""
    while time.monotonic() < deadline:
        said = lock.read_text(encoding="utf-8").strip()
        words = said.split()
        if len(words) == 4 and (words[3] != socket.gethostname() or alive(int(words[1]))):
            break
        time.sleep(0.02)
    return said or "another process"


def choose(config: Config) -> RunDir:
    """``run_dir``, or a new folder under ``outputs/NAME``."""
    if config.run_dir:
        return RunDir(Path(config.run_dir).expanduser().resolve())
    stamp = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    path = Path.cwd() / "outputs" / config.name / stamp
    number = 1
    while path.exists():  # two runs within a second
        number += 1
        path = path.with_name(f"{stamp}_{number}")
    return RunDir(path)


def config_text(config: dict[str, Any]) -> str:
    """The composed configuration as YAML."""
    import yaml

    # Through JSON: only plain values, no aliases, no tags.
    return yaml.safe_dump(json.loads(json.dumps(config)), sort_keys=False, allow_unicode=True)
