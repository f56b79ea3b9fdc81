"""Log-probabilities of the targets alone, in chunks: no (tokens x vocabulary) tensor is ever whole."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel

from framework.train.engine import partitioned, whole
from framework.train.products import widens

CHUNK = 128
"""Targets whose logits exist at once: 512 x 49,152 in fp32 are 100 MB."""


class _FrozenHead(torch.autograd.Function):
    """Log-probabilities under a head that is not trained.

    ``d log p(y) / d h = W[y] - sum_v p(v) W[v]`` does not depend on what comes later, so the forward pass takes it
    along and the backward pass is a product by scalars: the logits are made once, not twice.
    """

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, labels: Tensor) -> Tensor:
        logps = hidden.new_empty(labels.shape, dtype=torch.float32)
        # Where nothing is trained (evaluations, the reference pass) the second product would be for nothing.
        jacobian = torch.empty_like(hidden) if ctx.needs_input_grad[0] else None
        if widens(weight):
            hidden, weight = hidden.float(), weight.float()
        for start in range(0, labels.shape[0], CHUNK):
            part = slice(start, start + CHUNK)
            log_probabilities = torch.log_softmax((hidden[part] @ weight.T).float(), dim=-1)
            logps[part] = log_probabilities.gather(1, labels[part, None]).squeeze(1)
            if jacobian is not None:
                expected = log_probabilities.exp_().to(weight.dtype) @ weight
                jacobian[part] = weight[labels[part]] - expected
        if jacobian is not None:
            ctx.save_for_backward(jacobian)
        return logps

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor, None, None]:
        (jacobian,) = ctx.saved_tensors
        return grads[0].to(jacobian.dtype)[:, None] * jacobian, None, None


def _project(model: PreTrainedModel, hidden: Tensor) -> Tensor:
    """Logits in fp32, with the scalings that some architectures apply after the head."""
    head = cast("nn.Module", model.get_output_embeddings())
    logits = cast("Tensor", head(hidden)).float()
    config = model.config
    if (divisor := getattr(config, "logits_scaling", None)) is not None:
        logits = logits / divisor
    if (factor := getattr(config, "logit_scale", None)) is not None:
        logits = logits * factor
    if (cap := getattr(config, "final_logit_softcapping", None)) is not None:
        logits = torch.tanh(logits / cap) * cap
    return logits


def _scaled(model: PreTrainedModel) -> bool:
    names = ("logits_scaling", "logit_scale", "final_logit_softcapping")
    return any(getattr(model.config, name, None) is not None for name in names)


def target_logps(model: PreTrainedModel, hidden: Tensor, labels: Tensor) -> Tensor:
    """The log-probability of each target, float32 [K].

    Args:
        model: whose output head to use.
        hidden: [K, H], the last hidden states of the positions that predict the targets.
        labels: int64 [K].
    """
    head = model.get_output_embeddings()
    weight = cast("Tensor", getattr(head, "weight"))  # noqa: B009 - the head is typed as any module
    plain = type(head) is nn.Linear and cast("Tensor | None", head.bias) is None and not _scaled(model)
    if plain and not weight.requires_grad:
        with whole([weight]):
            return cast("Tensor", _FrozenHead.apply(hidden, weight, labels))
    # ZeRO-3 gathers a frozen weight for the forward pass alone: nothing can be computed again in the backward pass.
    again = torch.is_grad_enabled() and not (partitioned(weight) and not weight.requires_grad)

    def chunk(states: Tensor, targets: Tensor) -> Tensor:
        return torch.log_softmax(_project(model, states), dim=-1).gather(1, targets[:, None]).squeeze(1)

    # Every use of a weight that ZeRO-3 holds in parts is a collective: workers have different numbers of targets, and
    # must call the head equally often.
    size = max(1, len(labels)) if partitioned(weight) else CHUNK
    parts = [
        cast("Tensor", checkpoint(chunk, states, targets, use_reentrant=False)) if again else chunk(states, targets)
        for states, targets in zip(hidden.split(size), labels.split(size), strict=True)
    ]
    return torch.cat(parts)
