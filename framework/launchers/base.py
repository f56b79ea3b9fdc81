"""A launcher: how the worker processes of a stage are started."""

from __future__ import annotations

import json
import os
import random
import sys
from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field, NonNegativeInt, PositiveFloat

from framework.errors import Exit
from framework.paths import home
from framework.registry import Component

KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(2**30), "MALLOC_TRIM_THRESHOLD_": str(2**33)}
"""glibc gives large buffers back to the kernel at once, and every step faults them in again: keeping them makes
training on a CPU about 5 % faster."""
NODE = [sys.executable, "-P", "-u", str(Path(__file__).with_name("_node.py"))]
"""Starts ranks where it runs. It is found by its path: machines that share a run share the project's folder."""
_RELAY = [sys.executable, "-P", "-u", str(Path(__file__).with_name("_relay.py"))]
_PORTS = range(20000, 30000)


@dataclass(frozen=True, slots=True)
class Process:
    """A process for the driver to start and watch: a worker, or what starts workers elsewhere."""

    command: list[str]
    environment: dict[str, str]
    rank: int
    """The (first) rank that it runs."""


@dataclass(frozen=True, slots=True)
class Group:
    """Ranks that meet at one address: what ``_node.py`` is told on each of their machines."""

    slots: list[int]
    """Ranks of each machine, in order."""
    master: str
    """Address of the first machine, as the others see it."""
    port: int
    interface: str = "auto"
    inner: bool = False
    """Whether ``command`` starts a machine's ranks itself."""
    silence: float = 60.0
    """Seconds without a word from the driver after which a machine ends its ranks."""

    def process(self, node: int | None, how: list[str], where: str, command: list[str], stage_file: Path) -> Process:
        """What the driver starts for a machine; ``node`` is None where one command reaches all of them."""
        order: dict[str, Any] = {
            "node": node,
            "slots": self.slots,
            "master": self.master,
            "port": self.port,
            "interface": self.interface,
            "inner": self.inner,
            "command": command,
            "folder": os.getcwd(),
            "silence": self.silence,
            "environment": {"TRIPTYCH_HOME": str(home())},
        }
        settings = {"command": how, "where": where, "results": str(stage_file.parent), "order": order}
        memory = {name: os.environ.get(name, value) for name, value in KEEP_MEMORY.items()}
        return Process([*_RELAY, json.dumps(settings)], memory, sum(self.slots[: node or 0]))


def worker_command(stage_file: Path) -> list[str]:
    """The command of one rank."""
    return [sys.executable, "-m", "framework.train.worker", str(stage_file)]


def some_port() -> int:
    """A port below those that systems give out by themselves; another one at every attempt."""
    return random.SystemRandom().choice(_PORTS)


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
        """What to start for one stage, rank 0 first."""

    def per_machine(self) -> int:
        """The most workers that share a machine."""
        return self.world_size()

    def ready(self) -> None:
        """Raises ``ConfigError`` with what is missing on this machine, its paths relative to ``launch``."""

    def hands_over(self) -> bool:
        """Whether the run is to be carried out by another process, which ``submit`` starts."""
        return False

    def submit(self, arguments: list[str], run_dir: Path) -> Exit:
        """Have the run of a command line carried out elsewhere. Called only when ``hands_over``."""
        raise NotImplementedError(f"launch={self.kind} runs where it is started")
