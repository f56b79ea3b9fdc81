"""The driver's end of a machine: ``python -P _relay.py SETTINGS``, with the standard library alone.

Runs the command that starts ``_node.py`` there (a remote shell, ``srun``, or nothing but Python), hands it the order
through its standard input, so that no variable stands on a command line, passes signals on, and says why ranks ended.
A signal reaches this process like any worker; when it is killed, the connection ends and with it the ranks.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

REPORT = "\x1e"
_PASSED = ("TRIPTYCH_", "HF_", "TRANSFORMERS_", "OMP_", "MKL_", "KMP_", "NCCL_", "GLOO_", "TORCH_", "DS_", "DEEPSPEED_")
_NAMED = ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "CUBLAS_WORKSPACE_CONFIG", "PYTHONPATH")
_POLL_SECONDS = 0.1
_ALIVE_SECONDS = 2.0
_REPORT_SECONDS = 0.7
"""Time for the ranks that failed because of a lost one to leave their own reason first."""


def passed(environment: dict[str, str]) -> dict[str, str]:
    """What ranks on another machine get of the driver's environment: settings of libraries, not of the machine."""
    return {name: value for name, value in environment.items() if name.startswith(_PASSED) or name in _NAMED}


class Relay:
    """One connection: to a machine, or through ``srun`` to several."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self._where: str = settings["where"]
        self._folder = Path(settings["results"])
        self._started = False
        self._lost: dict[str, Any] | None = None
        self._last = ""
        self._stopping = False
        self._process = subprocess.Popen(
            settings["command"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            # Killed together with this process it could not tell the other side; by itself it sees its input end.
            start_new_session=True,
        )
        order = settings["order"]
        order["environment"] = {**passed(dict(os.environ)), **order["environment"]}
        self.send(order)
        self._copying = threading.Thread(target=self._copy, daemon=True)
        self._copying.start()

    def send(self, record: dict[str, Any]) -> None:
        """A line to the other side; nothing where that has ended."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError, ValueError):
            self._process.stdin.write(json.dumps(record) + "\n")
            self._process.stdin.flush()

    def wait(self, driver: int, asked: list[int]) -> int:
        """Until the other side has ended, or the driver has. Returns the exit code."""
        said = time.monotonic()
        while (code := self._process.poll()) is None:
            if os.getppid() != driver:
                return 1  # the connection ends with this process
            while asked:
                self._stopping = True
                self.send({"signal": asked.pop(0)})
            if time.monotonic() - said > _ALIVE_SECONDS:
                self.send({})
                said = time.monotonic()
            time.sleep(_POLL_SECONDS)
        self._copying.join(timeout=5)
        code = code if code >= 0 else 128 - code
        if code and not self._stopping:
            self._explain(code)
        return code

    def _explain(self, code: int) -> None:
        """Leave the reason where the driver looks for it, unless a rank has left its own."""
        if self._lost is None and not self._started:
            said = f": {self._last}" if self._last else ""
            self._lost = {"kind": "error", "message": f"{self._where} could not be reached (exit code {code}){said}"}
        elif self._lost is None and code in (255, 128 + signal.SIGKILL, 128 + signal.SIGTERM, 128 + signal.SIGHUP):
            self._lost = {"kind": "lost", "message": f"the connection to {self._where} ended with exit code {code}"}
        if self._lost is not None:
            self._write(self._lost)

    def _copy(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if not line.startswith(REPORT):
                self._last = line.strip() or self._last
                sys.stdout.write(line)
                sys.stdout.flush()
                continue
            report: dict[str, Any] = json.loads(line[len(REPORT) :])
            self._started = self._started or "started" in report
            if "busy" in report:
                message = f"port {report['busy']} is in use on {self._where}"
                self._lost = {"kind": "lost", "message": message}
            elif report.get("code", 0) < 0 and self._lost is None and not self._stopping:
                what = "the launcher" if report["launcher"] else f"rank {report['rank']}"
                killer = signal.Signals(-report["code"]).name
                message = f"{what} on {report['host']} was killed by {killer}"
                self._lost = {"kind": "signal", "message": message}
                time.sleep(_REPORT_SECONDS)
                self._write(self._lost)

    def _write(self, failure: dict[str, Any]) -> None:
        temporary = self._folder / f".failure-{os.getpid()}"
        temporary.write_text(json.dumps({**failure, "rows": []}), encoding="utf-8")
        os.replace(temporary, self._folder / "failure-launcher.json")


def main() -> int:
    """The exit code of the other side."""
    driver = os.getppid()
    asked: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
        signal.signal(number, lambda number, frame: asked.append(number))
    return Relay(json.loads(sys.argv[1])).wait(driver, asked)


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)
