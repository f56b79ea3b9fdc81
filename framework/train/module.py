"""The stage's model and objective as one module: what DeepSpeed wraps."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from framework.objectives.base import Loss, Objective, Targets
from framework.train.batch import MicroBatch
from framework.train.lm import inner
from framework.train.logps import target_logps


def token_logps(model: PreTrainedModel, batch: MicroBatch) -> Tensor:
    """The log-probability of every target of a micro-batch, float32 [K]."""
    body = model.base_model
    output = body(input_ids=batch.input_ids, position_ids=batch.position_ids, use_cache=False, spans=batch.spans)
    hidden = cast("Tensor", output.last_hidden_state)[0]
    return target_logps(model, hidden[batch.predict], batch.labels)


def targets(batch: MicroBatch, replies: bool, reference: Tensor | None, anchor: Tensor) -> Targets:
    """What the targets of a micro-batch belong to; with ``replies``, to responses.

    ``reference`` is float32 [all units of the stage, 2 or more], of which the first two columns count.
    """
    device = batch.labels.device
    if not replies:
        nothing = torch.zeros(0, device=device)
        return Targets(batch.source, torch.zeros(0, dtype=torch.int64, device=device), 0, nothing, nothing, anchor)
    units, place = torch.unique(batch.unit, return_inverse=True)
    sequence = 2 * place + batch.child
    count = 2 * len(units)
    lengths = torch.zeros(count, device=device).index_add(0, sequence, torch.ones(len(sequence), device=device))
    known = reference[units, :2].flatten() if reference is not None else torch.zeros(count, device=device)
    return Targets(batch.source, sequence, len(units), known, lengths, anchor)


class StageModule(nn.Module):
    """Forward pass from a micro-batch to the objective's loss, summed over its units."""

    def __init__(self, model: PreTrainedModel, objective: Objective) -> None:
        super().__init__()
        self.model = model
        self._objective = objective

    def forward(self, batch: MicroBatch, reference: Tensor | None, anchor: Tensor | None = None) -> tuple[Loss, Tensor]:
        """The loss, and the log-probabilities of the targets (detached), float32 [K]. Without an anchor it is 0."""
        anchor = torch.zeros((), device=batch.labels.device) if anchor is None else anchor
        logps = token_logps(inner(self.model), batch)
        loss = self._objective.loss(logps, targets(batch, self._objective.unit != "tokens", reference, anchor))
        return loss, logps.detach()
