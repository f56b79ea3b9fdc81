"""Checkpoints that are whole or not there, and that say so: written beside, checksummed, renamed.

A checkpoint is a folder of safetensors and one JSON file. Rank 0 writes it, all workers read it. It does not depend on
the number of workers or on the ZeRO stage, and nothing in it is unpickled.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from framework.files import manifest, read_json, sync, write_json

_MANIFEST = "manifest.json"
_STATE = "state.json"
_SHARD_BYTES = 2**30
"""What rank 0 gathers before it writes, so that its memory does not grow with the model."""


class DamagedCheckpoint(Exception):
    """A checkpoint whose files differ from its manifest."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a checkpoint holds: tensors by name, gathered one by one, and plain values."""

    tensors: Iterator[tuple[str, Tensor]]
    values: dict[str, Any]


def seed_everything(seed: int) -> None:
    """Seed all generators that a training step could draw from."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def _generators() -> dict[str, Tensor]:
    state = {"torch": torch.get_rng_state()}
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state()
    return state


class Stored:
    """A verified checkpoint, open for reading."""

    def __init__(self, folder: Path) -> None:
        self.values: dict[str, Any] = read_json(folder / _STATE)
        self._place = {
            name: file
            for file in sorted(folder.glob("*.safetensors"))
            for name in safe_open(file, "pt").keys()  # noqa: SIM118
        }

    def tensor(self, name: str) -> Tensor:
        """A tensor by name. Raises ``KeyError``."""
        with safe_open(self._place[name], "pt") as file:
            found: Tensor = file.get_tensor(name)
            return found

    def restore_generators(self, seed: int) -> None:
        """Random numbers go on where this rank's were; a rank that there was none of gets its own from ``seed``."""
        rank = dist.get_rank()
        if f"torch:{rank}" not in self._place or self.values["world"] != dist.get_world_size():
            seed_everything(seed + rank + 7919 * self.values["step"])
            return
        torch.set_rng_state(self.tensor(f"torch:{rank}"))
        if torch.cuda.is_available() and f"cuda:{rank}" in self._place:
            torch.cuda.set_rng_state(self.tensor(f"cuda:{rank}"))


class Checkpoints:
    """The checkpoints of one stage in ``folder``; the last two are kept."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def save(self, step: int, snapshot: Snapshot) -> str | None:
        """Write the state after ``step`` steps; called by all workers together.

        Returns why it could not be written, the same on all workers, or None. The earlier ones stay either way.
        """
        generators: list[Any] = [None] * dist.get_world_size()
        dist.all_gather_object(generators, _generators())
        values = {"step": step, "world": dist.get_world_size(), **snapshot.values}
        failed: list[str | None] = [None]
        if dist.get_rank() == 0:
            failed[0] = self._write(step, snapshot.tensors, generators, values)
        else:
            for _ in snapshot.tensors:
                pass
        dist.broadcast_object_list(failed, src=0)
        return failed[0]

    def _write(
        self, step: int, tensors: Iterator[tuple[str, Tensor]], generators: list[dict[str, Tensor]], values: Any
    ) -> str | None:
        temporary = self._folder / f".step-{step:08d}"
        error: str | None = None
        try:
            self._sweep()
            temporary.mkdir(parents=True)
            own = {f"{kind}:{rank}": state for rank, states in enumerate(generators) for kind, state in states.items()}
            save_file(own, temporary / "generators.safetensors")
        except Exception as problem:  # safetensors has no exception for a full disk of its own
            error = _reason(problem)
        for number, shard in enumerate(_shards(tensors)):
            if error is None:  # the others are in the midst of gathering: go through with it
                try:
                    save_file(shard, temporary / f"state-{number:05d}.safetensors")
                except Exception as problem:
                    error = _reason(problem)
        try:
            if error is None:
                write_json(temporary / _STATE, values)
                self._finish(temporary, self._folder / f"step-{step:08d}")
        except OSError as problem:
            error = _reason(problem)
        if error is not None:
            shutil.rmtree(temporary, ignore_errors=True)
        return error

    def _finish(self, temporary: Path, final: Path) -> None:
        write_json(temporary / _MANIFEST, manifest(temporary))
        for file in [*temporary.rglob("*"), temporary]:
            sync(file)
        shutil.rmtree(final, ignore_errors=True)
        temporary.rename(final)
        sync(self._folder)
        for old in self.whole()[:-2]:
            shutil.rmtree(self._folder / f"step-{old:08d}", ignore_errors=True)

    def _sweep(self) -> None:
        """Remove what a killed worker left half written: one worker at a time writes here."""
        for folder in self._folder.glob(".step-*"):
            shutil.rmtree(folder, ignore_errors=True)

    def whole(self) -> list[int]:
        """Steps of the checkpoints that were written to their end, ascending."""
        return sorted(int(path.name.removeprefix("step-")) for path in self._folder.glob("step-*") if path.is_dir())

    def newest(self) -> tuple[int | None, list[str]]:
        """The newest checkpoint whose files are what was written, and what is wrong with those after it.

        Damaged ones are put aside, so that they do not count as kept.
        """
        wrong: list[str] = []
        for step in reversed(self.whole()):
            try:
                self.verify(step)
            except DamagedCheckpoint as problem:
                wrong.append(str(problem))
                aside = self._folder / f"damaged-{step:08d}"
                shutil.rmtree(aside, ignore_errors=True)
                (self._folder / f"step-{step:08d}").rename(aside)
                continue
            return step, wrong
        return None, wrong

    def verify(self, step: int) -> None:
        """Raises ``DamagedCheckpoint`` naming the files that are missing or changed."""
        folder = self._folder / f"step-{step:08d}"
        try:
            expected: dict[str, str] = read_json(folder / _MANIFEST)
            found = manifest(folder)
        except (OSError, ValueError):
            raise DamagedCheckpoint(f"{folder}: its manifest cannot be read") from None
        wrong = [name for name, digest in expected.items() if found.get(name) != digest]
        if wrong or not expected:
            raise DamagedCheckpoint(f"{folder}: missing or changed: {', '.join(wrong) or 'everything'}")

    def open(self, step: int) -> Stored:
        """A checkpoint that ``newest`` has verified."""
        return Stored(self._folder / f"step-{step:08d}")


def _shards(tensors: Iterator[tuple[str, Tensor]]) -> Iterator[dict[str, Tensor]]:
    shard: dict[str, Tensor] = {}
    held = 0
    for name, tensor in tensors:
        shard[name] = tensor
        held += tensor.nbytes
        if held >= _SHARD_BYTES:
            yield shard
            shard, held = {}, 0
    if shard:
        yield shard


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
