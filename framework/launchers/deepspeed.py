"""Worker processes on this machine through DeepSpeed's launcher, which can bind them to cores."""

from __future__ import annotations

import base64
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Literal

from pydantic import PositiveInt

from framework.devices import usable_cores, visible_gpus
from framework.errors import ConfigError, Problem
from framework.launchers.base import NODE, Group, Launcher, Process
from framework.launchers.local import free_port


class DeepSpeed(Launcher):
    """Starts ``deepspeed.launcher.launch``, and asks its ranks themselves to stop.

    By itself that launcher gives ranks 30 s to save, ends with code 0 when it is killed, and leaves them running then.
    """

    kind: Literal["deepspeed"] = "deepspeed"
    processes: PositiveInt | Literal["auto"] = "auto"
    bind_cores: bool = False
    """Give each worker cores of its own, within one NUMA node where possible; needs ``numactl``."""

    def world_size(self) -> int:
        """``processes``, or the number of GPUs, or one."""
        return max(1, visible_gpus()) if self.processes == "auto" else self.processes

    def ready(self) -> None:
        """Raises ``ConfigError`` where workers cannot be bound to cores."""
        problems: list[Problem] = []
        if self.bind_cores and shutil.which("numactl") is None:
            fix = "install it (Debian: apt-get install numactl), or set launch.bind_cores=false"
            problems.append(Problem("bind_cores", "there is no command numactl on this machine", fix))
        if self.bind_cores and "KMP_AFFINITY" in os.environ:
            message = "KMP_AFFINITY is set and binds cores by itself"
            problems.append(Problem("bind_cores", message, "unset it, or set launch.bind_cores=false"))
        if self.bind_cores and self.world_size() > usable_cores():
            message = f"{self.world_size()} processes cannot have cores of their own: there are {usable_cores()}"
            problems.append(Problem("bind_cores", message, f"set launch.processes={usable_cores()} or less"))
        if problems:
            raise ConfigError(problems)

    def workers(self, stage_file: Path) -> list[Process]:
        """DeepSpeed's launcher, which starts all ranks."""
        world = self.world_size()
        listed = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
        # The launcher sets the variable anew: devices that were hidden must stay so.
        devices = listed[:world] if len(listed) >= world else list(range(world))
        information = base64.urlsafe_b64encode(json.dumps({"localhost": devices}).encode()).decode()
        port = free_port()
        options = [f"--world_info={information}", "--master_addr=127.0.0.1", f"--master_port={port}"]
        options += ["--no_local_rank", "--quiet", *(["--bind_cores_to_rank"] if self.bind_cores else [])]
        launcher = [sys.executable, "-m", "deepspeed.launcher.launch", *options]
        command = [*launcher, "--module", "framework.train.worker", str(stage_file)]
        group = Group([world], "127.0.0.1", port, inner=True)
        return [group.process(0, NODE, "this machine", command, stage_file)]


COMPONENT = DeepSpeed
