"""The language model: loaded, made from its lineage, quantised, made trainable, saved."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, PreTrainedModel

from framework.adapters.base import Adapter
from framework.models import copy_tokenizer
from framework.stagefile import Ancestor, StageFile, goes_on
from framework.train.head import HEAD, with_head
from framework.train.kernels import SEGMENTS, compile_blocks, register, use_attention, use_kernels
from framework.train.lean import write_less

if TYPE_CHECKING:
    from peft import PeftModel

DTYPES = {"bfloat16": torch.bfloat16, "float32": torch.float32}


def load(directory: Path, dtype: str, attention: str = SEGMENTS) -> PreTrainedModel:
    """The model of a directory on the CPU, with segment attention. Only safetensors, never remote code."""
    register()
    model = AutoModelForCausalLM.from_pretrained(
        directory,
        dtype=DTYPES[dtype],
        attn_implementation=attention,
        use_safetensors=True,
        trust_remote_code=False,
        local_files_only=True,
    )
    return cast("PreTrainedModel", model)


def materialise(directory: Path, lineage: Sequence[Ancestor], dtype: str) -> PreTrainedModel:
    """The model after all stages of a lineage, every adapter merged, on the CPU.

    Merging is done in the model's dtype, one stage after the other, so that the same lineage always gives the same
    weights, bit for bit.
    """
    whole = [index for index, step in enumerate(lineage) if step.adapter.trains_all]
    first = whole[-1] + 1 if whole else 0
    model = load(Path(lineage[first - 1].path) if whole else directory, dtype)
    for step in lineage[first:]:
        model = merge(model, step)
    return model.requires_grad_(False)


def merge(model: PreTrainedModel, step: Ancestor) -> PreTrainedModel:
    """The model with a stage's adapter in its weights."""
    from peft import PeftModel

    if step.adapter.quantises:
        # The adapter was trained over 4-bit weights: those, de-quantised, are what it belongs to.
        _round_trip(model, _double_quant(step.adapter))
    adapted = PeftModel.from_pretrained(model, step.path, autocast_adapter_dtype=False)
    return cast("PreTrainedModel", adapted.merge_and_unload())


def _quantisable(model: nn.Module) -> list[tuple[str, nn.Linear]]:
    """The linear layers that are held in 4 bits: all but the head, whether its output is a vocabulary or a score."""
    head = getattr(model, HEAD, None) or cast("PreTrainedModel", model).get_output_embeddings()
    return [
        (name, module) for name, module in model.named_modules() if type(module) is nn.Linear and module is not head
    ]


def _double_quant(adapter: Adapter) -> bool:
    return bool(getattr(adapter, "double_quant", True))


def _round_trip(model: PreTrainedModel, double_quant: bool) -> None:
    """Replace weights by what they are after 4-bit quantisation."""
    from bitsandbytes.functional import dequantize_4bit, quantize_4bit

    with torch.no_grad():
        for _, module in _quantisable(model):
            packed, state = quantize_4bit(module.weight.data, quant_type="nf4", compress_statistics=double_quant)
            module.weight.copy_(dequantize_4bit(packed, state).to(module.weight.dtype))


def quantise(model: PreTrainedModel, double_quant: bool, device: torch.device) -> PreTrainedModel:
    """Hold the linear layers in NF4 (bitsandbytes), computed in the model's dtype."""
    from bitsandbytes.nn import Linear4bit, Params4bit

    for name, module in _quantisable(model):
        layer = Linear4bit(
            module.in_features,
            module.out_features,
            bias=cast("Tensor | None", module.bias) is not None,
            compute_dtype=module.weight.dtype,
            compress_statistics=double_quant,
            quant_type="nf4",
        )
        # In evaluation mode bitsandbytes would lay the weights out for a CPU kernel that rounds to bf16 and has no
        # backward pass, and stay there: after the reference pass no gradient would reach the layers below.
        layer.support_avx512bf16_for_cpu = False
        settings: dict[str, Any] = {"quant_type": "nf4", "compress_statistics": double_quant}
        layer.weight = Params4bit(module.weight.data, requires_grad=False, **settings)
        layer.bias = module.bias
        parent, _, leaf = name.rpartition(".")
        setattr(model.get_submodule(parent), leaf, layer.to(device))
    return model


def trainable(stage: StageFile, device: torch.device) -> PreTrainedModel:
    """The model at the start of a stage: lineage merged, quantised when asked, adapter in place, on its device."""
    from peft import PeftModel

    going_on = goes_on(stage.lineage, stage.adapter)
    lineage = stage.lineage[:-1] if going_on else stage.lineage
    model = materialise(Path(stage.model_dir), lineage, stage.model.dtype)
    if stage.objective.scores:
        model = with_head(model, Path(stage.model_dir), stage.seed)
    if stage.adapter.quantises:
        model = quantise(model, _double_quant(stage.adapter), device)
    nn.Module.to(model, device)
    use_attention(model, stage.model.attention, device)
    use_kernels(model, stage.model.kernels)
    if going_on:
        path = stage.lineage[-1].path
        adapted: nn.Module = PeftModel.from_pretrained(model, path, is_trainable=True, autocast_adapter_dtype=False)
    else:
        adapted = stage.adapter.apply(model, stage.seed)
    if stage.model.compile:
        compile_blocks(model)
    else:
        write_less(adapted, gathered=stage.engine.zero < 3)
    if stage.checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
        model.disable_input_require_grads()  # of use to re-entrant checkpoints alone; costs a pass below the adapters
    return cast("PreTrainedModel", adapted)


def inner(model: nn.Module) -> PreTrainedModel:
    """The transformers model inside an adapted one."""
    found = cast("PeftModel", model).get_base_model() if hasattr(model, "get_base_model") else model
    return cast("PreTrainedModel", found)


def save(model: PreTrainedModel, adapter: Adapter, tokenizer: Path, folder: Path) -> None:
    """Write a stage's weights (the adapter, or the whole model) as safetensors, with the tokenizer.

    Raises ``ValueError`` when what was written is empty or not finite: a damaged result must never count as finished.
    """
    from safetensors import safe_open

    folder.mkdir(parents=True, exist_ok=True)
    if not adapter.trains_all:
        config = cast("PeftModel", model).peft_config["default"]
        # Otherwise the path of this machine's cache would go into the file; None makes PEFT look it up.
        config.base_model_name_or_path = ""
    model.save_pretrained(folder, safe_serialization=True)
    (folder / "README.md").unlink(missing_ok=True)
    adapter.complete(model, folder)
    copy_tokenizer(tokenizer, folder)
    tensors = 0
    for file in folder.glob("*.safetensors"):
        with safe_open(file, framework="pt") as opened:
            for name in opened.keys():  # noqa: SIM118 - not a mapping
                tensors += 1
                value = opened.get_tensor(name)
                if value.numel() == 0 or not torch.isfinite(value).all():
                    raise ValueError(f"{file.name}: tensor {name} is empty or not finite")
    if not tensors:
        raise ValueError(f"{folder}: no tensors were saved")
