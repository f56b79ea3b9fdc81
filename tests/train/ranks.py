"""A rank of the parity tests: ``python ranks.py WORK_FILE``, one process for each rank.

Trains every case of the work file on the real loop and engine, and compares with torch alone in one process. Rank 0
writes what it found beside the work file, as ``results.json``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from framework.adapters.base import Adapter
from framework.data.packs import Packs
from framework.objectives.sft import Supervised
from framework.registry import component
from framework.schema import Engine, Model, Stage
from framework.stagefile import StageFile, extended
from framework.train import engine as engines
from framework.train.anchor import Anchors
from framework.train.attention import Span, Spans
from framework.train.engine import DeepSpeedEngine, start_process_group
from framework.train.lm import inner, materialise, save, trainable
from framework.train.loader import Loader
from framework.train.loop import Loop, StepDone, learning_rate
from framework.train.module import StageModule
from framework.train.watch import LossWatch

CAPACITY = 48
PACKS = (4, 5, 3, 4, 2, 1)
"""Packs of each step: odd ones, and fewer at the end than there may be workers."""


def packs() -> Packs:
    """Rows of random tokens and lengths, one or two to a pack."""
    generator = np.random.Generator(np.random.PCG64(5))
    lengths: list[int] = []
    borders = [0]
    for _ in range(sum(PACKS)):
        lengths += [int(n) for n in generator.integers(9, 24, generator.integers(1, 3))]
        borders.append(len(lengths))
    starts = np.concatenate([[0], np.cumsum(lengths)])
    supervised = np.concatenate([np.arange(length) >= length // 2 for length in lengths])
    segments = [
        [start, length, unit, 0, 0, -1] for unit, (start, length) in enumerate(zip(starts, lengths, strict=False))
    ]
    return Packs(
        tokens=generator.integers(3, 250, starts[-1]).astype(np.int32),
        supervised=supervised,
        segments=np.array(segments, dtype=np.int64),
        packs=np.array(borders),
        steps=np.concatenate([[0], np.cumsum(PACKS)]),
        sources=("a",),
        capacity=CAPACITY,
        units=len(lengths),
        pairs=0,
        directory=Path(),
    )


def order(work: dict[str, Any], kind: str, engine: Engine, folder: Path) -> StageFile:
    low_rank = {} if kind == "full" else {"r": 4, "alpha": 8.0}
    adapter = component("adapters", kind).model_validate({"kind": kind, **low_rank})
    assert isinstance(adapter, Adapter)
    return StageFile(
        label="1-instruct",
        kind="instruct",
        key="key",
        seed=7,
        model=Model(kind="path", path=work["model"], dtype=work["dtype"]),
        model_dir=work["model"],
        lineage=[],
        stage=Stage(lr=2e-3, weight_decay=0.01, clip=0.5),
        micro_tokens=CAPACITY,
        checkpointing=False,
        adapter=adapter,
        objective=Supervised(),
        engine=engine,
        packs="",
        sources=["a"],
        reference=None,
        suites={},
        evaluate_before=False,
        folder=str(folder),
        events=str(folder / "events.jsonl"),
        collective_seconds=120.0,
    )


def plain(stage: StageFile) -> list[float]:
    """Losses with torch alone: AdamW on fp32 masters, the whole batch of a step at once."""
    loader = Loader(packs(), 10**6, 0, 1)
    model = trainable(stage, torch.device("cpu"))
    model.train()
    module = StageModule(model, stage.objective)
    weights = [weight for weight in module.parameters() if weight.requires_grad]
    masters = [weight.detach().float().clone().requires_grad_(True) for weight in weights]
    groups = [
        {"params": [m for m in masters if m.ndim > 1], "weight_decay": stage.stage.weight_decay},
        {"params": [m for m in masters if m.ndim <= 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW([group for group in groups if group["params"]], betas=stage.stage.betas)
    losses: list[float] = []
    for step in range(loader.steps):
        batch = loader.build(list(loader.step(step)))
        loss = module(batch, None)[0].total / len(batch.labels)
        loss.backward()
        for master, weight in zip(masters, weights, strict=True):
            assert weight.grad is not None
            master.grad, weight.grad = weight.grad.float(), None
        torch.nn.utils.clip_grad_norm_(masters, stage.stage.clip)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(stage.stage, step, loader.steps)
        optimizer.step()
        with torch.no_grad():
            for master, weight in zip(masters, weights, strict=True):
                weight.copy_(master)
        losses.append(loss.item())
    return losses


def logits(model: Any) -> Tensor:
    tokens = torch.arange(3, 83)[None]
    places = torch.arange(80)[None]
    with torch.no_grad():
        whole = inner(model).eval()
        return (
            whole(input_ids=tokens, position_ids=places, use_cache=False, spans=Spans([Span(0, 80)])).logits[0].float()
        )


class Losses:
    """An observer that keeps them."""

    def __init__(self) -> None:
        self.values: list[float] = []

    def on_step(self, done: StepDone) -> None:
        self.values.append(done.loss)


def spread(model: torch.nn.Module) -> int:
    """Weights of which this rank holds a part alone."""
    return sum(weight.numel() == 0 for weight in model.parameters())


def trained(stage: StageFile, micro_tokens: int, base: Path) -> dict[str, Any]:
    """A case on all ranks: losses, weights that were spread, and how far saved ones are from those in memory."""
    device = torch.device("cpu")
    torch.manual_seed(stage.seed + dist.get_rank())
    loader = Loader(packs(), micro_tokens, dist.get_rank(), dist.get_world_size())
    model = trainable(stage, device)
    if stage.adapter.quantises:
        logits(model)  # as the reference pass of an alignment stage: in evaluation mode, without gradients
    model.train()
    engine = DeepSpeedEngine(StageModule(model, stage.objective), stage.engine, stage.stage, stage.model.dtype)
    found = Losses()
    anchors = Anchors(stage.objective, engine, loader, None, device)
    loop = Loop(
        engine, loader, stage.objective, stage.stage, stage.sources, None, anchors, LossWatch(stage.stage), device
    )
    loop.run(0, [found])
    in_memory = logits(model)
    result: dict[str, Any] = {"losses": found.values, "spread": spread(model)}
    folder = Path(stage.folder) / "model"
    with engine.whole():
        if dist.get_rank() == 0:
            save(model, stage.adapter, base, folder)
    dist.barrier()
    if dist.get_rank() == 0:
        again = materialise(base, extended([], stage.adapter, folder), stage.model.dtype)
        result["gap"] = float((logits(again) - in_memory).abs().max())
        result["moved"] = float((logits(materialise(base, [], stage.model.dtype)) - in_memory).abs().max())
    return result


def for_large_models(engine: Engine, stage: Stage, dtype: str) -> dict[str, Any]:
    """DeepSpeed leaves weights as small as these whole; those of real models are not."""
    found = SETTINGS(engine, stage, dtype)
    if engine.zero == 3:
        found["zero_optimization"] |= {"stage3_param_persistence_threshold": 0}
    return found


SETTINGS = engines.settings


def main() -> None:
    torch.set_num_threads(1)
    file = Path(sys.argv[1])
    work = json.loads(file.read_text())
    start_process_group(120.0)
    engines.settings = for_large_models
    expected: dict[str, list[float]] = {}
    results: dict[str, Any] = {}
    for name, (kind, zero, offload, micro_tokens) in work["cases"].items():
        stage = order(work, kind, Engine(zero=zero, offload=offload), file.parent / name)
        if dist.get_rank() == 0 and kind not in expected:
            expected[kind] = plain(stage)
        results[name] = trained(stage, micro_tokens, Path(work["model"]))
        if dist.get_rank() == 0:
            results[name]["expected"] = expected[kind]
            (file.parent / "results.json").write_text(json.dumps(results))
    dist.barrier()


if __name__ == "__main__":
    main()
