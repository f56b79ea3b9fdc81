"""Worker processes on several machines that a file names, through a remote shell."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path
from typing import Literal

from pydantic import Field, PositiveInt

from framework.errors import ConfigError, Problem
from framework.launchers.base import NODE, Group, Launcher, Process, some_port, worker_command
from framework.paths import resolve

_SSH = ["ssh", "-o", "BatchMode=yes", "-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=3", "{host}"]


def read_hosts(file: Path) -> dict[str, int]:
    """Slots by host, in order: lines ``host slots=N``, with ``#`` for comments. Raises ``ConfigError``."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        message = f"{file} cannot be read: {reason}"
        fix = "name a file with lines of the form: HOST slots=N"
        raise ConfigError([Problem("hostfile", message, fix)]) from None
    hosts: dict[str, int] = {}
    problems: list[Problem] = []
    for number, line in enumerate(lines, start=1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        slots = words[1].removeprefix("slots=") if len(words) == 2 and words[1].startswith("slots=") else ""
        if not (slots.isascii() and slots.isdigit() and int(slots)) or words[0].startswith("-"):
            message = f"{file}:{number}: cannot read {line.strip()!r}"
            problems.append(Problem("hostfile", message, "write HOST slots=N, with N of 1 or more"))
        elif words[0] in hosts:
            message = f"{file}:{number}: {words[0]} stands there twice"
            problems.append(Problem("hostfile", message, "give each host one line with all its slots"))
        else:
            hosts[words[0]] = int(slots)
    if not hosts and not problems:
        problems.append(Problem("hostfile", f"{file} names no host", "add lines of the form: HOST slots=N"))
    if problems:
        raise ConfigError(problems)
    return hosts


class Hostfile(Launcher):
    """One connection to each machine; it starts that machine's ranks, and they end with it."""

    kind: Literal["hostfile"] = "hostfile"
    hostfile: str = "hostfile"
    """A file of lines ``host slots=N``; the first host has rank 0."""
    shell: list[str] = Field(default_factory=lambda: [*_SSH, "{command}"], min_length=1)
    """The remote shell; ``{host}`` stands for the host and ``{command}``, a word of its own, for a shell command."""
    master: str | None = None
    """Address of the first host as the others see it; ``null`` takes its name in the hostfile."""
    port: PositiveInt | None = Field(default=None, le=65535)
    """Where rank 0 listens; ``null`` takes another one of 20000 to 29999 at every start."""
    interface: str = "auto"
    """Network interface of collectives on every host; ``auto`` takes the one that leads to the first host."""

    def hosts(self) -> dict[str, int]:
        """Slots by host. Raises ``ConfigError``."""
        return read_hosts(resolve(self.hostfile))

    def world_size(self) -> int:
        """All slots of all hosts."""
        return sum(self.hosts().values())

    def per_machine(self) -> int:
        """The most slots of a host."""
        return max(self.hosts().values())

    def ready(self) -> None:
        """Raises ``ConfigError`` for a wrong hostfile, and a remote shell that is not there or lacks its places."""
        problems: list[Problem] = []
        try:
            self.hosts()
        except ConfigError as error:
            problems += error.problems
        missing = [name for name in ("{host}", "{command}") if not any(name in word for word in self.shell)]
        if missing or "{command}" not in self.shell:
            message = f"has no place for {' and '.join(missing or ['{command}, a word of its own'])}"
            problems.append(Problem("shell", message, "for example launch.shell=[ssh,'{host}','{command}']"))
        elif shutil.which(self.shell[0]) is None:
            fix = "install it, or name another remote shell in launch.shell"
            problems.append(Problem("shell", f"there is no command {self.shell[0]} on this machine", fix))
        if problems:
            raise ConfigError(problems)

    def workers(self, stage_file: Path) -> list[Process]:
        """One connection for each host."""
        hosts = self.hosts()
        alone = len(hosts) == 1
        master = self.master or ("127.0.0.1" if alone else next(iter(hosts)))
        group = Group(list(hosts.values()), master, self.port or some_port(), self.interface)
        command = worker_command(stage_file)
        return [group.process(node, self._reach(host), host, command, stage_file) for node, host in enumerate(hosts)]

    def _reach(self, host: str) -> list[str]:
        text = shlex.join(NODE)
        return [text if word == "{command}" else word.replace("{host}", host) for word in self.shell]


COMPONENT = Hostfile
