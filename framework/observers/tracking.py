"""The tracker's process beside a run: it reads the run's files, so that a slow or failing tracker costs nothing."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

from framework.paths import helper_environment
from framework.rundir import RunDir
from framework.schema import Config
from framework.secrets import is_secret_name

_FINISH_SECONDS = 60.0
_CONNECT_SECONDS = 3.0


def has_key() -> bool:
    """Whether W&B has a key: in the environment, or left by ``wandb login``."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    netrc = Path(os.environ.get("NETRC") or Path.home() / ".netrc")
    return netrc.exists() and "api.wandb.ai" in netrc.read_text(encoding="utf-8", errors="replace")


def _reachable() -> bool:
    host = os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai").split("://")[-1].split("/")[0]
    name, _, port = host.partition(":")
    try:
        socket.create_connection((name, int(port or 443)), timeout=_CONNECT_SECONDS).close()
    except (OSError, ValueError):
        return False
    return True


def mode() -> str:
    """``WANDB_MODE`` where it is set, else online with a key and a network, else offline."""
    asked = os.environ.get("WANDB_MODE")
    if asked in ("online", "offline", "disabled"):
        return asked
    return "online" if has_key() and _reachable() else "offline"


class Tracking:
    """Starts the tracker's process and lets it finish after the run; its failures become events."""

    def __init__(self, config: Config, run: RunDir) -> None:
        self._config = config
        self._run = run
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Tracking:
        chosen = mode() if self._config.tracker.kind == "wandb" else "disabled"
        if chosen == "disabled":
            return self
        # Offline nothing needs a secret, so none is handed on.
        keep = chosen == "online"
        environment = {name: value for name, value in helper_environment().items() if keep or not is_secret_name(name)}
        environment |= {"WANDB_MODE": chosen, "WANDB_SILENT": "true"}
        self._run.logs.mkdir(parents=True, exist_ok=True)
        with (self._run.logs / "tracker.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "framework.observers.wandb_process", str(self._run.path)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )
        self._run.tell("tracker", mode=chosen)
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is None:
            return
        assert self._process.stdin is not None
        self._process.stdin.close()  # tells it that the run has ended
        try:
            code = self._process.wait(_FINISH_SECONDS)
            if code:
                self._run.tell("tracker_failed", exit_code=code, log=str(self._run.logs / "tracker.log"))
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._run.tell(
                "tracker_failed", reason=f"not done {_FINISH_SECONDS:.0f} s after the run; data is kept offline"
            )
