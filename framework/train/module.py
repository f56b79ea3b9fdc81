"""The stage's model and objective as one module: what DeepSpeed wraps."""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from framework.objectives.base import Loss, Objective, Targets
from framework.train.batch import MicroBatch
from framework.train.head import HEAD
from framework.train.lm import inner
from framework.train.logps import target_logps


def _hidden(model: PreTrainedModel, batch: MicroBatch) -> Tensor:
    """The last hidden states of a micro-batch, [T, H]."""
    body = model.base_model
    output = body(input_ids=batch.input_ids, position_ids=batch.position_ids, use_cache=False, spans=batch.spans)
    return cast("Tensor", output.last_hidden_state)[0]


def token_logps(model: PreTrainedModel, batch: MicroBatch) -> Tensor:
    """The log-probability of every target of a micro-batch, float32 [K]."""
    return target_logps(model, _hidden(model, batch)[batch.predict], batch.labels)


def response_scores(model: PreTrainedModel, batch: MicroBatch) -> tuple[Tensor, Tensor]:
    """A reward model's score of every response, float32 [R], read at its last target; whose they are, int64 [R, 2].

    Responses come by unit and continuation, which are the two columns.
    """
    owners, place = torch.unique(torch.stack([batch.unit, batch.child], dim=1), dim=0, return_inverse=True)
    ends = batch.at.new_zeros(len(owners)).scatter_reduce(0, place, batch.at, "amax")
    head = cast("nn.Module", getattr(model, HEAD))
    return head(_hidden(model, batch)[ends]).float().squeeze(1), owners


def targets(
    batch: MicroBatch, replies: bool, reference: Tensor | None, anchor: Tensor, margins: Tensor | None = None
) -> Targets:
    """What the targets of a micro-batch belong to; with ``replies``, to responses.

    ``reference`` is float32 [all units of the stage, 2 or more], of which the first two columns count; ``margins`` are
    float32 [all units of the stage].
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
    stated = margins[units] if margins is not None else None
    return Targets(batch.source, sequence, len(units), known, lengths, anchor, stated)


class StageModule(nn.Module):
    """Forward pass from a micro-batch to the objective's loss, summed over its units."""

    def __init__(self, model: PreTrainedModel, objective: Objective, margins: np.ndarray | None = None) -> None:
        """``margins`` are those of all units of the stage, float32."""
        super().__init__()
        self.model = model
        self._objective = objective
        self._margins = None if margins is None else torch.from_numpy(margins).to(model.device)

    def forward(self, batch: MicroBatch, reference: Tensor | None, anchor: Tensor | None = None) -> tuple[Loss, Tensor]:
        """The loss, and what each target counts by source (detached), float32 [K]. Without an anchor it is 0.

        A target's own is its log-probability. Of a reward model it is that of its pair's preference: the loss of a
        source is then a mean over the tokens of its responses.
        """
        anchor = torch.zeros((), device=batch.labels.device) if anchor is None else anchor
        belongs = targets(batch, self._objective.unit != "tokens", reference, anchor, self._margins)
        if self._objective.scores:
            loss = self._objective.loss(response_scores(inner(self.model), batch)[0], belongs)
            return loss, -loss.per_unit[belongs.sequence // 2]
        logps = token_logps(inner(self.model), batch)
        return self._objective.loss(logps, belongs), logps.detach()
