"""Reference log-probabilities: computed once at the start of a stage, cached by content, shared by sweep members."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor
from transformers import PreTrainedModel

from framework.files import new_folder
from framework.train.batch import MicroBatch
from framework.train.lm import inner
from framework.train.loader import Loader
from framework.train.mismatch import mismatched
from framework.train.module import token_logps


def cache_key(
    *, model: str, packs: str, micro_tokens: int, dtype: str, adapter: str, world: int, exchanged: bool
) -> str:
    """What decides the values to the last bit: the starting weights, the rows, and how they are laid out."""
    parts = [model, packs, micro_tokens, dtype, adapter, world, exchanged, torch.__version__, 2]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def summed(logps: Tensor, batch: MicroBatch, into: Tensor) -> None:
    """Add the targets' log-probabilities [K] to their sequences in ``into``, float32 [units, 2]."""
    into.view(-1).index_add_(0, 2 * batch.unit + batch.child, logps.float())


def reference(
    model: PreTrainedModel,
    loader: Loader,
    units: int,
    device: torch.device,
    folder: Path,
    progress: Callable[[int, int], None],
    exchanged: bool = False,
) -> Tensor:
    """Summed log-probabilities of chosen and rejected responses under the starting policy, float32 [units, 2].

    With ``exchanged``, two more columns have those of the responses that ``mismatched`` gives a unit's prompt. Read
    from ``folder`` when another stage with the same start and rows left them there.
    """
    file = folder / "logps.npy"
    # One worker decides: a folder that appears in between must not let workers part ways before a collective.
    found = torch.tensor([float(file.exists())], device=device)
    dist.broadcast(found, src=0)
    if found.item():
        return torch.from_numpy(np.load(file)).to(device)
    own, others = torch.zeros(units, 2, device=device), torch.zeros(units, 2, device=device)
    training = model.training
    model.eval()
    with torch.no_grad():
        for step in range(loader.steps):
            for group, weight in loader.shares(step):
                if weight:
                    batch = loader.build(group).to(device)
                    summed(token_logps(inner(model), batch), batch, own)
            for weight, batch in mismatched(loader, step) if exchanged else ():
                if weight and batch is not None:
                    batch = batch.to(device)
                    summed(token_logps(inner(model), batch), batch, others)
            progress(step + 1, loader.steps)
    model.train(training)
    values = torch.cat([own, others], dim=1) if exchanged else own
    dist.all_reduce(values)
    if dist.get_rank() == 0:
        with new_folder(folder) as temporary:
            np.save(temporary / "logps.npy", values.cpu().numpy())
    return values
