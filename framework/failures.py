"""Why workers ended without finishing, from what they left and how they ended. Free of torch."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from framework.files import read_json
from framework.processes import stopped

FAILURES = "failure-*.json"
"""What each rank that failed leaves in the stage's folder: kind, message, rows. ``*`` is the rank, or ``launcher``."""
STACKS = "stack-{rank}.txt"
"""Where a worker writes what it is doing, when it is asked by SIGUSR2."""
_STACK_SECONDS = 2.0
_FIXES = {
    "disk_full": "make room on that disk",
    "out_of_memory": "lower stage.STAGE.batch.micro_tokens or max_length, or choose a smaller model",
    "not_finite": "look at these rows, lower stage.STAGE.lr, or set stage.STAGE.not_finite=skip",
    "loss_spike": "look at these rows, lower stage.STAGE.lr, or set stage.STAGE.not_finite=skip",
}


@dataclass(frozen=True, slots=True)
class Failure:
    """Why workers ended without finishing."""

    kind: str
    """``out_of_memory``, ``not_finite``, ``loss_spike``, ``disk_full``, ``hang``, ``signal``,
    ``lost`` (a machine or its connection), ``peer`` or ``error``."""
    message: str
    memory_bytes: int = 0
    """The most that a worker said to have used; 0 where none said so."""
    final: bool = False
    """Whether another attempt is ruled out, whatever the kind."""

    @property
    def retryable(self) -> bool:
        """Whether the same work may succeed when it is tried again."""
        return not self.final and self.kind in ("signal", "lost", "hang", "peer", "out_of_memory")

    @property
    def fix(self) -> str:
        """What the user can do; empty where only the log says more."""
        return _FIXES.get(self.kind, "")


def why(first: list[int], codes: dict[int, int], folder: Path) -> Failure:
    """The cause: what the launcher saw on another machine, else what a rank said, the ones that ended first before the
    others, else a rank that was killed."""
    memory = memory_used(folder)
    killed = [rank for rank in sorted(codes, key=lambda rank: (rank not in first, rank)) if codes[rank] < 0]
    if (lost := _told(folder, "launcher")) is not None:
        return Failure(lost["kind"], lost["message"], memory)
    told = {int(name): found for name in _tellers(folder) if (found := _told(folder, name)) is not None}
    own = {rank: found for rank, found in told.items() if found["kind"] != "peer"}
    if own:
        rank = min(own, key=lambda rank: (rank not in first, rank))
        rows = f" (rows {', '.join(own[rank]['rows'][:8])})" if own[rank]["rows"] else ""
        where = f"rank {rank}: " if len(codes) > 1 and not rows else ""
        return Failure(own[rank]["kind"], where + own[rank]["message"] + rows, memory)
    if killed:
        name = signal.Signals(-codes[killed[0]]).name
        return Failure("signal", f"rank {killed[0]} was killed by {name}", memory)
    if told:
        rank = min(told)
        return Failure("peer", f"rank {rank} lost its peers: {told[rank]['message']}", memory)
    rank = next(rank for rank, code in codes.items() if code)
    return Failure("error", f"rank {rank} ended with exit code {codes[rank]}", memory)


def _tellers(folder: Path) -> list[str]:
    """The ranks that left a reason; a process on this machine may stand for several ranks on another."""
    names = [path.stem.removeprefix("failure-") for path in folder.glob(FAILURES)]
    return [name for name in names if name.isdecimal()]


def _told(folder: Path, teller: str) -> dict[str, Any] | None:
    with contextlib.suppress(OSError, ValueError):
        found: dict[str, Any] = read_json(folder / FAILURES.replace("*", teller))
        return found
    return None


def memory_used(folder: Path) -> int:
    """The most memory that a worker's heartbeat has told of, bytes."""
    used = 0
    for path in folder.glob("heartbeat-*.json"):
        with contextlib.suppress(OSError, ValueError, KeyError):
            used = max(used, int(read_json(path)["memory_bytes"]))
    return used


def memory_kills() -> int:
    """How many processes the kernel has killed for want of memory since it started; 0 where it does not say."""
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/proc/vmstat").read_text(encoding="ascii").splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    return 0


def killed_for_memory(failure: Failure, before: int) -> Failure:
    """SIGKILL while the kernel ran out of memory is a want of memory."""
    if failure.kind == "signal" and "SIGKILL" in failure.message and memory_kills() > before:
        message = f"{failure.message}, and the kernel has killed for want of memory"
        return replace(failure, kind="out_of_memory", message=message)
    return failure


def hanging(running: dict[int, int], folder: Path, seconds: float) -> Failure:
    """Name the ranks that hang: those that are halted, else those that do not wait for others.

    Args:
        running: Process id by rank, of the workers that are alive.
        folder: The stage's folder, where workers leave their stacks.
        seconds: How long nothing was heard.
    """
    silence = f"no sign of life for {seconds:.0f} s"
    halted = [rank for rank, process in running.items() if stopped(process)]
    if halted:
        return Failure("hang", f"{_ranks(halted)} halted (SIGSTOP): {silence}")
    stacks = _stacks(running, folder)
    busy = [rank for rank, stack in stacks.items() if "distributed_c10d.py" not in stack]
    if busy and len(busy) < len(running):
        return Failure("hang", f"{_ranks(busy)} hanging while the others wait at {_place(stacks[busy[0]])}: {silence}")
    place = f" at {_place(stacks[busy[0]])}" if busy else ""
    return Failure("hang", f"{_ranks(list(running))} hanging{place}: {silence}")


def _ranks(ranks: list[int]) -> str:
    return f"rank {ranks[0]} is" if len(ranks) == 1 else f"ranks {', '.join(map(str, ranks))} are"


def _stacks(running: dict[int, int], folder: Path) -> dict[int, str]:
    for process in running.values():
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGUSR2)
    deadline = time.monotonic() + _STACK_SECONDS
    stacks: dict[int, str] = {}
    while time.monotonic() < deadline and len(stacks) < len(running):
        for rank in running:
            with contextlib.suppress(OSError):
                if text := (folder / STACKS.format(rank=rank)).read_text(encoding="utf-8"):
                    stacks[rank] = text
        time.sleep(0.1)
    return stacks


def _place(stack: str) -> str:
    """Where the main thread is: it gets the signal, so it is the current one."""
    lines = stack[max(0, stack.find("Current thread")) :].splitlines()
    return next((line.strip() for line in lines if line.strip().startswith("File ")), "an unknown place")
