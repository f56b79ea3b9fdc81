"""Training one stage on one rank: the model and engine put together, gone on with, looped over, saved."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from safetensors.torch import load_file
from transformers import PreTrainedModel

from framework.data.packs import Packs
from framework.files import append_json, new_folder
from framework.observers.heartbeat import Heartbeat
from framework.observers.metrics import MetricsFile
from framework.observers.saver import Saver, StopFlag
from framework.observers.skips import SkipNotes
from framework.paths import home
from framework.stagefile import StageFile, goes_on
from framework.train.anchor import Anchors
from framework.train.checkpoint import Checkpoints, Snapshot, seed_everything
from framework.train.engine import DeepSpeedEngine
from framework.train.lm import materialise, save, trainable
from framework.train.loader import Loader
from framework.train.loop import Loop, NotFinite, Observer
from framework.train.module import StageModule
from framework.train.reference import cache_key, reference
from framework.train.reward_model import save_reward_model
from framework.train.watch import LossWatch


@dataclass(frozen=True)
class Rank:
    """One process among those of an order, and what it tells of itself."""

    number: int
    world: int
    device: torch.device
    folder: Path
    heartbeat: Heartbeat
    stop: StopFlag
    seconds: dict[str, float] = field(default_factory=dict[str, float])
    """Time by phase."""
    notes: list[str] = field(default_factory=list[str])
    """What the driver should show."""

    @contextlib.contextmanager
    def phase(self, name: str, shown: str = "") -> Generator[None]:
        """Something that takes a while: shown as it begins, its time added up when it ends."""
        self.heartbeat.phase(shown or name)
        began = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - began


class Training:
    """A stage from its packs to its saved model."""

    def __init__(self, stage: StageFile, rank: Rank) -> None:
        self._stage = stage
        self._rank = rank
        with rank.phase("load", "load the model"):
            seed_everything(stage.seed + rank.number)
            self._model = trainable(stage, rank.device)
            self._packs = Packs.open(Path(stage.packs))
            self._loader = Loader(self._packs, stage.micro_tokens, rank.number, rank.world)

    def run(self) -> dict[str, Any]:
        """Train and save; what was trained on. Raises ``Stopped`` or ``NotFinite``."""
        stage, rank, loader = self._stage, self._rank, self._loader
        known = self._reference() if stage.reference else None
        with rank.phase("load", "start the engine"):
            self._model.train()
            module = StageModule(self._model, stage.objective, self._packs.margins)
            engine = DeepSpeedEngine(module, stage.engine, stage.stage, stage.model.dtype)
            checkpoints = Checkpoints(rank.folder / "checkpoints")
            anchors = Anchors(stage.objective, engine, loader, known, rank.device)
            watch = LossWatch(stage.stage)
            start = self._resume(checkpoints, engine, anchors, watch)
        state = engine.state()

        def snapshot() -> Snapshot:
            values = {"updates": state.updates(), "anchors": anchors.state(), "losses": watch.state()}
            return Snapshot(state.gather(), values)

        ids = self._packs.ids()
        loop = Loop(engine, loader, stage.objective, stage.stage, stage.sources, known, anchors, watch, rank.device)
        with rank.phase("train"):
            try:
                loop.run(start, self._observers(checkpoints, snapshot, ids, start))
            except NotFinite as error:
                error.rows = [ids[unit] for unit in error.units]
                raise
        with rank.phase("save", "save the stage"), engine.whole():
            if rank.number == 0:
                save_stage(self._model, stage, rank.folder / "model")
        dist.barrier()
        steps = range(loader.steps)
        return {
            "steps": loader.steps,
            "tokens": sum(loader.tokens(step) for step in steps),
            "supervised_tokens": sum(int(loader.targets(step).sum()) for step in steps),
        }

    def _observers(
        self, checkpoints: Checkpoints, snapshot: Callable[[], Snapshot], ids: list[str], start: int
    ) -> list[Observer]:
        rank, minutes = self._rank, self._stage.engine.checkpoint_minutes
        saver = Saver(checkpoints, snapshot, rank.folder, minutes, rank.stop, rank.device, self._tell)
        observers: list[Observer] = [rank.heartbeat, saver]
        if rank.number == 0:

            def rows(step: int) -> list[str]:
                return [ids[unit] for unit in self._loader.units(step)]

            metrics = MetricsFile(rank.folder / "metrics.jsonl", start)
            observers = [metrics, SkipNotes(rows, self._tell), *observers]
        return observers

    def _reference(self) -> torch.Tensor:
        stage, rank = self._stage, self._rank
        assert stage.reference is not None
        exchanged = stage.objective.anchor == "mismatched"
        with rank.phase("reference", "reference log-probabilities"):
            key = cache_key(
                model=stage.reference,
                packs=Path(stage.packs).name,
                micro_tokens=stage.micro_tokens,
                dtype=stage.model.dtype,
                adapter=stage.adapter.kind,
                world=rank.world,
                exchanged=exchanged,
            )
            folder = home() / "cache" / "reference" / key
            beat = rank.heartbeat.beat
            return reference(self._model, self._loader, self._packs.units, rank.device, folder, beat, exchanged)

    def _resume(self, checkpoints: Checkpoints, engine: DeepSpeedEngine, anchors: Anchors, watch: LossWatch) -> int:
        """The step to go on from, with everything as it was then."""
        found: list[Any] = [checkpoints.newest() if self._rank.number == 0 else None]
        dist.broadcast_object_list(found, src=0)
        step, wrong = found[0]
        for problem in wrong:
            self._tell("checkpoint_damaged", {"message": problem})
        self._rank.notes.extend(f"damaged checkpoint passed over: {problem}" for problem in wrong)
        if step is None:
            return 0
        stored = checkpoints.open(step)
        engine.state().spread(stored.tensor, stored.values["updates"])
        anchors.restore(stored.values["anchors"])
        watch.restore(stored.values["losses"])
        stored.restore_generators(self._stage.seed)
        self._tell("resumed", {"step": step, "world": self._rank.world, "saved_by": stored.values["world"]})
        return step

    def _tell(self, event: str, fields: dict[str, Any]) -> None:
        if self._rank.number == 0:
            record = {"time": time.time(), "event": event, "stage": self._stage.label, **fields}
            with contextlib.suppress(OSError):  # a full disk must not end a training that can go on
                append_json(Path(self._stage.events), record)


def save_stage(model: PreTrainedModel, stage: StageFile, folder: Path) -> None:
    """Into a folder that appears when it is whole: a disk that is full leaves no half of a model."""
    with new_folder(folder) as apart:
        if stage.objective.scores:
            save_reward_model(model, stage, apart)
        else:
            directory = Path(stage.model_dir)
            save(model, stage.adapter, directory, apart)
            if stage.stage.strength < 1:
                going_on = goes_on(stage.lineage, stage.adapter)

                def start() -> dict[str, torch.Tensor]:
                    if going_on:
                        return load_file(Path(stage.lineage[-1].path) / "adapter_model.safetensors")
                    return materialise(directory, stage.lineage, stage.model.dtype).state_dict()

                stage.adapter.weaken(apart, stage.stage.strength, start, going_on)
