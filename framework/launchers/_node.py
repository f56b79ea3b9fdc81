"""Starts and watches the ranks of one machine: ``python -P _node.py``, with the standard library alone.

The first line of standard input is the order, as JSON; later lines ask for a signal (``{"signal": 15}``) or say that
the other side is still there (``{}``). When standard input ends or falls silent, all ranks are killed: nothing here
outlives the driver, its connection or its machine. Standard output has the ranks' lines, each with its rank, and
reports: lines that begin with ``REPORT`` and go on as JSON.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import queue
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

REPORT = "\x1e"
_POLL_SECONDS = 0.1
_PEERS_SECONDS = 1.5
"""Time for the driver to hear of the rank that was lost before it hears of those that failed because of it."""
_STOPPED = 75
_SIOCGIFADDR = 0x8915


def interface_towards(address: str, port: int) -> str | None:
    """The network interface by which this machine reaches an address; None where that cannot be told (IPv6)."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect((address, port))  # sends nothing
            own = probe.getsockname()[0]
            for _, name in socket.if_nameindex():
                request = struct.pack("256s", name.encode()[:15])
                with contextlib.suppress(OSError):  # an interface without an IPv4 address
                    if socket.inet_ntoa(fcntl.ioctl(probe.fileno(), _SIOCGIFADDR, request)[20:24]) == own:
                        return name
    except OSError:
        return None
    return None


def first_node() -> str:
    """The address by which Slurm itself reaches the first node of this step."""
    listed = os.environ.get("SLURM_STEP_NODELIST") or os.environ["SLURM_JOB_NODELIST"]
    name = _scontrol("hostnames", listed).split()[0]
    shown = [word for word in _scontrol("node", name).split() if word.startswith("NodeAddr=")]
    return shown[0].removeprefix("NodeAddr=") if shown else name


def _scontrol(*words: str) -> str:
    return subprocess.run(["scontrol", "show", *words], capture_output=True, text=True, check=True).stdout


def environments(order: dict[str, Any], node: int) -> dict[int, dict[str, str]]:
    """What each rank of a machine gets to know, by rank, in ``torch.distributed``'s names."""
    slots: list[int] = order["slots"]
    first = sum(slots[:node])
    shared = {**os.environ, **order["environment"], "WORLD_SIZE": str(sum(slots))}
    shared |= {"LOCAL_WORLD_SIZE": str(slots[node]), "CROSS_RANK": str(node), "CROSS_SIZE": str(len(slots))}
    shared |= {"MASTER_ADDR": order["master"], "MASTER_PORT": str(order["port"])}
    cores = len(os.sched_getaffinity(0))
    shared.setdefault("OMP_NUM_THREADS", str(max(1, cores // slots[node])))
    name = order["interface"]
    if name == "auto":
        name = interface_towards(order["master"], order["port"]) if len(slots) > 1 else None
    if name:
        for variable in ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"):
            shared.setdefault(variable, name)
    ranks = range(first, first + slots[node])
    return {rank: {**shared, "RANK": str(rank), "LOCAL_RANK": str(rank - first)} for rank in ranks}


class Node:
    """The processes of one order on this machine."""

    def __init__(self, order: dict[str, Any], node: int) -> None:
        self._inner: bool = order["inner"]
        self._stopping = False
        self._lock = threading.Lock()
        self._copies: list[threading.Thread] = []
        self._processes: dict[int, subprocess.Popen[str]] = {}
        self._told: set[int] = set()
        starts = environments(order, node)
        if self._inner:  # one command that starts the ranks itself
            starts = dict(list(starts.items())[:1])
        for rank, environment in starts.items():
            process = subprocess.Popen(
                order["command"],
                env=environment,
                cwd=order["folder"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                encoding="utf-8",
                errors="replace",
                start_new_session=True,
            )
            self._processes[rank] = process
            copy = threading.Thread(target=self._copy, args=(process, rank), daemon=True)
            copy.start()
            self._copies.append(copy)

    def tell(self, text: str) -> None:
        """A line to the other side; one at a time."""
        with self._lock, contextlib.suppress(OSError, ValueError):
            sys.stdout.write(text + "\n")
            sys.stdout.flush()

    def report(self, **fields: Any) -> None:
        """Something for the other side to act on."""
        self.tell(REPORT + json.dumps(fields))

    def signal(self, number: int) -> None:
        """Pass a signal on to the ranks."""
        self._stopping = self._stopping or number in (signal.SIGTERM, signal.SIGINT)
        for process in self._processes.values():
            if process.poll() is None:
                if number == signal.SIGKILL:
                    os.killpg(process.pid, number)
                    continue
                for pid in _children(process.pid) if self._inner else [process.pid]:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, number)

    def codes(self) -> list[int]:
        """Exit codes of the ranks that have ended, as a shell gives them; each is reported once."""
        found: list[int] = []
        for rank, process in self._processes.items():
            code = process.poll()
            if code is None:
                continue
            found.append(code if code >= 0 else 128 - code)
            if rank not in self._told:
                self._told.add(rank)
                self.report(rank=rank, code=code, host=socket.gethostname(), launcher=self._inner)
        return found

    def wait(self, orders: queue.Queue[str | None], silence: float) -> int:
        """Until all ranks have ended, one has failed, or nobody is there any more. Returns an exit code."""
        heard = time.monotonic()
        failed: float | None = None
        while True:
            with contextlib.suppress(queue.Empty):
                line = orders.get(timeout=_POLL_SECONDS)
                if line is None:
                    return 1
                heard = time.monotonic()
                if (number := json.loads(line).get("signal")) is not None:
                    self.signal(number)
            if time.monotonic() - heard > silence:
                self.tell(f"nothing heard from the driver for {silence:.0f} s: stopping")
                return 1
            codes = self.codes()
            bad = [code for code in codes if code]
            ended = len(codes) == len(self._processes)
            if ended and not bad:
                return 0
            if bad and failed is None:
                failed = time.monotonic()
            if failed is None:
                continue
            # Ranks that were asked to stop save together. Those whose peer is lost would wait for it.
            together = self._stopping or _STOPPED in bad
            if ended if together else time.monotonic() - failed > _PEERS_SECONDS:
                return bad[0]

    def kill(self) -> None:
        """End everything that is left here."""
        for process in self._processes.values():
            with contextlib.suppress(ProcessLookupError):  # what a launcher has started may outlive it
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        for copy in self._copies:
            copy.join(timeout=5)

    def _copy(self, process: subprocess.Popen[str], rank: int) -> None:
        assert process.stdout is not None
        name = "" if self._inner else f"[rank {rank}] "
        for line in process.stdout:
            self.tell(name + line.rstrip("\n"))


def _children(pid: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8").split()]
    except OSError:
        return []


def _listen(orders: queue.Queue[str | None]) -> None:
    for line in sys.stdin:
        orders.put(line)
    orders.put(None)


def _port_is_free(port: int) -> bool:
    try:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("", port))
    except OSError:
        return False
    return True


def main() -> int:
    """The exit code of the first rank that failed, or 0."""
    first = sys.stdin.readline()
    if not first.strip():
        return 1
    order: dict[str, Any] = json.loads(first)
    node = int(os.environ["SLURM_NODEID"]) if order["node"] is None else int(order["node"])
    order["master"] = order["master"] or ("127.0.0.1" if len(order["slots"]) == 1 else first_node())
    if node == 0 and not _port_is_free(order["port"]):
        print(REPORT + json.dumps({"busy": order["port"]}), flush=True)
        return 1
    orders: queue.Queue[str | None] = queue.Queue()
    ranks = Node(order, node)

    def stop(number: int, frame: object) -> None:
        ranks.signal(signal.SIGTERM)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, stop)
    ranks.report(started=node)
    threading.Thread(target=_listen, args=(orders,), daemon=True).start()
    try:
        return ranks.wait(orders, order["silence"])
    finally:
        ranks.kill()


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)  # the listener waits for a line that may never come
