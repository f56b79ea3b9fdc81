"""Worker processes on this machine: one for each GPU, or one on the CPU."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Literal

from pydantic import PositiveInt

from framework.devices import usable_cores, visible_gpus
from framework.launchers.base import KEEP_MEMORY, Launcher, Process, worker_command


def free_port() -> int:
    """A port of the loopback interface that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Local(Launcher):
    """Starts the workers itself; rank 0 listens on the loopback interface alone."""

    kind: Literal["local"] = "local"
    processes: PositiveInt | Literal["auto"] = "auto"

    def world_size(self) -> int:
        """``processes``, or the number of GPUs, or one."""
        return max(1, visible_gpus()) if self.processes == "auto" else self.processes

    def workers(self, stage_file: Path) -> list[Process]:
        """One interpreter for each rank, with the environment that ``torch.distributed`` reads."""
        world = self.world_size()
        port = str(free_port())
        threads = str(max(1, usable_cores() // world))
        return [
            Process(
                command=worker_command(stage_file),
                environment={
                    "RANK": str(rank),
                    "LOCAL_RANK": str(rank),
                    "WORLD_SIZE": str(world),
                    "LOCAL_WORLD_SIZE": str(world),
                    "MASTER_ADDR": "127.0.0.1",
                    "MASTER_PORT": port,
                    "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", threads),
                    **{name: os.environ.get(name, value) for name, value in KEEP_MEMORY.items()},
                },
                rank=rank,
            )
            for rank in range(world)
        ]


COMPONENT = Local
