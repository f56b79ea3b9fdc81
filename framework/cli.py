"""From a command line to an exit code. What a user can cause ends as a message, never as a traceback."""

from __future__ import annotations

import shlex
import sys

from framework.compose import Composed, compose
from framework.errors import ConfigError, Exit, Interrupted, TriptychError
from framework.help import help_text
from framework.secrets import Redactor
from framework.verbs import VERBS


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
    except KeyboardInterrupt:
        print("\nstopped before any training; nothing is lost", file=sys.stderr)
        return Exit.INTERRUPTED


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
