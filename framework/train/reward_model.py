"""Reward models as folders: any library loads them, whichever adapter they were trained with."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import cast

import torch
from transformers import AutoModelForSequenceClassification, PreTrainedModel

from framework.adapters.full import Full
from framework.stagefile import Ancestor, StageFile
from framework.train.head import note_padding, with_head
from framework.train.kernels import SEGMENTS, register
from framework.train.lm import inner, materialise, merge, save


def load_reward_model(folder: Path, dtype: torch.dtype) -> PreTrainedModel:
    """The reward model of a folder on the CPU, with segment attention. Only safetensors, never remote code."""
    register()
    model = AutoModelForSequenceClassification.from_pretrained(
        folder,
        dtype=dtype,
        attn_implementation=SEGMENTS,
        use_safetensors=True,
        trust_remote_code=False,
        local_files_only=True,
    )
    return cast("PreTrainedModel", model).requires_grad_(False)


def save_reward_model(model: PreTrainedModel, stage: StageFile, folder: Path) -> None:
    """Write a reward stage's result whole: body with the adapter merged, head and tokenizer, as safetensors.

    An adapter is merged into the weights as they were loaded, as those of other stages are, not into the copy that was
    trained on, which may be quantised. Raises ``ValueError`` as ``save`` does.
    """
    tokenizer = Path(stage.model_dir)
    whole = inner(model)
    if not stage.adapter.trains_all:
        apart = folder.with_name(".adapter")
        shutil.rmtree(apart, ignore_errors=True)
        save(model, stage.adapter, tokenizer, apart)
        fresh = with_head(materialise(tokenizer, stage.lineage, stage.model.dtype), tokenizer, stage.seed)
        whole = merge(fresh, Ancestor(path=str(apart), adapter=stage.adapter))
        shutil.rmtree(apart)
    # The attention of training is this project's own: other libraries choose theirs.
    whole.set_attn_implementation("sdpa")
    save(whole, Full(), tokenizer, folder)
    note_padding(folder)
