"""Makes one fault happen in the processes of a run that a test has started with this folder on ``PYTHONPATH``.

``FAULT`` names it, as JSON. ``turns`` is a file with a line for every time that it has happened: a fault that kills
happens one place further each time, the others once. The code under test knows nothing of it.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

FAULT: dict[str, Any] = json.loads(os.environ.get("FAULT", "{}"))
WORKER = "framework.train.worker" in sys.orig_argv
RANK = int(os.environ.get("RANK", "0"))


def turns() -> int:
    try:
        with open(FAULT["turns"]) as file:
            return len(file.readlines())
    except FileNotFoundError:
        return 0


def happen(what: str) -> None:
    with open(FAULT["turns"], "a") as file:
        file.write(f"{what}\n")


def die(what: str) -> None:
    """SIGKILL for the worker, its driver, or both."""
    happen(what)
    who = FAULT["who"]
    if who in ("driver", "both"):
        os.kill(os.getppid(), signal.SIGKILL)
    if who in ("worker", "both"):
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)


def after_every_step(module: Any) -> None:
    real = module.MetricsFile.on_step

    def on_step(self: Any, done: Any) -> None:
        real(self, done)
        if done.step == turns() + 1:
            die(f"step {done.step}")

    module.MetricsFile.on_step = on_step


def within_a_write(module: Any) -> None:
    """Die at the n-th call that changes the disk while the first checkpoint of this process is written."""
    real, at, active = module.Checkpoints._write, turns(), False
    count = 0

    def event(name: str) -> bool:
        nonlocal count
        if not active:
            return False
        count += 1
        return count == at + 1

    def before(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **more: Any) -> Any:
            if event(name):
                die(name)
            return call(*args, **more)

        return wrapped

    def half(tensors: Any, path: Any, call: Callable[..., Any] = module.save_file) -> None:
        if event("before save_file"):
            die("before save_file")
        call(tensors, path)
        if event("half of save_file"):
            os.truncate(path, os.path.getsize(path) // 2)
            die("half of save_file")

    def write(*args: Any) -> Any:
        nonlocal active
        active, mine = count == 0, count
        try:
            return real(*args)
        finally:
            active = False
            assert count >= mine

    module.Checkpoints._write = write
    module.save_file = half
    for name in ("fsync", "replace", "rename", "mkdir"):
        setattr(os, name, before(name, getattr(os, name)))
    module.shutil.rmtree = before("rmtree", module.shutil.rmtree)


def in_a_step(module: Any) -> None:
    """What happens in the forward passes of step ``step``, from 1, on rank ``rank``."""
    real_step, now = module.Loop._step, 0
    real_forward = module.DeepSpeedEngine.forward

    def step(self: Any, number: int, shares: Any) -> Any:
        nonlocal now
        now = number + 1
        return real_step(self, number, shares)

    def forward(self: Any, *inputs: Any) -> Any:
        import dataclasses

        import torch

        what = FAULT["what"]
        if what == "memory" and inputs[0].input_ids.numel() > FAULT["tokens"]:
            happen(what)
            torch.empty(2**55, dtype=torch.uint8)
        hit = now == FAULT.get("step") and FAULT.get("rank", 0) == RANK
        if hit and what in ("nan", "spike"):
            loss, logps = real_forward(self, *inputs)
            factor = float("nan") if what == "nan" else 1000.0
            happen(what)
            return dataclasses.replace(loss, total=loss.total * factor), logps
        if hit and not turns():
            happen(what)
            if what == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            elif what == "halt":
                os.kill(os.getpid(), signal.SIGSTOP)
            elif what == "stuck":
                stuck_here()
        return real_forward(self, *inputs)

    module.Loop._step = step
    module.DeepSpeedEngine.forward = forward


def stuck_here() -> None:
    while True:
        time.sleep(0.1)


def jumping_clock() -> None:
    real, start = time.time, time.monotonic()
    years = 10 * 365 * 24 * 3600.0
    time.time = lambda: real() + years * (int((time.monotonic() - start) / 0.7) % 3 - 1)


class After(importlib.abc.MetaPathFinder):
    """Changes a module as soon as it is imported."""

    def __init__(self, name: str, change: Callable[[Any], None]) -> None:
        self._name = name
        self._change = change

    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        if name != self._name:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        assert spec is not None and spec.loader is not None
        real = spec.loader.exec_module

        def execute(module: Any) -> None:
            real(module)
            self._change(module)

        spec.loader.exec_module = execute
        return spec


CHANGES: dict[str, tuple[str, Callable[[Any], None]]] = {
    "step": ("framework.observers.metrics", after_every_step),
    "write": ("framework.train.checkpoint", within_a_write),
    "forward": ("framework.train.loop", in_a_step),
}

if FAULT.get("at") == "clock":
    jumping_clock()
elif FAULT and WORKER:
    sys.meta_path.insert(0, After(*CHANGES[FAULT["at"]]))
