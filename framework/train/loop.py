"""The training loop: one for every objective, adapter and number of workers."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
import torch.distributed as dist
from torch import Tensor

from framework.objectives.base import Objective
from framework.schema import Stage
from framework.train.anchor import Anchors
from framework.train.engine import DeepSpeedEngine
from framework.train.loader import Loader, Share
from framework.train.watch import LossWatch


@dataclass(frozen=True, slots=True)
class StepDone:
    """What one optimizer step did, over all workers."""

    step: int
    """Steps done, from 1."""
    steps: int
    loss: float
    loss_by_source: dict[str, float]
    lr: float
    grad_norm: float
    tokens: int
    supervised_tokens: int
    tokens_by_source: dict[str, int]
    """Supervised tokens of the step by source."""
    seconds: float
    metrics: dict[str, float] = field(default_factory=dict)
    skipped: str = ""
    """Why the weights were not updated (``not_finite``, ``loss_spike``); loss and norm may then be NaN."""


class NotFinite(Exception):
    """A step that must not be made: its loss or gradient is NaN, infinite, or a spike. Names the rows of its batch."""

    def __init__(self, kind: str, message: str, step: int, units: list[int]) -> None:
        super().__init__(f"{message} at step {step}")
        self.kind = kind
        """``not_finite`` or ``loss_spike``."""
        self.units = units
        self.rows: list[str] = []
        """Ids of the units, once they are known."""


class Stopped(Exception):
    """The run was asked to stop; the state after ``step`` steps is saved."""

    def __init__(self, step: int) -> None:
        super().__init__(f"stopped after step {step}")
        self.step = step


class Observer(Protocol):
    """Reacts to steps; runs on every worker, in the same order."""

    def on_step(self, done: StepDone) -> None:
        """Called after every optimizer step."""
        ...


def learning_rate(stage: Stage, step: int, steps: int) -> float:
    """The rate of step ``step`` (from 0) of ``steps``: a linear warm-up, then the schedule down to 0."""
    warmup = math.ceil(stage.warmup * steps)
    if step < warmup:
        return stage.lr * (step + 1) / warmup
    progress = (step - warmup) / max(1, steps - warmup)
    if stage.schedule == "constant":
        return stage.lr
    if stage.schedule == "linear":
        return stage.lr * (1 - progress)
    return stage.lr * 0.5 * (1 + math.cos(math.pi * progress))


class Loop:
    """Runs the steps of a stage and tells the observers of each."""

    def __init__(
        self,
        engine: DeepSpeedEngine,
        loader: Loader,
        objective: Objective,
        stage: Stage,
        sources: Sequence[str],
        reference: Tensor | None,
        anchors: Anchors,
        watch: LossWatch,
        device: torch.device,
    ) -> None:
        self._engine = engine
        self._loader = loader
        self._objective = objective
        self._stage = stage
        self._sources = sources
        self._reference = reference
        self._anchors = anchors
        self._watch = watch
        self._device = device

    def run(self, start: int, observers: Sequence[Observer]) -> None:
        """Steps ``start`` to the end. Raises ``NotFinite``; observers may raise ``Stopped``."""
        for step, shares in self._loader.iterate(start):
            done = self._step(step, shares)
            for observer in observers:
                observer.on_step(done)

    def _step(self, step: int, shares: list[Share]) -> StepDone:
        began = time.perf_counter()
        targets = self._loader.targets(step)
        supervised = int(targets.sum())
        units = self._loader.units(step)
        counts = {"tokens": supervised, "pairs": len(units), "responses": self._loader.responses(step)}
        count = counts[self._objective.unit]
        # Gradients are averaged over the workers: multiplied by their number, losses add up to the global mean.
        scale = dist.get_world_size() / count
        anchor = self._anchors.before(step)
        totals: dict[str, Tensor] = {}
        by_source = torch.zeros(len(self._sources), device=self._device)
        values: list[float] = []
        wrong = ""
        for index, share in enumerate(shares):
            batch = share.batch.to(self._device)
            loss, logps = self._engine.forward(batch, self._reference, anchor)
            by_source.index_add_(0, batch.source, -share.weight * logps)
            whole = torch.stack([loss.total.detach(), torch.zeros((), device=self._device)])
            for name, value in {"loss": whole, **loss.sums}.items():
                totals[name] = totals.get(name, torch.zeros(2, device=self._device)) + share.weight * value
            last = index == len(shares) - 1
            if last:
                sums = torch.cat([*totals.values(), by_source])
                dist.all_reduce(sums)
                values = sums.tolist()
                wrong = self._judge(step, values[0] / count, units)
            # A gradient that is not a number is what the engine itself leaves a step out for.
            weight = math.nan if wrong else scale * share.weight
            self._engine.backward(loss.total * weight, last=last)
        lr = learning_rate(self._stage, step, self._loader.steps)
        grad_norm = self._engine.step(lr)
        if not wrong and not math.isfinite(grad_norm):
            wrong = self._refuse("not_finite", "the gradient is not finite", step, units)
        named = {name: (values[2 * at], values[2 * at + 1]) for at, name in enumerate(totals)}
        mean = named.pop("loss")[0] / count
        if not wrong:
            self._watch.accept(mean)
            self._anchors.after(named)
        losses = zip(self._sources, values[2 * len(totals) :], targets.tolist(), strict=True)
        return StepDone(
            step=step + 1,
            steps=self._loader.steps,
            loss=mean,
            loss_by_source={name: value / n for name, value, n in losses if n},
            lr=lr,
            grad_norm=math.nan if wrong else grad_norm,
            tokens=self._loader.tokens(step),
            supervised_tokens=supervised,
            tokens_by_source={name: n for name, n in zip(self._sources, targets.tolist(), strict=True) if n},
            seconds=time.perf_counter() - began,
            metrics=self._objective.derived({name: total / n for name, (total, n) in named.items() if n}),
            skipped=wrong,
        )

    def _judge(self, step: int, loss: float, units: list[int]) -> str:
        kind = self._watch.wrong(loss)
        if not kind:
            return ""
        bound = self._watch.bound()
        spike = f"the loss {loss:.4g} is over the bound {bound:.4g}" if bound is not None else ""
        return self._refuse(kind, spike if kind == "loss_spike" else "the loss is not finite", step, units)

    def _refuse(self, kind: str, message: str, step: int, units: list[int]) -> str:
        if not self._watch.skips:
            raise NotFinite(kind, message, step + 1, units)
        return kind
