"""From a command line to an exit code. What a user can cause ends as a message, never as a traceback."""

from __future__ import annotations

import errno
import shlex
import signal
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from framework.compose import Composed, compose
from framework.errors import ConfigError, Exit, Interrupted, TriptychError
from framework.help import help_text
from framework.secrets import Redactor
from framework.verbs import VERBS

_DISK = {
    errno.ENOSPC: "make room on the disk; the same command goes on",
    errno.EDQUOT: "make room within the quota; the same command goes on",
    errno.EROFS: "choose a place that can be written: run_dir, TRIPTYCH_HOME",
    errno.EACCES: "choose a place that can be written: run_dir, TRIPTYCH_HOME",
}
"""What a user can do about a place that cannot be written."""


def main(arguments: list[str]) -> int:
    """Compose, act, and say what went wrong."""
    redact = Redactor.from_environment()
    try:
        if any(argument in ("-h", "--help", "help") for argument in arguments):
            print(help_text())
            return Exit.OK
        flags = [argument for argument in arguments if argument.startswith("-")]
        if flags:
            return _refuse(flags)
        with _stoppable():
            composed = compose(arguments)
            return act(composed, command_line(arguments))
    except ConfigError as error:
        count = len(error.problems)
        print(f"{count} problem{'s' if count > 1 else ''} with the configuration; nothing was started", file=sys.stderr)
        for problem in error.problems:
            print(redact(f"  {problem}"), file=sys.stderr)
        return error.exit_code
    except Interrupted as stopped:
        print(f"\n{redact(str(stopped))}", file=sys.stderr)
        return stopped.exit_code
    except TriptychError as error:
        print(redact(str(error)), file=sys.stderr)
        return error.exit_code
    except OSError as error:
        if error.errno not in _DISK:
            raise
        print(redact(f"{error.strerror}: {error.filename or 'a file'}\n    fix: {_DISK[error.errno]}"), file=sys.stderr)
        return Exit.STAGE_FAILED
    except KeyboardInterrupt:
        print("\nstopped before any training; nothing is lost", file=sys.stderr)
        return Exit.INTERRUPTED


@contextmanager
def _stoppable() -> Generator[None]:
    """SIGTERM and SIGUSR1 while there are no workers yet end the command like Ctrl-C."""

    def leave(number: int, frame: object) -> None:
        raise Interrupted("stopped before any training; nothing is lost", Exit.TERMINATED)

    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        before = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGUSR1)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def act(composed: Composed, command: str) -> Exit:
    """Do what ``do`` says."""
    return VERBS[composed.config.do](composed, command)


def command_line(arguments: list[str]) -> str:
    """The command that was given, to be shown and repeated."""
    return shlex.join(["python", "train.py", *arguments])


def _refuse(flags: list[str]) -> Exit:
    if any(flag in ("-m", "--multirun") for flag in flags):
        print(
            "sweeps (-m) are not there yet; start the members one by one: finished stages are shared", file=sys.stderr
        )
    else:
        print(f"unknown option {flags[0]}; settings are given as key=value, see --help", file=sys.stderr)
    return Exit.CONFIG
