"""A launcher: how the worker processes of a stage are started."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from pydantic import Field, NonNegativeInt, PositiveFloat

from framework.registry import Component


@dataclass(frozen=True, slots=True)
class Process:
    """A worker to start: its command and what its environment adds."""

    command: list[str]
    environment: dict[str, str]
    rank: int


class Launcher(Component):
    """Settings that every launcher has."""

    folder: ClassVar[str] = "launchers"
    retries: NonNegativeInt = 1
    """How often a stage whose worker died is resumed from its last checkpoint."""
    timeout: PositiveFloat = 600.0
    """Seconds without a sign of life from a worker before it counts as hanging."""
    grace: PositiveFloat = Field(default=60.0)
    """Seconds that workers have to write a checkpoint and leave when the run is stopped."""

    @abstractmethod
    def world_size(self) -> int:
        """The number of worker processes; needs no torch."""

    @abstractmethod
    def workers(self, stage_file: Path) -> list[Process]:
        """The workers of one stage, rank 0 first."""
