"""Two network namespaces joined by a cable as two machines: a run from a hostfile, over a real network interface."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("ip") is None, reason="network namespaces need root and the command ip (iproute2)"
)


def ip(*words: str) -> str:
    return subprocess.run(["ip", *words], check=True, capture_output=True, text=True).stdout


@dataclass(frozen=True)
class Network:
    """Two machines with a cable between them."""

    hosts: tuple[str, str]
    address: str

    def sent(self) -> list[int]:
        """Bytes that each machine has put on the cable."""
        found = [json.loads(ip("-n", host, "-s", "-j", "link", "show", "cable"))[0] for host in self.hosts]
        return [link["stats64"]["tx"]["bytes"] for link in found]

    def processes(self) -> list[str]:
        return [pid for host in self.hosts for pid in ip("netns", "pids", host).split()]


@pytest.fixture
def network() -> Iterator[Network]:
    mark = f"{os.getpid():x}"
    hosts = (f"a-{mark}", f"b-{mark}")
    made: list[str] = []
    try:
        try:
            for host in hosts:
                ip("netns", "add", host)
                made.append(host)
            peer = ("type", "veth", "peer", "name", f"vb{mark}", "netns", hosts[1])
            ip("link", "add", f"va{mark}", "netns", hosts[0], *peer)
        except subprocess.CalledProcessError as error:
            pytest.skip(f"this kernel or container makes no network namespaces: {error.stderr.strip()}")
        for place, (host, link) in enumerate(zip(hosts, (f"va{mark}", f"vb{mark}"), strict=True), start=1):
            ip("-n", host, "link", "set", link, "name", "cable")
            ip("-n", host, "address", "add", f"10.211.0.{place}/24", "dev", "cable")
            ip("-n", host, "link", "set", "cable", "up")
            ip("-n", host, "link", "set", "lo", "up")
        yield Network(hosts, "10.211.0.1")
    finally:
        for host in made:
            ip("netns", "delete", host)


def test_two_machines_train_as_one_process_does(
    network: Network, new_job: Callable[..., Any], alone: Any, train: Any, tmp_path: Path
) -> None:
    job = new_job()
    file = tmp_path / "hosts"
    file.write_text("".join(f"{host} slots=1\n" for host in network.hosts))
    before = network.sent()
    ran = train(
        *job.command("launch=hostfile", "engine=zero2", f"launch.hostfile={file}", f"launch.master={network.address}"),
        "launch.shell=[ip,netns,exec,'{host}',sh,-c,'{command}']",
        env=job.env,
    )
    assert ran.code == 0 and ran.err == "", (ran, [log.read_text() for log in job.run.glob("logs/*.log")])
    assert job.stage()["world_size"] == 2
    assert job.losses() == pytest.approx(alone.losses(), rel=1e-4)
    # Gradients of every step went both ways: rank 0 and rank 1 each send a share of them.
    assert all(after - first > 100_000 for first, after in zip(before, network.sent(), strict=True))
    assert network.processes() == []
