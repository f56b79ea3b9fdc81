"""Batches worked on by helper processes: results in order, memory bounded, the same whatever the number of processes.

Helpers are interpreters of their own (``framework.data.helper``), so that the driver stays light and no state of it is
shared. They hold one batch each; the driver holds one more and what waits for an earlier result. A helper ends when
its pipe does: with this generator, or with the block of ``kept`` around it, and with the driver, however that ends.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import chain, islice
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from typing import Any, TypeVar

from framework.errors import TriptychError
from framework.paths import helper_environment

Batch = TypeVar("Batch")
Result = TypeVar("Result")

FEW = 6
"""So many batches are done in the driver: helpers take about a second to start."""
_MOST = 8
"""Helpers beyond which one reader cannot keep them busy."""
_GRACE = 2.0
"""Seconds for a helper to end by itself."""
_ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "RAYON_NUM_THREADS": "1",
}


class HelperDied(TriptychError):
    """A helper process ended before its work was done."""


def processes() -> int:
    """How many helpers may run: the cores that this process may use, up to what one reader can feed."""
    return min(len(os.sched_getaffinity(0)), _MOST)


def in_order(
    make: Callable[[], Callable[[Batch], Result]], batches: Iterable[Batch], count: int | None = None
) -> Generator[Result]:
    """``make()`` of every batch, in order, by ``count`` processes (default: ``processes()``).

    ``make`` is called once in each process and must be a picklable function of a module, or a ``partial`` of one. What
    ``make``, the work or ``batches`` raises is raised here. Raises ``HelperDied`` when a process is killed.
    """
    count = processes() if count is None else count
    waiting = iter(batches)
    first = list(islice(waiting, FEW + 1))
    if count < 2 or len(first) <= FEW:
        work = make()
        yield from (work(batch) for batch in chain(first, waiting))
        return
    with _helpers(make, count) as pipes:
        yield from _ordered(pipes, chain(first, waiting))


def _ordered(pipes: dict[Connection, subprocess.Popen[bytes]], batches: Iterator[Any]) -> Iterator[Any]:
    """Results in order. At most two batches a helper are under way, those that wait for an earlier one included."""
    idle = list(pipes)
    busy: dict[Connection, int] = {}
    done: dict[int, Any] = {}
    sent = given = 0
    ahead = next(batches, _END)
    while ahead is not _END or busy:
        while idle and ahead is not _END and sent - given < 2 * len(pipes):
            pipe = idle.pop()
            busy[pipe] = sent
            _send(pipe, (False, ahead), pipes[pipe])
            sent += 1
            ahead = next(batches, _END)
        for pipe in wait(list(busy)):
            assert isinstance(pipe, Connection)
            done[busy.pop(pipe)] = _received(pipe, pipes[pipe])
            idle.append(pipe)
        while given in done:
            yield done.pop(given)
            given += 1


_END: Any = object()


class _Pool:
    """Helpers that have nothing to do and may serve again."""

    def __init__(self) -> None:
        self.open: ExitStack | None = None
        """Ends the helpers of the block of ``kept`` that is under way."""
        self.idle: list[tuple[Connection, subprocess.Popen[bytes]]] = []


_POOL = _Pool()


@contextmanager
def kept() -> Generator[None]:
    """Within it, helpers that are through with their work serve the next: they take a second to start."""
    if _POOL.open is not None:
        yield
        return
    with ExitStack() as open:
        _POOL.open = open
        try:
            yield
        finally:
            _POOL.open = None
            _POOL.idle.clear()


@contextmanager
def _helpers(make: Callable[[], Any], count: int) -> Generator[dict[Connection, subprocess.Popen[bytes]]]:
    """Helpers by their pipes. None is left when the block ends, unless it ends well within ``kept``."""
    with ExitStack() as held:
        taken = [_POOL.idle.pop() for _ in range(min(count, len(_POOL.idle)))]
        taken += [(_POOL.open or held).enter_context(_helper()) for _ in range(count - len(taken))]
        for pipe, process in taken:
            _send(pipe, (True, make), process)
        yield dict(taken)
        if _POOL.open is not None:
            _POOL.idle += taken


@contextmanager
def _helper() -> Generator[tuple[Connection, subprocess.Popen[bytes]]]:
    ours, theirs = Pipe()
    try:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "framework.data.helper", str(theirs.fileno())],
            env={**helper_environment(), **_ONE_THREAD},
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C reaches the driver alone, which ends its helpers
        )
    finally:
        theirs.close()
    try:
        yield ours, process
    finally:
        ours.close()
        process.terminate()
        try:
            process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _send(pipe: Connection, value: Any, process: subprocess.Popen[bytes]) -> None:
    try:
        pipe.send(value)
    except OSError:
        _received(pipe, process)  # what it said before it ended, if anything
        raise _died(process) from None


def _received(pipe: Connection, process: subprocess.Popen[bytes]) -> Any:
    try:
        good, value = pipe.recv()
    except (EOFError, OSError):
        raise _died(process) from None
    if not good:
        raise value
    return value


def _died(process: subprocess.Popen[bytes]) -> HelperDied:
    try:
        code = process.wait(_GRACE)
    except subprocess.TimeoutExpired:
        code = 0
    how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
    why = "; most often memory ran out" if code == -signal.SIGKILL else ""
    return HelperDied(
        f"a helper process that prepares rows {how}{why}\n"
        "    fix: start again, what is finished is kept; fewer cores (taskset) mean fewer helpers and less memory"
    )
