"""A worker process: ``python -m framework.train.worker ORDER_FILE``.

Trains a stage, saves it and measures what was saved; or measures alone. Talks to the driver through files in the
order's folder: heartbeats, metrics, ``result.json`` and ``failure-RANK.json``.
"""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import gc
import logging
import os
import resource
import shutil
import signal
import sys
import threading
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Generator
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import torch
import torch.distributed as dist
from pydantic import Field, TypeAdapter
from transformers import PreTrainedModel

from framework.data.chat import ChatTokenizer
from framework.data.packs import Packs
from framework.failures import FAILURES, STACKS
from framework.files import append_json, manifest, read_json, read_lines, write_json
from framework.observers.heartbeat import Heartbeat
from framework.observers.metrics import MetricsFile
from framework.observers.saver import Saver, StopFlag
from framework.observers.skips import SkipNotes
from framework.paths import home
from framework.stagefile import Ancestor, EvaluationFile, StageFile, follow
from framework.train.anchor import Anchors
from framework.train.checkpoint import Checkpoints, Snapshot, seed_everything
from framework.train.classify import kind_of, message_of
from framework.train.engine import DeepSpeedEngine, start_process_group
from framework.train.kernels import use_attention
from framework.train.lm import DTYPES, materialise, save, trainable
from framework.train.loader import Loader
from framework.train.loop import Loop, NotFinite, Observer, Stopped
from framework.train.measure import measure
from framework.train.module import StageModule
from framework.train.reference import cache_key, reference
from framework.train.reward_model import load_reward_model, save_reward_model
from framework.train.watch import LossWatch

STOPPED = 75
"""Exit code of a worker that saved a checkpoint and left because it was asked to (EX_TEMPFAIL)."""
_WATCH_SECONDS = 0.5
_ORDERS: TypeAdapter[StageFile | EvaluationFile] = TypeAdapter(
    Annotated[StageFile | EvaluationFile, Field(discriminator="task")]
)
_VERSIONS = ("torch", "transformers", "peft", "deepspeed", "bitsandbytes", "tokenizers")


class Worker:
    """One rank of one order."""

    def __init__(self, order: StageFile | EvaluationFile) -> None:
        self._folder = Path(order.folder)
        self._order = order
        self._stop = StopFlag()
        self._device = start_process_group(order.collective_seconds)
        self._rank = dist.get_rank()
        self._world = dist.get_world_size()
        self._heartbeat = Heartbeat(self._folder, self._rank)
        self._chat = ChatTokenizer.load(Path(order.model_dir))
        self._seconds: dict[str, float] = {}
        self._notes: list[str] = []

    def run(self) -> None:
        """Do what the order says and leave ``result.json``. Raises ``Stopped`` or ``NotFinite``."""
        order = self._order
        evals: dict[str, Any] = {}
        totals: dict[str, Any] = {}
        if isinstance(order, EvaluationFile):
            evals["after"] = self._evaluate(order.lineage, "evaluate", order.reward_model)
        else:
            if order.suites and order.evaluate_before:
                evals["before"] = self._evaluate(order.lineage, "evaluate the start")
            totals = self._train_once(order)
            if order.suites:
                made = self._folder / "model"
                lineage = follow(order.lineage, order.kind, order.adapter, made)
                evals["after"] = self._evaluate(lineage, "evaluate", str(made) if order.objective.scores else "")
        peak = torch.tensor([float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)])
        if self._device.type == "cuda":
            peak = torch.tensor([float(torch.cuda.max_memory_reserved())], device=self._device)
        dist.all_reduce(peak, op=dist.ReduceOp.MAX)
        if self._rank == 0:
            result = {
                **totals,
                "seconds": round(self._seconds.get("train", 0.0) + self._seconds.get("reference", 0.0), 3),
                "seconds_by_phase": {name: round(value, 3) for name, value in self._seconds.items()},
                "peak_memory_bytes": int(peak.item()),
                "world_size": self._world,
                "device": self._device.type,
                "versions": {name: version(name) for name in _VERSIONS},
                "evals": evals,
                "notes": self._notes,
            }
            write_json(self._folder / "result.json", result)
        dist.barrier()

    @contextlib.contextmanager
    def _phase(self, name: str, shown: str = "") -> Generator[None]:
        self._heartbeat.phase(shown or name)
        began = time.perf_counter()
        yield
        self._seconds[name] = self._seconds.get(name, 0.0) + time.perf_counter() - began

    def _evaluate(self, lineage: list[Ancestor], shown: str, reward_model: str = "") -> dict[str, Any]:
        _hand_back_memory()
        with self._phase("load", "load the model"):
            if reward_model:
                model = load_reward_model(Path(reward_model), DTYPES[self._order.model.dtype])
            else:
                model = materialise(Path(self._order.model_dir), lineage, self._order.model.dtype)
            use_attention(model, self._order.model.attention, self._device)
        with self._phase("evaluate", shown):
            return measure(model, self._order.suites, self._chat, self._device, self._heartbeat, self._stop)

    def _train_once(self, stage: StageFile) -> dict[str, Any]:
        """Train, unless an earlier worker has and was stopped while it measured the result."""
        file, model = self._folder / "trained.json", self._folder / "model"
        known: list[Any] = [None]
        if self._rank == 0:
            known[0] = _trained(file, model, stage.key)
        dist.broadcast_object_list(known, src=0)
        if known[0] is not None:
            self._seconds |= known[0]["seconds"]
            return known[0]["totals"]
        if self._rank == 0:
            shutil.rmtree(model, ignore_errors=True)  # of another attempt, and not what it wrote
        totals = self._train(stage)
        if self._rank == 0:
            skipped = Counter(record["skipped"] for record in self._metrics() if "skipped" in record)
            totals |= {"skipped_steps": skipped.total(), "files": manifest(model)}
            if skipped:
                told = ", ".join(f"{count} {reason}" for reason, count in skipped.items())
                self._notes.append(f"{skipped.total()} steps were skipped ({told})")
            write_json(file, {"key": stage.key, "totals": totals, "seconds": self._seconds})
        dist.barrier()
        return totals

    def _metrics(self) -> list[dict[str, Any]]:
        return read_lines(self._folder / "metrics.jsonl")

    def _train(self, stage: StageFile) -> dict[str, Any]:
        with self._phase("load", "load the model"):
            seed_everything(stage.seed + self._rank)
            model = trainable(stage, self._device)
            packs = Packs.open(Path(stage.packs))
            loader = Loader(packs, stage.micro_tokens, stage.stage.max_length, self._rank, self._world)
            module = StageModule(model, stage.objective, packs.margins)
        known = self._reference(stage, model, loader, packs) if stage.reference else None
        with self._phase("load", "start the engine"):
            model.train()
            engine = DeepSpeedEngine(module, stage.engine, stage.stage, stage.model.dtype)
            checkpoints = Checkpoints(self._folder / "checkpoints")
            anchors = Anchors(stage.objective, engine, loader, known, self._device)
            watch = LossWatch(stage.stage)
            start = self._resume(stage, checkpoints, engine, anchors, watch)
        minutes = stage.engine.checkpoint_minutes
        told = partial(self._tell, stage)
        state = engine.state()

        def snapshot() -> Snapshot:
            values = {"updates": state.updates(), "anchors": anchors.state(), "losses": watch.state()}
            return Snapshot(state.gather(), values)

        saver = Saver(checkpoints, snapshot, self._folder, minutes, self._stop, self._device, told)
        observers: list[Observer] = [self._heartbeat, saver]
        ids = packs.ids()

        def rows(step: int) -> list[str]:
            return [ids[unit] for unit in loader.units(step)]

        if self._rank == 0:
            observers = [MetricsFile(self._folder / "metrics.jsonl", start), SkipNotes(rows, told), *observers]
        loop = Loop(engine, loader, stage.objective, stage.stage, stage.sources, known, anchors, watch, self._device)
        with self._phase("train"):
            try:
                loop.run(start, observers)
            except NotFinite as error:
                error.rows = [ids[unit] for unit in error.units]
                raise
        with self._phase("save", "save the stage"), engine.whole():
            if self._rank == 0:
                if stage.objective.scores:
                    save_reward_model(model, stage, self._folder / "model")
                else:
                    save(model, stage.adapter, Path(stage.model_dir), self._folder / "model")
        dist.barrier()
        steps = range(loader.steps)
        return {
            "steps": loader.steps,
            "tokens": sum(loader.tokens(step) for step in steps),
            "supervised_tokens": sum(int(loader.targets(step).sum()) for step in steps),
        }

    def _reference(self, stage: StageFile, model: PreTrainedModel, loader: Loader, packs: Packs) -> torch.Tensor:
        assert stage.reference is not None
        with self._phase("reference", "reference log-probabilities"):
            key = cache_key(
                model=stage.reference,
                packs=Path(stage.packs).name,
                micro_tokens=stage.micro_tokens,
                dtype=stage.model.dtype,
                adapter=stage.adapter.kind,
                world=self._world,
                exchanged=stage.objective.anchor == "mismatched",
            )
            folder = home() / "cache" / "reference" / key
            exchanged = stage.objective.anchor == "mismatched"
            return reference(model, loader, packs.units, self._device, folder, self._heartbeat.beat, exchanged)

    def _resume(
        self,
        stage: StageFile,
        checkpoints: Checkpoints,
        engine: DeepSpeedEngine,
        anchors: Anchors,
        watch: LossWatch,
    ) -> int:
        found: list[Any] = [checkpoints.newest() if self._rank == 0 else None]
        dist.broadcast_object_list(found, src=0)
        step, wrong = found[0]
        for problem in wrong:
            self._tell(stage, "checkpoint_damaged", {"message": problem})
        self._notes += [f"damaged checkpoint passed over: {problem}" for problem in wrong]
        if step is None:
            return 0
        stored = checkpoints.open(step)
        engine.state().spread(stored.tensor, stored.values["updates"])
        anchors.restore(stored.values["anchors"])
        watch.restore(stored.values["losses"])
        stored.restore_generators(stage.seed)
        self._tell(stage, "resumed", {"step": step, "world": self._world, "saved_by": stored.values["world"]})
        return step

    def _tell(self, stage: StageFile, event: str, fields: dict[str, Any]) -> None:
        if self._rank == 0:
            record = {"time": time.time(), "event": event, "stage": stage.label, **fields}
            with contextlib.suppress(OSError):  # a full disk must not end a training that can go on
                append_json(Path(stage.events), record)


def _trained(file: Path, model: Path, key: str) -> dict[str, Any] | None:
    """What an earlier worker left when it had trained this stage; None where its model is not what it wrote."""
    try:
        done: dict[str, Any] = read_json(file)
        return done if done["key"] == key and done["totals"]["files"] == manifest(model) else None
    except (OSError, ValueError, KeyError):
        return None


def _hand_back_memory() -> None:
    """Return what training held to the operating system: the C library keeps freed memory, and the peak would be the
    sum of training's and the evaluation's."""
    gc.collect()
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # other C libraries have no such call
            ctypes.CDLL(None).malloc_trim(0)


def _leave_with(driver: int) -> None:
    """End this process when the one that started it is gone: a second run may start in the same folder then."""
    while os.getppid() == driver:
        time.sleep(_WATCH_SECONDS)
    os._exit(STOPPED)


def _leave_reason(folder: Path, error: Exception) -> None:
    """Tell the driver what went wrong; it reads exit codes where even that cannot be written."""
    wrong = isinstance(error, NotFinite)
    reason = {
        "kind": error.kind if isinstance(error, NotFinite) else kind_of(error),
        "message": str(error) if wrong else message_of(error, folder),
        "rows": error.rows if isinstance(error, NotFinite) else [],
    }
    with contextlib.suppress(OSError):
        write_json(folder / FAILURES.replace("*", os.environ["RANK"]), reason)


def _show_stacks(folder: Path) -> None:
    """On SIGUSR2 write what every thread is doing: the driver asks when nothing moves any more."""
    file = (folder / STACKS.format(rank=os.environ["RANK"])).open("w", encoding="utf-8")
    faulthandler.register(signal.SIGUSR2, file=file, all_threads=True)


def main() -> int:
    """Exit code 0, ``STOPPED``, or 1 with the reason in ``failure-RANK.json``."""
    threading.Thread(target=_leave_with, args=(os.getppid(),), daemon=True).start()
    logging.basicConfig(level=logging.WARNING)
    warnings.simplefilter("default")
    # Progress bars of libraries would fill the log file with control characters.
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "warning")
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    order = _ORDERS.validate_json(Path(sys.argv[1]).read_bytes())
    _show_stacks(Path(order.folder))
    try:
        Worker(order).run()
    except Stopped:
        return STOPPED
    except Exception as error:
        traceback.print_exc()
        _leave_reason(Path(order.folder), error)
        return 1
    finally:
        if dist.is_initialized():
            with contextlib.suppress(Exception):
                dist.destroy_process_group()
    return 0


if __name__ == "__main__":
    # Threads of libraries (gloo, DeepSpeed) may outlive the work; the exit code must not wait for them.
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
