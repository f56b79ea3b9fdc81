"""The two ends of a machine, with commands in place of ranks: who ends, who is told, and that nothing is left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from framework.launchers.base import NODE, Group, Process

SLEEPS = r"import os, sys, time; os.write(1, b'up %s\n' % os.environb[b'RANK']); time.sleep(120)"
SAVES = r"""
import os, signal, sys, time
def stop(*_):
    time.sleep(0.3)
    os.write(1, b'saved %s\n' % os.environb[b'RANK'])
    sys.exit(75)
signal.signal(signal.SIGTERM, stop)
os.write(1, b'up %s\n' % os.environb[b'RANK'])
time.sleep(120)
"""
STARTS_TWO = """
import os, subprocess, sys, time
for rank in '01':
    subprocess.Popen([sys.executable, '-c', sys.argv[1]], env={**os.environ, 'RANK': rank})
time.sleep(120)
"""


@dataclass
class Machines:
    """Relays to machines, their output, and the processes that were started there."""

    folder: Path
    relays: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(self, process: Process) -> subprocess.Popen[str]:
        relay = subprocess.Popen(
            process.command,
            env={**os.environ, **process.environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.relays.append(relay)
        return relay

    def read(self, relay: subprocess.Popen[str], words: str, times: int = 1) -> list[str]:
        """Lines until so many of them hold some words."""
        assert relay.stdout is not None
        lines: list[str] = []
        while sum(words in line for line in lines) < times:
            line = relay.stdout.readline()
            assert line, lines
            lines.append(line.rstrip())
        return lines

    def running(self) -> list[int]:
        """Processes of these machines that are still there: all have the folder's name in their environment."""
        mark = f"TEST_MARK={self.folder}".encode()
        found: list[int] = []
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and mark in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
            except OSError:
                continue
        return found

    def ranks(self) -> dict[int, int]:
        """Process of each rank."""
        found: dict[int, int] = {}
        for pid in self.running():
            for item in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                if item.startswith(b"RANK=") and b"time.sleep" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    found[int(item[5:])] = pid
        return found

    def nothing_is_left(self, seconds: float = 5.0) -> None:
        deadline = time.monotonic() + seconds
        while left := self.running():
            assert time.monotonic() < deadline, [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in left]
            time.sleep(0.05)

    def failure(self) -> dict[str, Any]:
        return json.loads((self.folder / "failure-launcher.json").read_text())


@pytest.fixture
def machines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machines]:
    monkeypatch.setenv("TEST_MARK", str(tmp_path))
    found = Machines(tmp_path)
    yield found
    for relay in found.relays:
        if relay.poll() is None:
            os.killpg(relay.pid, signal.SIGKILL)
        relay.wait()
    for pid in found.running():
        os.kill(pid, signal.SIGKILL)


Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(machines: Machines) -> Start:
    def run(
        program: str = SLEEPS,
        slots: tuple[int, ...] = (2,),
        node: int = 0,
        how: list[str] | None = None,
        port: int = 23456,
        **changes: Any,
    ) -> subprocess.Popen[str]:
        group = Group(list(slots), "127.0.0.1", port, **changes)
        command = [sys.executable, "-c", program]
        return machines.start(group.process(node, how or NODE, "host a", command, machines.folder / "order.json"))

    return run


def end(relay: subprocess.Popen[str]) -> tuple[int, str]:
    out, _ = relay.communicate(timeout=20)
    return relay.returncode, out


def test_ranks_end_well(machines: Machines, start: Start) -> None:
    code, out = end(start("import os; print('done', os.environ['RANK'], os.environ['LOCAL_RANK'])", (1, 3), 1))
    assert code == 0
    assert sorted(out.split("\n"))[1:] == [f"[rank {rank}] done {rank} {rank - 1}" for rank in (1, 2, 3)]
    assert not (machines.folder / "failure-launcher.json").exists()


def test_a_rank_that_fails_ends_the_others(machines: Machines, start: Start) -> None:
    program = f"import os, sys\nif os.environ['RANK'] == '1': sys.exit(3)\n{SLEEPS}"
    code, _ = end(start(program))
    assert code == 3
    machines.nothing_is_left()
    assert not (machines.folder / "failure-launcher.json").exists(), "a rank tells its own reason"


def test_a_killed_rank_is_named(machines: Machines, start: Start) -> None:
    relay = start()
    machines.read(relay, "up", 2)
    os.kill(machines.ranks()[1], signal.SIGKILL)
    code, _ = end(relay)
    assert code == 128 + signal.SIGKILL
    assert machines.failure()["kind"] == "signal"
    assert machines.failure()["message"].startswith("rank 1 on ") and "SIGKILL" in machines.failure()["message"]
    machines.nothing_is_left()


def test_a_killed_relay_takes_its_ranks_along(machines: Machines, start: Start) -> None:
    relay = start()
    machines.read(relay, "up", 2)
    os.killpg(relay.pid, signal.SIGKILL)
    machines.nothing_is_left()


def test_a_killed_driver_takes_its_ranks_along(machines: Machines) -> None:
    group = Group([2], "127.0.0.1", 23457)
    process = group.process(0, NODE, "host a", [sys.executable, "-c", SLEEPS], machines.folder / "order.json")
    program = "import subprocess, sys; subprocess.Popen(sys.argv[1:], start_new_session=True).wait()"
    driver = machines.start(Process([sys.executable, "-c", program, *process.command], {}, 0))
    machines.read(driver, "up", 2)
    os.kill(driver.pid, signal.SIGKILL)
    machines.nothing_is_left()


def test_a_killed_node_is_a_lost_connection(machines: Machines, start: Start) -> None:
    relay = start()
    machines.read(relay, "up", 2)
    (node,) = [
        pid for pid in machines.running() if b"_node.py" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[3]
    ]
    ranks = machines.ranks()
    os.kill(node, signal.SIGKILL)
    code, _ = end(relay)
    assert code == 128 + signal.SIGKILL
    assert machines.failure()["kind"] == "lost" and "host a" in machines.failure()["message"]
    for pid in ranks.values():  # real ranks leave when what started them is gone
        os.kill(pid, signal.SIGKILL)


def test_ranks_that_are_asked_to_stop_may_save(machines: Machines, start: Start) -> None:
    relay = start(SAVES)
    machines.read(relay, "up", 2)
    relay.send_signal(signal.SIGTERM)
    code, out = end(relay)
    assert code == 75
    assert "saved 0" in out and "saved 1" in out
    assert not (machines.folder / "failure-launcher.json").exists()


def test_silence_ends_the_ranks(machines: Machines, start: Start) -> None:
    relay = start(silence=4.0)
    machines.read(relay, "up", 2)
    relay.send_signal(signal.SIGSTOP)  # as if the driver's machine were gone, the connection still standing
    deadline = time.monotonic() + 60
    while machines.ranks():
        assert time.monotonic() < deadline, "the ranks go on without a driver"
        time.sleep(0.1)
    relay.send_signal(signal.SIGCONT)
    code, _ = end(relay)
    assert code == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_ranks_of_a_launcher_stop_and_end_with_it(machines: Machines, start: Start, number: signal.Signals) -> None:
    two = f"import sys\nsys.argv = ['', {SAVES!r}]\n{STARTS_TWO}"
    relay = start(two, inner=True)
    machines.read(relay, "up", 2)
    if number == signal.SIGTERM:
        relay.send_signal(number)
        machines.read(relay, "saved", 2)
        os.killpg(relay.pid, signal.SIGKILL)
    else:
        rank = machines.ranks()[1]
        os.kill(int(Path(f"/proc/{rank}/stat").read_text().rsplit(")", 1)[1].split()[1]), number)
        code, _ = end(relay)
        assert code == 128 + number
        assert machines.failure()["message"].startswith("the launcher on ")
    machines.nothing_is_left()


def test_a_host_that_is_not_there_says_so(machines: Machines, start: Start) -> None:
    code, _ = end(start(how=["sh", "-c", "echo 'ssh: connect to host a: no route'; exit 255"]))
    assert code == 255
    assert machines.failure()["kind"] == "error"
    assert "host a could not be reached" in machines.failure()["message"]
    assert "no route" in machines.failure()["message"]


def test_a_port_in_use_is_told_apart(machines: Machines, start: Start) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, _ = end(start(port=port))
    assert code == 1
    assert machines.failure() == {"kind": "lost", "message": f"port {port} is in use on host a", "rows": []}


def test_no_variable_stands_on_a_command_line(
    machines: Machines, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret_of_a_test")
    relay = start(
        f"import os; print(os.environ['HF_TOKEN'], flush=True)\n{SLEEPS}", how=["env", "-u", "HF_TOKEN", *NODE]
    )
    machines.read(relay, "hf_secret_of_a_test", 2)
    for pid in machines.running():
        assert b"hf_secret_of_a_test" not in Path(f"/proc/{pid}/cmdline").read_bytes()
