"""Where the time of training steps goes, against this machine's own rate of matrix products.

    python benchmarks/step_profile.py [--steps 6] [--plain] [KEY=VALUE ...]
                                                         e.g. stage=align, stage.instruct.max_length=1024

Takes the first stage of the plan that the overrides compose, trains some steps in this process without a checkpoint,
and prints: tokens a second; the share of time by kind of operation (torch.profiler, steps after the second); the rate
of plain matrix products of the model's own shapes measured in the same process; and model FLOP utilisation, which is
the operations that the model needs (2 for each weight and token, forward and backward, recomputation not counted)
over what that rate would have given in the time. Nothing else may run meanwhile. ``--plain`` does not profile, and
its last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import socket
import sys
import tempfile
import time
from pathlib import Path

KINDS = {
    "matrix products": ("aten::mm", "aten::addmm", "aten::bmm"),
    "attention": ("aten::_scaled_dot_product", "torch_attn::"),
    "softmax of the head": ("aten::_log_softmax", "aten::exp_", "aten::gather"),
    "elementwise": ("aten::mul", "aten::add", "aten::silu", "aten::neg", "aten::div", "aten::sub", "aten::sigmoid"),
    "norms": ("aten::pow", "aten::rsqrt", "aten::mean", "aten::sum"),
    "copies": ("aten::copy_", "aten::cat", "aten::fill_", "aten::index", "aten::zero_", "aten::slice_backward"),
}


def rate_of_products(shape: tuple[int, int, int], dtype: str) -> float:
    """Operations a second of ``[m, k] @ [k, n]``, the best of some tries."""
    import torch

    m, k, n = shape
    left, right = (torch.randn(size, dtype=getattr(torch, dtype)) for size in ((m, k), (n, k)))
    best = float("inf")
    for _ in range(6):
        began = time.perf_counter()
        for _ in range(4):
            torch.nn.functional.linear(left, right)
        best = min(best, (time.perf_counter() - began) / 4)
    return 2.0 * m * k * n / best


def _quiet(*_: object) -> None:
    """Progress of planning, which nobody looks at here."""


def main() -> None:
    """Train, profile, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--plain", action="store_true", help="no profile; the last line is JSON")
    parser.add_argument("overrides", nargs="*")
    given = parser.parse_args()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    os.environ |= {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    from framework.compose import compose
    from framework.estimate import Shape
    from framework.models import fetch_weights
    from framework.plan import make_plan
    from framework.run import Execution
    from framework.rundir import choose
    from framework.screen import Screen

    with tempfile.TemporaryDirectory() as folder:
        plan = make_plan(compose([*given.overrides, "tracker=none", f"run_dir={folder}"]), _quiet)
        model_files = fetch_weights(plan.model)
        order = Execution(plan, choose(plan.config), "profile", Screen()).order_of(plan.stages[0], model_files, [])

        import torch
        from torch.profiler import ProfilerActivity, profile

        from framework.data.packs import Packs
        from framework.train.anchor import Anchors
        from framework.train.engine import DeepSpeedEngine, start_process_group
        from framework.train.lm import trainable
        from framework.train.loader import Loader
        from framework.train.loop import Loop, StepDone
        from framework.train.module import StageModule
        from framework.train.watch import LossWatch

        device = start_process_group(600.0)
        model = trainable(order, device)
        packs = Packs.open(Path(order.packs))
        loader = Loader(packs, order.micro_tokens, order.stage.max_length, 0, 1)
        known = torch.zeros(packs.units, 2, device=device) if order.reference else None
        model.train()
        engine = DeepSpeedEngine(StageModule(model, order.objective), order.engine, order.stage, order.model.dtype)
        anchors = Anchors(order.objective, engine, loader, known, device)
        watch = profile(activities=[ProfilerActivity.CPU])

        class Enough(Exception):
            pass

        class Watch:
            """Profiles the steps after the second."""

            tokens = targets = 0
            seconds = 0.0

            def on_step(self, done: StepDone) -> None:
                print(f"step {done.step}  loss {done.loss:.3f}  {done.tokens / done.seconds:,.0f} tokens/s", flush=True)
                if done.step == 2 and not given.plain:
                    watch.__enter__()
                if done.step > 2:
                    self.tokens += done.tokens
                    self.targets += done.supervised_tokens
                    self.seconds += done.seconds
                if done.step >= given.steps:
                    if not given.plain:
                        watch.__exit__(None, None, None)
                    raise Enough

        seen = Watch()
        try:
            loop = Loop(
                engine,
                loader,
                order.objective,
                order.stage,
                order.sources,
                known,
                anchors,
                LossWatch(order.stage),
                device,
            )
            loop.run(0, [seen])
        except Enough:
            pass
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    if given.plain:
        found = {"tokens_per_second": seen.tokens / seen.seconds, "seconds": seen.seconds, "peak_memory_bytes": peak}
        print(json.dumps(found), flush=True)
        os._exit(0)
    shape = Shape.of(model_files.config)
    rate = rate_of_products((1024, shape.hidden, shape.intermediate), order.model.dtype)
    passes = 6 if order.adapter.trains_all else 4
    needed = passes * shape.block_parameters * seen.tokens + 4 * shape.hidden * shape.vocabulary * seen.targets
    spent = {event.key: event.self_cpu_time_total / 1e6 for event in watch.key_averages()}
    total = sum(spent.values())
    print(f"\n{seen.tokens / seen.seconds:,.0f} tokens a second over {given.steps - 2} steps, while profiled")
    left = total
    for kind, names in KINDS.items():
        seconds = sum(value for key, value in spent.items() if key.startswith(names))
        left -= seconds
        print(f"{seconds / total:7.1%}  {kind}")
    print(f"{left / total:7.1%}  everything else")
    print(f"matrix products here: {rate / 1e9:,.0f} GFLOP/s in {order.model.dtype}, {torch.get_num_threads()} threads")
    print(f"model FLOP utilisation: {needed / seen.seconds / rate:.0%}")
    print(f"peak memory: {peak / 1e9:.2f} GB")
    sys.stdout.flush()
    os._exit(0)  # threads of libraries would outlive the work


if __name__ == "__main__":
    main()
