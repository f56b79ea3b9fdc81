"""Starting a stage's workers, watching them, and knowing why they ended."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from framework.errors import Exit, Interrupted, StageFailed
from framework.files import read_json
from framework.launchers.base import Launcher
from framework.paths import helper_environment
from framework.secrets import Redactor

STOPPED = 75
"""Exit code of a worker that saved and left because it was asked to."""
_POLL_SECONDS = 0.1


class StopRequest:
    """SIGINT and SIGTERM while a stage runs: noted, so that the workers can save first."""

    def __init__(self) -> None:
        self.number: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> StopRequest:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: object) -> None:
        self.number = number

    def error(self, hint: str) -> Interrupted:
        """The exception to end with."""
        code = Exit.TERMINATED if self.number == signal.SIGTERM else Exit.INTERRUPTED
        return Interrupted(f"stopped; go on with: {hint}", code)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why workers ended without finishing."""

    kind: str
    """``out_of_memory``, ``not_finite``, ``hang``, ``signal``, ``lost`` (a machine or its connection) or ``error``."""
    message: str

    @property
    def retryable(self) -> bool:
        """Whether the same work may succeed when it is tried again."""
        return self.kind in ("signal", "lost", "hang", "out_of_memory")


Beat = Callable[[dict[str, Any]], None]


class Workers:
    """The worker processes of one attempt at a stage."""

    def __init__(self, launcher: Launcher, stage_file: Path, folder: Path, logs: Path) -> None:
        self._launcher = launcher
        self._folder = folder
        redact = Redactor.from_environment()
        for stale in [*folder.glob("heartbeat-*.json"), folder / "failure.json", folder / "result.json"]:
            stale.unlink(missing_ok=True)
        self._processes: list[subprocess.Popen[str]] = []
        for process in launcher.workers(stage_file):
            environment = {**helper_environment(), **process.environment}
            started = subprocess.Popen(
                process.command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                start_new_session=True,  # Ctrl-C reaches the driver alone; it asks the workers to save
            )
            self._processes.append(started)
            log = logs / f"{folder.name}-rank{process.rank}.log"
            threading.Thread(target=_copy, args=(started, log, redact), daemon=True).start()

    def wait(self, stop: StopRequest, beat: Beat) -> Failure | None:
        """Until all have ended. None when they finished; raises nothing on a stop, which ``stop`` tells."""
        asked: float | None = None
        alive = time.monotonic()
        seen: dict[int, float] = {}
        world = self._launcher.world_size()  # a process may start several ranks
        try:
            while True:
                codes = [process.poll() for process in self._processes]
                if all(code == 0 for code in codes):
                    return None
                if any(code not in (None, 0) for code in codes):
                    return self._ended(stop)
                if stop.number is not None and asked is None:
                    asked = time.monotonic()
                    self._signal(signal.SIGTERM)
                if asked is not None and time.monotonic() - asked > self._launcher.grace:
                    return Failure("hang", "the workers did not stop in time")
                for rank in range(world):
                    if self._look(rank, seen, beat if rank == 0 else None):
                        alive = time.monotonic()
                if time.monotonic() - alive > self._launcher.timeout:
                    ranks = [rank for rank, code in enumerate(codes) if code is None]
                    return Failure("hang", f"no sign of life for {self._launcher.timeout:.0f} s from ranks {ranks}")
                time.sleep(_POLL_SECONDS)
        finally:
            self._kill()

    def _look(self, rank: int, seen: dict[int, float], beat: Beat | None) -> bool:
        path = self._folder / f"heartbeat-{rank}.json"
        try:
            changed = path.stat().st_mtime
            if seen.get(rank) == changed:
                return False
            seen[rank] = changed
            if beat is not None:
                beat(read_json(path))
        except (OSError, ValueError):
            return False
        return True

    def _ended(self, stop: StopRequest) -> Failure | None:
        deadline = time.monotonic() + self._launcher.grace
        # Peers of a stopped worker save together; peers of a dead one hang in a collective and are ended.
        while stop.number is not None and time.monotonic() < deadline:
            if all(process.poll() is not None for process in self._processes):
                break
            time.sleep(_POLL_SECONDS)
        time.sleep(2 * _POLL_SECONDS)  # the exit of a worker and its failure file
        codes = [process.poll() for process in self._processes]
        path = self._folder / "failure.json"
        if path.exists():
            told = read_json(path)
            rows = f" (rows {', '.join(told['rows'][:8])})" if told["rows"] else ""
            return Failure(told["kind"], told["message"] + rows)
        if any(code == STOPPED for code in codes):
            return None if stop.number is not None else Failure("signal", "a worker was asked to stop from outside")
        rank, code = next((rank, code) for rank, code in enumerate(codes) if code not in (None, 0))
        assert code is not None
        if code < 0:
            return Failure("signal", f"rank {rank} was killed by {signal.Signals(-code).name}")
        return Failure("error", f"rank {rank} ended with exit code {code}")

    def _signal(self, number: int) -> None:
        for process in self._processes:
            if process.poll() is None:
                process.send_signal(number)

    def _kill(self) -> None:
        for process in self._processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _copy(process: subprocess.Popen[str], log: Path, redact: Redactor) -> None:
    """Keep what a worker prints, without secrets."""
    assert process.stdout is not None
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8") as file:
        for line in process.stdout:
            file.write(redact(line))
            file.flush()


def attempt(
    launcher: Launcher,
    stage_file: Path,
    folder: Path,
    logs: Path,
    hint: str,
    beat: Beat,
    told: Callable[[Failure, int], None],
) -> None:
    """Run a stage's workers, again after failures that may pass, up to ``retries`` times.

    Raises:
        Interrupted: when the run was asked to stop; the stage can be resumed.
        StageFailed: when the stage cannot be finished; names the reason and the log.
    """
    tries = 0
    while True:
        with StopRequest() as stop:
            failure = Workers(launcher, stage_file, folder, logs).wait(stop, beat)
            if stop.number is not None:
                raise stop.error(hint)
        if failure is None:
            return
        told(failure, tries)
        tries += 1
        if not failure.retryable or tries > launcher.retries:
            break
    raise StageFailed(
        f"stage {folder.name} failed ({failure.kind}): {failure.message}\n"
        f"    fix: see {logs / (folder.name + '-rank0.log')}; what is done is kept: go on with: {hint}"
    )
