"""Runs evaluation suites on a model: shared out over the workers, and over a worker's processor cores."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from threading import Lock
from typing import Any

import torch
import torch.distributed as dist
from transformers import PreTrainedModel

from framework.data.chat import ChatTokenizer
from framework.observers.heartbeat import Heartbeat
from framework.observers.saver import StopFlag
from framework.suites.base import Suite
from framework.train.loop import Stopped
from framework.train.scorer import ModelScorer


def measure(
    model: PreTrainedModel,
    suites: Mapping[str, Suite],
    chat: ChatTokenizer,
    device: torch.device,
    heartbeat: Heartbeat,
    stop: StopFlag,
) -> dict[str, Any]:
    """Run the suites, shared out over the workers; every worker returns all results. Raises ``Stopped``."""
    done = 0
    lock = Lock()

    def beat() -> None:
        nonlocal done
        with lock:
            done += 1
            heartbeat.beat(done, 0)
        if stop.raised:
            raise Stopped(0)

    scorer = ModelScorer(model, chat, device, beat)

    def run(name: str) -> dict[str, Any]:
        with lock:
            heartbeat.beat(done, 0, name, force=True)
        return asdict(suites[name].evaluate(scorer)) | {"measures": suites[name].measures}

    names = list(suites)[dist.get_rank() :: dist.get_world_size()]
    with _threads(len(names) if device.type == "cpu" else 1) as pool:
        mine = dict(zip(names, pool.map(run, names), strict=True))
    everyone: list[dict[str, Any] | None] = [None] * dist.get_world_size()
    dist.all_gather_object(everyone, mine)
    found: dict[str, Any] = {}
    for part in everyone:
        found |= part or {}
    return {name: found[name] for name in suites}


@contextmanager
def _threads(most: int) -> Generator[ThreadPoolExecutor]:
    """A pool that shares out this process's cores: the small matrices of decoding use one core far better than two
    (all suites of the sample took 86 s with two threads to a product, and 112 s with a single core in all)."""
    cores = torch.get_num_threads()
    count = max(1, min(most, cores))
    torch.set_num_threads(max(1, cores // count))
    pool = ThreadPoolExecutor(count)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(cores)
