"""What a model's folder says about its tokenizer and chat template."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from framework.data.cache import file_digest, key_of
from framework.errors import ModelError

_RULES = 1
"""Version of the rules in ``chat``: raised when the same files give other tokens."""
_NAMED = ("bos_token", "eos_token", "pad_token", "unk_token", "sep_token", "cls_token", "mask_token")


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """What a model's folder says about its tokenizer and template."""

    template: str
    named: dict[str, str]
    eos: tuple[int, ...]
    fingerprint: str


def fingerprint(model_dir: Path) -> str:
    """``ChatTokenizer.fingerprint`` without loading the tokenizer. Raises ``ModelError`` when there is none."""
    return read_model(model_dir).fingerprint


def read_model(model_dir: Path) -> ModelFiles:
    """Read a model's folder. Raises ``ModelError`` when there is no fast tokenizer in it."""
    tokenizer = model_dir / "tokenizer.json"
    if not tokenizer.is_file():
        raise ModelError(f"{model_dir} holds no tokenizer.json; a fast tokenizer is needed")
    config, generation = (_json(model_dir / name) for name in ("tokenizer_config.json", "generation_config.json"))
    model = _json(model_dir / "config.json")
    named: dict[str, str] = {}
    for name in _NAMED:
        value = config.get(name)
        text = value.get("content") if isinstance(value, dict) else value
        if isinstance(text, str):
            named[name] = text
    template = _template(model_dir, config.get("chat_template"))
    eos = generation.get("eos_token_id", model.get("eos_token_id"))
    ids = tuple(id for id in (eos if isinstance(eos, list) else [eos]) if isinstance(id, int))
    return ModelFiles(template, named, ids, key_of([_RULES, file_digest(tokenizer), template, named, ids]))


def _template(model_dir: Path, given: Any) -> str:
    beside = model_dir / "chat_template.jinja"
    if beside.is_file():
        return beside.read_text(encoding="utf-8")
    if isinstance(given, list):
        return next((str(one["template"]) for one in given if one.get("name") == "default"), "")
    return given if isinstance(given, str) else ""


def _json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelError(f"{path} is not valid JSON: {error}") from error
    return found if isinstance(found, dict) else {}
