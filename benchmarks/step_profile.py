"""Where the time of training steps goes, against this machine's own rate of matrix products.

    python benchmarks/step_profile.py [--steps 6] [--plain] [KEY=VALUE ...]
                                                         e.g. stage=align, stage.instruct.max_length=1024

Takes the first stage of the plan that the overrides compose, trains some steps in this process without a checkpoint,
and prints: tokens a second; the share of time by kind of operation (torch.profiler, steps after the second); the rate
of plain matrix products of the model's own shapes measured in the same process, in the model's dtype or in fp32,
whichever is faster; and model FLOP utilisation, which is the operations that the model needs (2 for each weight and
token, forward and backward, recomputation not counted) over what that rate would have given in the time. Nothing else
may run meanwhile. ``--plain`` does not profile. The last line is JSON, with the peak memory of the process.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import socket
import tempfile
import time
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

from framework.compose import compose
from framework.data.packs import Packs
from framework.estimate import Shape
from framework.models import ModelFiles, fetch_weights
from framework.plan import make_plan
from framework.run import Execution
from framework.rundir import choose
from framework.screen import Screen
from framework.stagefile import StageFile
from framework.train.anchor import Anchors
from framework.train.engine import DeepSpeedEngine, start_process_group
from framework.train.lm import trainable
from framework.train.loader import Loader
from framework.train.loop import Loop, StepDone
from framework.train.module import StageModule
from framework.train.watch import LossWatch

KINDS = {
    "matrix products": ("aten::mm", "aten::addmm", "aten::bmm"),
    "attention": ("aten::_scaled_dot_product", "torch_attn::"),
    "softmax of the head": ("aten::_log_softmax", "aten::exp_", "aten::gather"),
    "elementwise": ("aten::mul", "aten::add", "aten::silu", "aten::neg", "aten::div", "aten::sub", "aten::sigmoid"),
    "norms": ("aten::pow", "aten::rsqrt", "aten::mean", "aten::sum"),
    "copies": ("aten::copy_", "aten::cat", "aten::fill_", "aten::index", "aten::zero_", "aten::slice_backward"),
}


class Enough(Exception):
    """As many steps as were asked for."""


class Watch:
    """Sums up the steps after the second, and profiles them when it has a profiler."""

    def __init__(self, steps: int, profiler: profile | None) -> None:
        self.tokens = self.targets = 0
        self.seconds = 0.0
        self.steps = steps
        self.profiler = profiler

    def on_step(self, done: StepDone) -> None:
        """Called after every step. Raises ``Enough``."""
        print(f"step {done.step}  loss {done.loss:.3f}  {done.tokens / done.seconds:,.0f} tokens/s", flush=True)
        if done.step > 2:
            self.tokens += done.tokens
            self.targets += done.supervised_tokens
            self.seconds += done.seconds
        if self.profiler and done.step == 2:
            self.profiler.start()
        if done.step >= self.steps:
            if self.profiler:
                self.profiler.stop()
            raise Enough


def rate_of_products(shape: tuple[int, int, int], dtype: str) -> float:
    """Operations a second of ``[m, k] @ [k, n]``, the best of some tries."""
    m, k, n = shape
    left, right = (torch.randn(size, dtype=getattr(torch, dtype)) for size in ((m, k), (n, k)))
    best = float("inf")
    for _ in range(6):
        began = time.perf_counter()
        for _ in range(4):
            torch.nn.functional.linear(left, right)
        best = min(best, (time.perf_counter() - began) / 4)
    return 2.0 * m * k * n / best


def train(order: StageFile, watch: Watch) -> None:
    """The first steps of a stage in this process, as its only worker, without a checkpoint."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    os.environ |= {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    device = start_process_group(600.0)
    model = trainable(order, device)
    packs = Packs.open(Path(order.packs))
    loader = Loader(packs, order.micro_tokens, 0, 1)
    known = torch.zeros(packs.units, 2, device=device) if order.reference else None
    model.train()
    engine = DeepSpeedEngine(StageModule(model, order.objective), order.engine, order.stage, order.model.dtype)
    anchors = Anchors(order.objective, engine, loader, known, device)
    stage, losses = order.stage, LossWatch(order.stage)
    with contextlib.suppress(Enough):
        Loop(engine, loader, order.objective, stage, order.sources, known, anchors, losses, device).run(0, [watch])


def report(order: StageFile, model: ModelFiles, watch: Watch) -> dict[str, float]:
    """Print where the time went, and the share of the machine's rate that was used; the shares."""
    assert watch.profiler is not None
    shape = Shape.of(model.config)
    size = (1024, shape.hidden, shape.intermediate)
    # Products of bf16 may be taken in fp32: the limit is what the machine does faster.
    rate, dtype = max((rate_of_products(size, dtype), dtype) for dtype in {order.model.dtype, "float32"})
    # Forward 2, gradients of activations 2, of trained weights 2 more; below the trained blocks there is no way back.
    back = order.adapter.trained_layers(shape.layers) / shape.layers * (4 if order.adapter.trains_all else 2)
    needed = (2 + back) * shape.block_parameters * watch.tokens + 4 * shape.hidden * shape.vocabulary * watch.targets
    spent = dict.fromkeys([*KINDS, "everything else"], 0.0)
    for event in watch.profiler.key_averages():
        kind = next((kind for kind, names in KINDS.items() if event.key.startswith(names)), "everything else")
        spent[kind] += event.self_cpu_time_total
    print(f"\n{watch.tokens / watch.seconds:,.0f} tokens a second over {watch.steps - 2} steps, while profiled")
    shares = {kind: part / sum(spent.values()) for kind, part in spent.items()}
    for kind, share in shares.items():
        print(f"{share:7.1%}  {kind}")
    print(f"matrix products here: {rate / 1e9:,.0f} GFLOP/s in {dtype}, {torch.get_num_threads()} threads")
    print(f"model FLOP utilisation: {needed / watch.seconds / rate:.0%}")
    return shares


def main() -> None:
    """Plan, train, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=6, help="3 or more")
    parser.add_argument("--plain", action="store_true", help="no profile")
    parser.add_argument("overrides", nargs="*")
    given = parser.parse_args()
    watch = Watch(given.steps, None if given.plain else profile(activities=[ProfilerActivity.CPU]))
    with tempfile.TemporaryDirectory() as folder:
        plan = make_plan(compose([*given.overrides, "tracker=none", f"run_dir={folder}"]), _quiet)
        model = fetch_weights(plan.model)
        order = Execution(plan, choose(plan.config), "profile", Screen()).order_of(plan.stages[0], model, [])
        train(order, watch)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    shares = report(order, model, watch) if watch.profiler else {}
    found = {"tokens_per_second": watch.tokens / watch.seconds, "seconds": watch.seconds, "peak_memory_bytes": peak}
    print(json.dumps({**found, "shares": shares}), flush=True)
    os._exit(0)  # threads of libraries would outlive the work


def _quiet(*_: object) -> None:
    """Progress of planning, which nobody looks at here."""


if __name__ == "__main__":
    main()
