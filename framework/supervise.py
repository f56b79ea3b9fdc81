"""Starting a stage's workers, watching them, and knowing why they ended."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from framework.errors import Exit, Interrupted, StageFailed
from framework.failures import FAILURES, Failure, hanging, killed_for_memory, memory_kills, why
from framework.files import read_json
from framework.launchers.base import Launcher
from framework.paths import helper_environment
from framework.processes import die_with
from framework.secrets import Redactor

STOPPED = 75
"""Exit code of a worker that saved and left because it was asked to."""
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
"""What asks a run to save and leave; schedulers send SIGUSR1 before their time limit."""
_POLL_SECONDS = 0.1
_SETTLE_SECONDS = 1.0
_START_SECONDS = 300.0


class StopRequest:
    """A signal that asks the run to stop: noted, so that the workers can save first."""

    def __init__(self) -> None:
        self.number: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():  # others cannot receive signals
            for number in STOP_SIGNALS:
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: object) -> None:
        self.number = number

    def error(self, hint: str) -> Interrupted:
        """The exception to end with."""
        code = Exit.INTERRUPTED if self.number == signal.SIGINT else Exit.TERMINATED
        return Interrupted(f"stopped; go on with: {hint}", code)


Beat = Callable[[dict[str, Any]], None]


class Workers:
    """The worker processes of one attempt at a stage."""

    def __init__(self, launcher: Launcher, stage_file: Path, folder: Path, logs: Path) -> None:
        self._launcher = launcher
        self._folder = folder
        redact = Redactor.from_environment()
        for stale in [*folder.glob("heartbeat-*.json"), *folder.glob(FAILURES), folder / "result.json"]:
            stale.unlink(missing_ok=True)
        self._memory_kills = memory_kills()
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
                preexec_fn=die_with(os.getpid()),
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
                # Until its first sign of life a worker imports its libraries, which a cold disk makes slow.
                started = len(seen) == world
                patience = self._launcher.timeout if started else max(self._launcher.timeout, _START_SECONDS)
                if time.monotonic() - alive > patience:
                    return hanging(self._running(), self._folder, patience)
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
        first = self._dead()
        # The others notice the loss within moments and say so themselves: only the first is to blame.
        deadline = time.monotonic() + _SETTLE_SECONDS
        while time.monotonic() < deadline and any(process.poll() is None for process in self._processes):
            time.sleep(_POLL_SECONDS)
        codes = {rank: code for rank, process in enumerate(self._processes) if (code := process.poll()) is not None}
        if STOPPED in codes.values() and not any(code < 0 for code in codes.values()):
            return None if stop.number is not None else Failure("signal", "a worker was asked to stop from outside")
        failure = why(first, codes, self._folder)
        return killed_for_memory(failure, self._memory_kills)

    def _dead(self) -> list[int]:
        return [rank for rank, process in enumerate(self._processes) if process.poll() not in (None, 0)]

    def _running(self) -> dict[int, int]:
        return {rank: process.pid for rank, process in enumerate(self._processes) if process.poll() is None}

    def _signal(self, number: int) -> None:
        for process in self._processes:
            if process.poll() is None:
                process.send_signal(number)

    def _kill(self) -> None:
        for process in self._processes:
            if process.poll() is None:
                with contextlib.suppress(ProcessLookupError):  # it ended between the two lines
                    os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _copy(process: subprocess.Popen[str], log: Path, redact: Redactor) -> None:
    """Keep what a worker prints, without secrets.

    Where it cannot be kept it is read all the same: a full pipe would stop the worker.
    """
    assert process.stdout is not None
    lines = iter(process.stdout)
    with contextlib.suppress(OSError):
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a", encoding="utf-8") as file:
            for line in lines:
                file.write(redact(line))
                file.flush()
    for _ in lines:
        pass


def attempt(
    launcher: Launcher,
    stage_file: Path,
    folder: Path,
    logs: Path,
    hint: str,
    beat: Beat,
    told: Callable[[Failure, int], Failure],
    stop: StopRequest | None = None,
) -> None:
    """Run a stage's workers, again after failures that may pass, up to ``retries`` times.

    ``told`` gets every failure with the number of those before it, may change the order, and returns the failure as it
    is to be judged.

    Raises:
        Interrupted: when the run was asked to stop; the stage can be resumed.
        StageFailed: when the stage cannot be finished; names the reason and the log.
    """
    tries = 0
    while True:
        with contextlib.nullcontext(stop) if stop else StopRequest() as asked:
            if asked.number is not None:
                raise asked.error(hint)
            failure = Workers(launcher, stage_file, folder, logs).wait(asked, beat)
            if asked.number is not None:
                raise asked.error(hint)
        if failure is None:
            return
        failure = told(failure, tries)
        tries += 1
        if not failure.retryable or tries > launcher.retries:
            break
    raise StageFailed(
        f"stage {folder.name} failed ({failure.kind}): {failure.message}\n"
        f"    fix: {failure.fix or 'see ' + str(logs / (folder.name + '-rank0.log'))}; "
        f"what is done is kept: go on with: {hint}"
    )
