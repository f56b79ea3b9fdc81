"""Greedy decoding in batches: what all prompts begin with is read once, and finished replies leave the batch."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel


@torch.no_grad()
def greedy(
    model: PreTrainedModel, prompts: Sequence[np.ndarray], max_new_tokens: int, stop: Collection[int]
) -> list[list[int]]:
    """The likeliest next token again and again, for each prompt, up to a token of ``stop`` (left out) or the limit.

    Args:
        model: whose attention takes a mask of padding.
        prompts: int32 [n] each, at least one token.
        max_new_tokens: most tokens of a reply.
        stop: ids that end a reply.
    """
    cache = DynamicCache(config=model.config)
    common = _common(prompts)
    count, width = len(prompts), max(map(len, prompts)) - common
    ids = torch.zeros(count, width, dtype=torch.int64)
    mask = torch.zeros(count, width, dtype=torch.int64)
    for row, prompt in enumerate(prompts):
        own = torch.from_numpy(prompt[common:].astype(np.int64))
        ids[row, width - len(own) :] = own
        mask[row, width - len(own) :] = 1
    ids, mask = ids.to(model.device), mask.to(model.device)
    if common:
        shared = torch.from_numpy(prompts[0][:common].astype(np.int64))[None].to(model.device)
        _next(model, cache, input_ids=shared)
        cache.batch_repeat_interleave(count)
    positions = common + (mask.cumsum(dim=1) - 1).clamp(min=0)
    mask = torch.cat([mask.new_ones(count, common), mask], dim=1)
    ends = torch.tensor(sorted(stop), device=model.device)
    replies: list[list[int]] = [[] for _ in prompts]
    going = list(range(count))
    for _ in range(max_new_tokens):
        found = _next(model, cache, input_ids=ids, attention_mask=mask, position_ids=positions)
        goes_on = ~torch.isin(found, ends)
        kept = goes_on.nonzero().squeeze(1)
        going = [going[place] for place in kept.tolist()]
        if not going:
            break
        if len(going) < len(goes_on):
            cache.batch_select_indices(kept)
            found, mask, positions = found[kept], mask[kept], positions[kept]
        for row, token in zip(going, found.tolist(), strict=True):
            replies[row].append(token)
        ids = found[:, None]
        mask = torch.cat([mask, mask.new_ones(len(going), 1)], dim=1)
        positions = positions[:, -1:] + 1
    return replies


def _next(model: PreTrainedModel, cache: DynamicCache, **inputs: Tensor) -> Tensor:
    """The likeliest token after each row, int64 [rows]; the cache takes the rows up."""
    output: Any = model(**inputs, past_key_values=cache, use_cache=True, logits_to_keep=1)
    return output.logits[:, -1].argmax(dim=-1)


def _common(prompts: Sequence[np.ndarray]) -> int:
    """How many tokens all prompts begin with; every prompt keeps one of its own, and one prompt shares nothing."""
    if len(prompts) == 1:
        return 0
    least = min(map(len, prompts)) - 1
    alike = (np.stack([prompt[:least] for prompt in prompts]) == prompts[0][:least]).all(axis=0)
    return least if alike.all() else int(alike.argmin())
