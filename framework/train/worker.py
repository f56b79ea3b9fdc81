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
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import torch
import torch.distributed as dist
from pydantic import Field, TypeAdapter

from framework.data.chat import ChatTokenizer
from framework.failures import FAILURES, STACKS
from framework.files import manifest, read_json, read_lines, write_json
from framework.observers.heartbeat import Heartbeat
from framework.observers.saver import StopFlag
from framework.stagefile import Ancestor, EvaluationFile, StageFile, follow
from framework.train.classify import kind_of, message_of
from framework.train.engine import start_process_group
from framework.train.kernels import use_attention
from framework.train.lm import DTYPES, materialise
from framework.train.loop import NotFinite, Stopped
from framework.train.measure import measure
from framework.train.reward_model import load_reward_model
from framework.train.training import Rank, Training

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
        self._order = order
        stop, device = StopFlag(), start_process_group(order.collective_seconds)
        number, folder = dist.get_rank(), Path(order.folder)
        self._rank = Rank(number, dist.get_world_size(), device, folder, Heartbeat(folder, number), stop)
        self._chat = ChatTokenizer.load(Path(order.model_dir))

    def run(self) -> None:
        """Do what the order says and leave ``result.json``. Raises ``Stopped`` or ``NotFinite``."""
        order, rank = self._order, self._rank
        evals: dict[str, Any] = {}
        totals: dict[str, Any] = {}
        if isinstance(order, EvaluationFile):
            evals["after"] = self._evaluate(order.lineage, "evaluate", order.reward_model)
        else:
            if order.suites and order.evaluate_before:
                evals["before"] = self._evaluate(order.lineage, "evaluate the start")
            totals = self._train_once(order)
            if order.suites:
                made = rank.folder / "model"
                lineage = follow(order.lineage, order.kind, order.adapter, made)
                evals["after"] = self._evaluate(lineage, "evaluate", str(made) if order.objective.scores else "")
        peak = torch.tensor([float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)])
        if rank.device.type == "cuda":
            peak = torch.tensor([float(torch.cuda.max_memory_reserved())], device=rank.device)
        dist.all_reduce(peak, op=dist.ReduceOp.MAX)
        if rank.number == 0:
            result = {
                **totals,
                "seconds": round(rank.seconds.get("train", 0.0) + rank.seconds.get("reference", 0.0), 3),
                "seconds_by_phase": {name: round(value, 3) for name, value in rank.seconds.items()},
                "peak_memory_bytes": int(peak.item()),
                "world_size": rank.world,
                "device": rank.device.type,
                "versions": {name: version(name) for name in _VERSIONS},
                "evals": evals,
                "notes": rank.notes,
            }
            write_json(rank.folder / "result.json", result)
        dist.barrier()

    def _evaluate(self, lineage: list[Ancestor], shown: str, reward_model: str = "") -> dict[str, Any]:
        rank = self._rank
        _hand_back_memory()
        with rank.phase("load", "load the model"):
            if reward_model:
                model = load_reward_model(Path(reward_model), DTYPES[self._order.model.dtype])
            else:
                model = materialise(Path(self._order.model_dir), lineage, self._order.model.dtype)
            use_attention(model, self._order.model.attention, rank.device)
        with rank.phase("evaluate", shown):
            return measure(model, self._order.suites, self._chat, rank.device, rank.heartbeat, rank.stop)

    def _train_once(self, stage: StageFile) -> dict[str, Any]:
        """Train, unless an earlier worker has and was stopped while it measured the result."""
        rank = self._rank
        file, model = rank.folder / "trained.json", rank.folder / "model"
        known: list[Any] = [None]
        if rank.number == 0:
            known[0] = _trained(file, model, stage.key)
        dist.broadcast_object_list(known, src=0)
        if known[0] is not None:
            rank.seconds.update(known[0]["seconds"])
            return known[0]["totals"]
        if rank.number == 0:
            shutil.rmtree(model, ignore_errors=True)  # of another attempt, and not what it wrote
        totals = Training(stage, rank).run()
        if rank.number == 0:
            metrics = read_lines(rank.folder / "metrics.jsonl")
            skipped = Counter(record["skipped"] for record in metrics if "skipped" in record)
            totals |= {"skipped_steps": skipped.total(), "files": manifest(model)}
            if skipped:
                told = ", ".join(f"{count} {reason}" for reason, count in skipped.items())
                rank.notes.append(f"{skipped.total()} steps were skipped ({told})")
            write_json(file, {"key": stage.key, "totals": totals, "seconds": rank.seconds})
        dist.barrier()
        return totals


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
