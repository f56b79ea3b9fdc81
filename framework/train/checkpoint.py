"""Checkpoints that are whole or not there, and that say so: written beside, checksummed, renamed, the pointer last."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist

from framework.files import manifest, read_json, sync, write_json

_MANIFEST = "manifest.json"
_POINTER = "latest.json"


class DamagedCheckpoint(Exception):
    """A checkpoint whose files differ from its manifest."""


def _rng_state() -> dict[str, Any]:
    state: dict[str, Any] = {"torch": torch.get_rng_state()}
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def seed_everything(seed: int) -> None:
    """Seed all generators that a training step could draw from."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


class Checkpoints:
    """The checkpoints of one stage in ``folder``; the last two are kept."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def save(self, step: int, write: Callable[[Path], None]) -> None:
        """Write the state after ``step`` steps; called by all workers together."""
        name = f"step-{step:08d}"
        temporary = self._folder / f".{name}"
        rank = dist.get_rank()
        if rank == 0:
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir(parents=True)
        dist.barrier()
        write(temporary)
        torch.save(_rng_state(), temporary / f"rng-{rank}.pt")
        dist.barrier()
        if rank == 0:
            for file in [*temporary.rglob("*"), temporary]:
                sync(file)
            write_json(temporary / _MANIFEST, manifest(temporary))
            final = self._folder / name
            shutil.rmtree(final, ignore_errors=True)
            temporary.rename(final)
            write_json(self._folder / _POINTER, {"step": step, "world": dist.get_world_size()})
            for old in self.whole()[:-2]:
                shutil.rmtree(self._folder / f"step-{old:08d}")
        dist.barrier()

    def whole(self) -> list[int]:
        """Steps of the checkpoints that were written to their end, ascending."""
        return sorted(int(path.name.removeprefix("step-")) for path in self._folder.glob("step-*") if path.is_dir())

    def newest(self) -> int | None:
        """The newest checkpoint whose files are what was written; damaged ones are passed over."""
        for step in reversed(self.whole()):
            try:
                self.verify(step)
            except DamagedCheckpoint:
                continue
            return step
        return None

    def verify(self, step: int) -> None:
        """Raises ``DamagedCheckpoint`` naming the files that are missing or changed."""
        folder = self._folder / f"step-{step:08d}"
        try:
            expected: dict[str, str] = read_json(folder / _MANIFEST)
        except (OSError, ValueError):
            raise DamagedCheckpoint(f"{folder}: its manifest cannot be read") from None
        found = manifest(folder)
        wrong = [name for name, digest in expected.items() if found.get(name) != digest]
        if wrong:
            raise DamagedCheckpoint(f"{folder}: missing or changed: {', '.join(wrong)}")

    def restore(self, step: int, read: Callable[[Path], dict[str, Any]]) -> dict[str, Any]:
        """Load the state after ``step`` steps; called by all workers together."""
        folder = self._folder / f"step-{step:08d}"
        state = read(folder)
        rng = torch.load(folder / f"rng-{dist.get_rank()}.pt", weights_only=True)
        torch.set_rng_state(rng["torch"])
        if "cuda" in rng:
            torch.cuda.set_rng_state(rng["cuda"])
        return state

    def clear(self) -> None:
        """Remove all checkpoints, once the stage is done."""
        shutil.rmtree(self._folder, ignore_errors=True)
