"""The tracker's process beside a run: it reads the run's files, so that a slow or failing tracker costs nothing."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

from framework.paths import helper_environment
from framework.rundir import RunDir
from framework.schema import Config
from framework.secrets import is_secret_name

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
    answered: list[bool] = []

    def connect() -> None:
        with contextlib.suppress(OSError, ValueError):
            socket.create_connection((name, int(port or 443)), timeout=_CONNECT_SECONDS).close()
            answered.append(True)

    # Looking up a name has no timeout of its own.
    attempt = threading.Thread(target=connect, daemon=True)
    attempt.start()
    attempt.join(_CONNECT_SECONDS)
    return bool(answered)


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
        seconds = self._config.tracker.timeout
        with contextlib.suppress(OSError):  # a full disk must not hide how the run ended
            try:
                code = self._process.wait(seconds)
                if code:
                    self._run.tell("tracker_failed", exit_code=code, log=str(self._run.logs / "tracker.log"))
            except subprocess.TimeoutExpired:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self._process.pid, signal.SIGKILL)  # its helpers as well
                self._process.wait()
                reason = (
                    f"not done {seconds:.0f} s after the run; what was not sent is kept in {self._run.path / 'wandb'}"
                )
                self._run.tell("tracker_failed", reason=reason)
