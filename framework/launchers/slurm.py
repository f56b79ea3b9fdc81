"""Worker processes on nodes of a Slurm cluster: the run becomes a job; inside an allocation it starts them by srun."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from framework.devices import visible_gpus
from framework.errors import ConfigError, Exit, Problem
from framework.launchers._slurm_job import BATCH, TOOL_SECONDS, follow
from framework.launchers.base import NODE, Group, Launcher, Process, some_port, worker_command
from framework.paths import PROJECT

_TOOLS = ("sinfo", "sbatch", "srun", "squeue", "scontrol", "scancel")


class Slurm(Launcher):
    """One task of ``srun`` on each node; it starts that node's ranks, and they end with it."""

    kind: Literal["slurm"] = "slurm"
    nodes: PositiveInt = 1
    processes: PositiveInt | Literal["auto"] = "auto"
    """Workers on each node; ``auto``: one for each GPU that is asked for or there, or one."""
    gpus: NonNegativeInt = 0
    """GPUs to ask for on each node."""
    cores: PositiveInt | None = None
    """Cores to ask for on each node; ``null``: one for each worker."""
    partition: str = Field(default="", pattern=r"^[\w.,-]*$")
    account: str = Field(default="", pattern=r"^[\w.-]*$")
    time: str = Field(default="", pattern=r"^[\d:-]*$")
    """Time limit as Slurm writes it, ``1-12:00:00``; empty takes the partition's."""
    warning: PositiveInt = 180
    """Seconds before the time limit at which the run saves and is queued again; more than ``grace``."""
    requeue: bool = True
    """Whether Slurm may queue the job again after a node failed or the job was preempted."""
    options: list[str] = Field(default_factory=list)
    """Further options of ``sbatch``, as they are: ``[--qos=long, --mem=64G]``."""
    interface: str = "auto"
    """Network interface of collectives on every node; ``auto`` takes the one that leads to the first node."""
    wait: bool = True
    """Stay until the job has ended, and stop it with Ctrl-C; ``false`` submits and leaves."""

    def per_machine(self) -> int:
        """Workers on each node."""
        return (self.gpus or max(1, visible_gpus())) if self.processes == "auto" else self.processes

    def world_size(self) -> int:
        """Workers on all nodes."""
        return self.nodes * self.per_machine()

    def ready(self) -> None:
        """Raises ``ConfigError`` without Slurm's commands, an answer of its controller, or the partition."""
        if self.warning <= self.grace:
            message = f"{self.warning} s are not more than launch.grace, the {self.grace:.0f} s that workers may need"
            fix = f"set launch.warning={2 * int(self.grace) + 60}"
            raise ConfigError([Problem("warning", message, fix)])
        missing = [tool for tool in _TOOLS if shutil.which(tool) is None]
        if missing:
            message = f"there is no command {', '.join(missing)} on this machine"
            raise ConfigError([Problem("kind", message, "start the run where Slurm's commands are, or launch=local")])
        try:
            asked = subprocess.run(
                ["sinfo", "--noheader", "--format=%R"], capture_output=True, text=True, timeout=TOOL_SECONDS
            )
        except subprocess.TimeoutExpired:
            asked = subprocess.CompletedProcess([], 1, "", f"no answer in {TOOL_SECONDS} s")
        if asked.returncode:
            message = f"Slurm does not answer: {asked.stderr.strip()}"
            raise ConfigError([Problem("kind", message, "see that slurmctld runs, or choose launch=local")])
        known = sorted(set(asked.stdout.split()))
        wrong = [name for name in self.partition.split(",") if name and name not in known]
        if wrong:
            message = f"there is no partition {', '.join(wrong)}"
            raise ConfigError([Problem("partition", message, f"choose of {', '.join(known)}")])

    def workers(self, stage_file: Path) -> list[Process]:
        """One ``srun`` for all nodes; outside an allocation it waits for one of its own."""
        group = Group([self.per_machine()] * self.nodes, "", some_port(), self.interface)
        # One task a node may take all that the node gives: it starts the ranks. The relay ends the others' tasks.
        how = ["srun", *self._resources(), f"--ntasks={self.nodes}", "--ntasks-per-node=1", "--cpu-bind=none"]
        how += ["--kill-on-bad-exit=0", "--input=all"]
        how += ["--overlap"] if inside() else self.options
        return [group.process(None, [*how, *NODE], "Slurm", worker_command(stage_file), stage_file)]

    def hands_over(self) -> bool:
        """Outside an allocation the whole run becomes a job."""
        return not inside()

    def submit(self, arguments: list[str], run_dir: Path) -> Exit:
        """Submit the same command line as a job. Raises ``ConfigError`` when Slurm refuses it."""
        kept = [argument for argument in arguments if not argument.startswith("run_dir=")]
        logs = run_dir / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        driver = [sys.executable, "-u", str(PROJECT / "train.py"), *kept, f"run_dir={run_dir}"]
        log = str(logs / "slurm-%j.log").replace("\\", "\\\\")
        options = [*self._resources(), f"--ntasks={self.nodes}", "--ntasks-per-node=1", *self._limits(), *self.options]
        options += [f"--job-name=triptych-{run_dir.name}", f"--output={log}", "--open-mode=append", "--parsable"]
        wrapped = f"--wrap=exec {shlex.join([*BATCH, *driver])}"
        before = _content(run_dir / "summary.json")
        asked = subprocess.run(["sbatch", *options, wrapped], capture_output=True, text=True, check=False)
        if asked.returncode:
            message = f"sbatch refuses the job: {asked.stderr.strip()}"
            raise ConfigError([Problem("launch", message, "correct the launch settings that it names")])
        job = asked.stdout.strip().partition(";")[0]
        print(f"submitted: job {job}, log {logs / f'slurm-{job}.log'}", flush=True)
        if not self.wait:
            return Exit.OK
        return follow(job, run_dir, before)

    def _resources(self) -> list[str]:
        found = [f"--nodes={self.nodes}", f"--cpus-per-task={self.cores or self.per_machine()}"]
        found += [f"--gpus-per-node={self.gpus}"] if self.gpus else []
        return found if inside() else [*found, *self._place()]

    def _place(self) -> list[str]:
        named = {"partition": self.partition, "account": self.account, "time": self.time}
        return [f"--{name}={value}" for name, value in named.items() if value]

    def _limits(self) -> list[str]:
        return [f"--signal=B:USR1@{self.warning}", "--requeue" if self.requeue else "--no-requeue"]


def inside() -> bool:
    """Whether this process runs in an allocation."""
    return "SLURM_JOB_ID" in os.environ


def _content(file: Path) -> str:
    return file.read_text(encoding="utf-8") if file.exists() else ""


COMPONENT = Slurm
