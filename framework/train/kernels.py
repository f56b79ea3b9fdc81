"""Which implementations a model uses: attention by device and dtype, the rest of a block by what is asked for."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import AttentionInterface, PreTrainedModel
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, sdpa_mask

from framework.schema import Attention, Kernels
from framework.train.attention import segment_attention
from framework.train.varlen import varlen_attention

SEGMENTS, VARLEN = "triptych_segments", "triptych_varlen"
_FLASH_CAPABILITY = (8, 0)
"""The oldest GPUs that FlashAttention-2 runs on (Ampere)."""
_FLASH_HEAD = 256
"""Widest head it has kernels for."""


def _mask(*, attention_mask: Tensor | None = None, **settings: Any) -> Tensor | None:
    """None for a packed sequence, whose spans say all that a mask would; for padded rows, what ``sdpa`` needs."""
    return None if attention_mask is None else sdpa_mask(attention_mask=attention_mask, **settings)


def register() -> None:
    """Make both implementations known to transformers. Calling it again changes nothing."""
    for name, implementation in ((SEGMENTS, segment_attention), (VARLEN, varlen_attention)):
        AttentionInterface.register(name, implementation)
        ALL_MASK_ATTENTION_FUNCTIONS.register(name, _mask)


def use_attention(model: PreTrainedModel, setting: Attention, device: torch.device) -> None:
    """Give a model the implementation that the setting names; ``auto`` takes FlashAttention where it can run."""
    flash = setting == "varlen" or (setting == "auto" and _flash(model, device))
    model.set_attn_implementation(VARLEN if flash else SEGMENTS)


def use_kernels(model: PreTrainedModel, kernels: Kernels) -> None:
    """Put Liger's kernels in place where they are asked for; log-probabilities stay this project's own.

    Raises:
        ValueError: when Liger has none for the model, which it would only log.
    """
    if kernels != "liger":
        return
    from liger_kernel.transformers.monkey_patch import MODEL_TYPE_TO_APPLY_LIGER_FN  # type: ignore[import-not-found]
    from transformers.integrations.liger import apply_liger_kernel

    kind = model.config.model_type
    if kind not in MODEL_TYPE_TO_APPLY_LIGER_FN:
        raise ValueError(f"Liger has no kernels for models of type {kind}: set model.kernels=standard")
    apply_liger_kernel(model, {"cross_entropy": False, "fused_linear_cross_entropy": False})


def compile_blocks(model: PreTrainedModel) -> None:
    """Have norms and feed-forwards compiled when they are first called, for any number of tokens.

    Attention is called span by span and would be compiled anew for every micro-batch.
    """
    for block in model.base_model.get_submodule("layers").children():
        for name, part in block.named_children():
            if "attn" not in name:
                part.compile(dynamic=True)


def _flash(model: PreTrainedModel, device: torch.device) -> bool:
    """Whether FlashAttention has kernels for a model on a device."""
    config = model.config
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return (
        device.type == "cuda"
        and torch.version.cuda is not None
        and model.dtype in (torch.bfloat16, torch.float16)
        and torch.cuda.get_device_capability(device) >= _FLASH_CAPABILITY
        and head <= _FLASH_HEAD
    )
