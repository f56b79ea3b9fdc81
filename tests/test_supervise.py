"""Workers that end in every way, as small programs without a model: what the driver makes of it."""

from __future__ import annotations

import signal
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest

from framework.errors import Interrupted, StageFailed
from framework.failures import Failure
from framework.launchers.base import Launcher, Process
from framework.processes import alive
from framework.supervise import StopRequest, attempt

PRELUDE = """
import faulthandler, json, os, signal, sys, time
rank, folder = int(sys.argv[1]), sys.argv[2]
faulthandler.register(signal.SIGUSR2, file=open(f"{folder}/stack-{rank}.txt", "w"), all_threads=True)
def beat(memory=0):
    with open(f"{folder}/heartbeat-{rank}.json", "w") as file:
        json.dump({"phase": "x", "done": 0, "total": 0, "note": "", "pid": os.getpid(), "memory_bytes": memory}, file)
def fail(kind, message, rows=()):
    with open(f"{folder}/failure-{rank}.json", "w") as file:
        json.dump({"kind": kind, "message": message, "rows": list(rows)}, file)
    sys.exit(1)
def first():
    mark = f"{folder}/tried-{rank}"
    new = not os.path.exists(mark)
    open(mark, "w").close()
    return new
beat(10**9 * (rank + 1))
"""


class Programs(Launcher):
    """Starts the same program for every rank."""

    kind: str = "programs"
    program: str
    folder_: str
    count: int = 2

    def world_size(self) -> int:
        return self.count

    def workers(self, stage_file: Path) -> list[Process]:
        program = PRELUDE + textwrap.dedent(self.program)
        return [
            Process([sys.executable, "-c", program, str(rank), self.folder_], {}, rank) for rank in range(self.count)
        ]


@pytest.fixture
def outcome(tmp_path: Path) -> Any:
    """Runs a program on two ranks; returns the failures, and how it ended."""

    def run(program: str, retries: int = 0, timeout: float = 2.0, grace: float = 5.0) -> tuple[list[Failure], str]:
        launcher = Programs(program=program, folder_=str(tmp_path), retries=retries, timeout=timeout, grace=grace)
        failures: list[Failure] = []

        def told(failure: Failure, tries: int) -> Failure:
            failures.append(failure)
            return failure

        try:
            attempt(launcher, tmp_path / "order.json", tmp_path, tmp_path / "logs", "again", lambda _: None, told)
        except StageFailed as failed:
            return failures, str(failed)
        return failures, "done"

    return run


def test_one_that_is_killed_is_named_and_started_again(outcome: Any) -> None:
    failures, end = outcome(
        """
        if rank == 1 and first():
            os.kill(os.getpid(), signal.SIGKILL)
        if rank == 0 and first():
            time.sleep(0.3)
            fail("peer", "Connection closed by peer")
        """,
        retries=1,
    )
    assert end == "done"
    assert [(failure.kind, failure.message) for failure in failures] == [("signal", "rank 1 was killed by SIGKILL")]


@pytest.mark.parametrize(
    ("hangs", "says"),
    [("os.kill(os.getpid(), signal.SIGSTOP)", "rank 1 is halted (SIGSTOP)"), ("sleep_here()", "rank 1 is hanging")],
)
def test_one_that_hangs_is_named(outcome: Any, hangs: str, says: str) -> None:
    program = f"""
        exec(compile("def all_reduce():\\n    time.sleep(60)", "/torch/distributed/distributed_c10d.py", "exec"))
        def sleep_here():
            while True:
                time.sleep(0.05)
        if rank == 1:
            {hangs}
        all_reduce()
    """
    began = time.monotonic()
    failures, end = outcome(program)
    assert time.monotonic() - began < 20
    (failure,) = failures
    assert failure.kind == "hang" and says in failure.message and "no sign of life for 2 s" in failure.message
    assert failure.retryable and "failed (hang)" in end and "go on with: again" in end
    if "sleep_here" in hangs:
        assert "sleep_here" in failure.message and "while the others wait" in failure.message


def test_what_a_rank_says_goes_before_what_its_peers_noticed(outcome: Any) -> None:
    failures, end = outcome(
        """
        if rank == 1:
            fail("disk_full", "OSError: No space left on device; 0 bytes are free")
        time.sleep(0.2)
        fail("peer", "Connection reset by peer")
        """,
        retries=3,
    )
    (failure,) = failures
    assert failure.kind == "disk_full" and "rank 1: OSError" in failure.message and not failure.retryable
    assert "fix: make room" in end
    assert failure.memory_bytes == 2 * 10**9


def test_rows_of_a_bad_batch_are_in_the_message(outcome: Any) -> None:
    failures, end = outcome("fail('not_finite', 'the loss is not finite at step 3', ['a', 'b'])", retries=3)
    assert len(failures) == 1 and "at step 3 (rows a, b)" in end and "not_finite=skip" in end


def test_an_exit_without_a_word(outcome: Any) -> None:
    failures, _ = outcome("sys.exit(7 if rank == 1 else 0)", retries=3)
    assert [(failure.kind, failure.message) for failure in failures] == [("error", "rank 1 ended with exit code 7")]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1])
def test_a_stop_lets_workers_save(tmp_path: Path, number: signal.Signals) -> None:
    program = """
        def leave(*_):
            open(f"{folder}/saved-{rank}", "w").close()
            sys.exit(75)
        signal.signal(signal.SIGTERM, leave)
        open(f"{folder}/ready-{rank}", "w").close()
        while True:
            beat()
            time.sleep(0.05)
    """
    launcher = Programs(program=program, folder_=str(tmp_path), grace=10.0)

    def beat(_: dict[str, Any]) -> None:
        if all((tmp_path / f"ready-{rank}").exists() for rank in range(2)):
            signal.raise_signal(number)

    with pytest.raises(Interrupted) as stopped:
        attempt(launcher, tmp_path / "o", tmp_path, tmp_path / "logs", "again", beat, lambda failure, _: failure)
    assert stopped.value.exit_code == (130 if number == signal.SIGINT else 143)
    assert all((tmp_path / f"saved-{rank}").exists() for rank in range(2))


def test_workers_that_do_not_leave_are_ended(tmp_path: Path) -> None:
    program = "signal.signal(signal.SIGTERM, signal.SIG_IGN); beat(); time.sleep(60)"
    launcher = Programs(program=program, folder_=str(tmp_path), grace=1.0)
    workers: list[int] = []

    def beat(heartbeat: dict[str, Any]) -> None:
        workers.append(heartbeat["pid"])
        signal.raise_signal(signal.SIGTERM)

    began = time.monotonic()
    with pytest.raises(Interrupted), StopRequest() as stop:
        attempt(launcher, tmp_path / "o", tmp_path, tmp_path / "logs", "again", beat, lambda f, _: f, stop)
    assert time.monotonic() - began < 10 and workers and not alive(workers[0])
