"""The errors a user can cause, and the exit code of each.

Everything here ends as a readable message, never as a traceback. An error that is not one of these is a defect of the
framework itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Exit(IntEnum):
    """Process exit codes, as promised to users."""

    OK = 0
    FINDINGS = 1  # error findings in the plan, a failed gate, or a comparison that differs
    CONFIG = 2
    STAGE_FAILED = 3
    INTERRUPTED = 130
    TERMINATED = 143


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with the configuration: where, what, and what to do."""

    path: str
    """Dotted path of the key, such as ``stage.domain.lr``; empty when no single key is to blame."""
    message: str
    fix: str = ""
    origin: str = ""
    """The file that the value comes from, or ``command line``."""

    def __str__(self) -> str:
        head = f"{self.path}: {self.message}" if self.path else self.message
        origin = f"  [from {self.origin}]" if self.origin else ""
        fix = f"\n    fix: {self.fix}" if self.fix else ""
        return f"{head}{origin}{fix}"


class TriptychError(Exception):
    """Base of all errors that are reported to the user as a message and an exit code."""

    exit_code = Exit.STAGE_FAILED


class ConfigError(TriptychError):
    """The configuration is wrong. Holds every problem found, not the first alone."""

    exit_code = Exit.CONFIG

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems

    def __reduce__(self) -> tuple[type[ConfigError], tuple[list[Problem]]]:
        """Errors cross from helper processes with their problems."""
        return type(self), (self.problems,)


class DataError(ConfigError):
    """A source cannot be read, or too many of its rows cannot."""


class ModelError(TriptychError):
    """A model cannot be had or cannot be used: not fetched, damaged, without a chat template."""

    exit_code = Exit.CONFIG


class StageFailed(TriptychError):
    """A stage failed after its retries."""

    exit_code = Exit.STAGE_FAILED


class Interrupted(TriptychError):
    """The run was asked to stop and can be resumed."""

    def __init__(self, message: str, exit_code: Exit) -> None:
        super().__init__(message)
        self.exit_code = exit_code
