"""The head of a reward model: a language model's body with one score in the place of the vocabulary."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn
from transformers import AutoModelForSequenceClassification, PreTrainedModel

from framework.data.chat import ChatTokenizer
from framework.data.model_files import read_model
from framework.files import read_json, write_json

HEAD = "score"
"""The name that transformers gives the head of a decoder with scores, and PEFT saves it by."""


def with_head(model: PreTrainedModel, tokenizer: Path, seed: int) -> PreTrainedModel:
    """The same body, not copied, under a new head; the output head is dropped.

    The head's weights are drawn with a variance of 1 / (hidden size + 1) (Stiennon et al. 2020, arXiv:2009.01325), and
    depend on ``seed`` alone. Raises ``ValueError`` for an architecture that transformers knows no such model of.
    """
    config = model.config
    config.num_labels = 1
    config.pad_token_id = next(iter(padding(tokenizer).values()), None)
    with torch.device("meta"):
        made = cast("PreTrainedModel", AutoModelForSequenceClassification.from_config(config))
    if not isinstance(getattr(made, HEAD, None), nn.Linear):
        raise ValueError(f"{type(made).__name__} has no head called {HEAD}: no reward model can be made of this model")
    setattr(made, made.base_model_prefix, model.base_model)
    embeddings = cast("nn.Embedding", made.get_input_embeddings())
    # An embedding gives its padding no gradient: left as it was, the stop token, where scores are read, had none.
    embeddings.padding_idx = config.pad_token_id
    size = int(config.get_text_config().hidden_size)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        head = nn.Linear(size, 1, bias=False, dtype=torch.float32)
        nn.init.normal_(head.weight, std=(size + 1) ** -0.5)
    setattr(made, HEAD, head.to(model.dtype).requires_grad_(False))
    return made


def padding(tokenizer: Path) -> dict[str, int]:
    """A token to pad with, by its text, that never ends a reply; empty where the vocabulary has none.

    A reward model in transformers scores the last token that is no padding: were the stop token padding as well, as in
    many chat models, it would score the token before.
    """
    stops = ChatTokenizer.load(tokenizer).eos_ids
    named = read_model(tokenizer).named
    entries: list[dict[str, Any]] = read_json(tokenizer / "tokenizer.json").get("added_tokens") or []
    special = {str(entry["content"]): int(entry["id"]) for entry in entries if entry.get("special")}
    first = [named.get(name, "") for name in ("pad_token", "unk_token")]
    last = named.get("bos_token", "")
    order = [*first, *sorted(special.keys() - {last}, key=special.__getitem__), last]
    return next(({text: special[text]} for text in order if text in special and special[text] not in stops), {})


def note_padding(folder: Path) -> None:
    """Have the tokenizer of a saved reward model pad with what the model takes for padding."""
    for text in padding(folder):
        for name in ("tokenizer_config.json", "special_tokens_map.json"):
            file = folder / name
            if file.exists():
                known = json.loads(file.read_text(encoding="utf-8"))
                write_json(file, {**known, "pad_token": text})
