"""The order of a small stage with any adapter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from framework.adapters.base import Adapter
from framework.objectives.sft import Supervised
from framework.registry import component
from framework.schema import Engine, Model, Stage
from framework.stagefile import Ancestor, StageFile


@dataclass
class Setting:
    """Where a stage's model comes from and goes to."""

    model: Path
    folder: Path
    device: torch.device

    def order(self, kind: str, dtype: str = "float32", lineage: Sequence[Ancestor] = (), **adapter: Any) -> StageFile:
        return StageFile(
            label="1-instruct",
            kind="instruct",
            key="key",
            seed=7,
            model=Model(kind="path", path=str(self.model), dtype=dtype),  # type: ignore[arg-type]
            model_dir=str(self.model),
            lineage=list(lineage),
            stage=Stage(lr=2e-3, weight_decay=0.01, clip=0.5),
            micro_tokens=256,
            checkpointing=False,
            adapter=made(kind, **adapter),
            objective=Supervised(),
            engine=Engine(),
            packs="",
            sources=[],
            reference=None,
            suites={},
            evaluate_before=False,
            folder=str(self.folder),
            events=str(self.folder / "events.jsonl"),
            collective_seconds=60.0,
        )


def made(kind: str, **settings: Any) -> Adapter:
    low_rank = {} if kind == "full" else {"r": 4, "alpha": 8.0}
    found = component("adapters", kind).model_validate({"kind": kind, **low_rank, **settings})
    assert isinstance(found, Adapter)
    return found
