"""Where a reward model lies: a folder that transformers loads for sequence classification, or a run that made one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from framework.errors import DataError, Problem
from framework.paths import resolve

_FIX = "name a run that trained a reward model, or a folder that AutoModelForSequenceClassification loads"


def folder_of(path: str) -> Path:
    """The folder with a reward model's weights and tokenizer; of a run, that of its reward stage.

    Raises ``DataError`` when there is none, or it has more than one score.
    """
    given = resolve(path).resolve()
    stages = [stage for stage in given.glob("stages/*-reward/model") if (stage / "config.json").is_file()]
    folder = stages[0] if stages else given
    try:
        config: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise DataError([Problem("model", f"there is no reward model in {given}", _FIX)]) from None
    architectures: list[str] = config.get("architectures") or []
    if not any(name.endswith("ForSequenceClassification") for name in architectures):
        shown = ", ".join(architectures) or "a model of an unknown kind"
        raise DataError([Problem("model", f"{folder} holds {shown}, which is no reward model", _FIX)])
    labels = len(config.get("id2label") or (0, 1))  # what transformers takes when the file says nothing
    if labels != 1:
        raise DataError([Problem("model", f"{folder} has {labels} labels; a reward model has one score", _FIX)])
    missing = [name for name in ("tokenizer.json", "*.safetensors") if not any(folder.glob(name))]
    if missing:
        raise DataError([Problem("model", f"{folder} has no {name}", _FIX) for name in missing])
    return folder


def files_of(path: str) -> list[Path]:
    """What decides a reward model's scores. Raises ``DataError`` as ``folder_of`` does."""
    folder = folder_of(path)
    small = ("config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja")
    named = [folder / name for name in small if (folder / name).is_file()]
    return [*named, *sorted(folder.glob("*.safetensors"))]
