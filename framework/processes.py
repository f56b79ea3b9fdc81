"""Processes of our own: that they end with the one that started them, and what state they are in."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)


def die_with(parent: int) -> Callable[[], None] | None:
    """For ``preexec_fn``: the kernel kills the child when the parent ends, however that ends.

    A second run may start in the same folder then, so the child must not outlive it by a moment.
    """
    if sys.platform != "linux":
        return None

    def tie() -> None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # gone before it could be tied
            os._exit(1)

    return tie


def stopped(process: int) -> bool:
    """Whether a process of this machine is halted by SIGSTOP or a debugger."""
    try:
        state = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[0]
    except (OSError, IndexError):
        return False
    return state in ("T", "t")


def alive(process: int) -> bool:
    """Whether a process of this machine is there."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
