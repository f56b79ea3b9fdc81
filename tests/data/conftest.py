"""Small tokenizers, models' folders with hand-written templates, and the shared data."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from framework.paths import PROJECT

MakeModel = Callable[..., Path]

CORPUS = [
    "The court held that the contract was void. What is a statute?",
    "user assistant system model inst Answer the question: why is the sky blue?\n\nBecause of scattering.",
    "Ein Vertrag über Grundstücke bedarf der Form. 契約は無効です。 Договор недействителен. 🙂 naïve café",
    "def add(a, b):\n    return a + b\n",
] * 5


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIPTYCH_HOME", str(tmp_path / "home"))


@pytest.fixture
def make_model(tmp_path: Path) -> MakeModel:
    """Writes a model's folder: a byte-level BPE tokenizer with these control tokens, and a chat template."""

    def make(template: str, control: list[Any], eos: str, bos: str | None = None, **config: Any) -> Path:
        from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=400,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            special_tokens=config.pop("inside", []),
            show_progress=False,
        )
        tokenizer.train_from_iterator(CORPUS, trainer)
        for token in control:
            token = AddedToken(token, special=True, normalized=False) if isinstance(token, str) else token
            tokenizer.add_special_tokens([token]) if token.special else tokenizer.add_tokens([token])
        folder = tmp_path / "model"
        folder.mkdir(exist_ok=True)
        tokenizer.save(str(folder / "tokenizer.json"))
        settings = {"eos_token": eos, "pad_token": eos, **({"bos_token": {"content": bos}} if bos else {})}
        (folder / "tokenizer_config.json").write_text(json.dumps({**settings, **config}))
        (folder / "chat_template.jinja").write_text(template)
        return folder

    return make


@pytest.fixture
def shared() -> Path:
    """The folder with real data; tests that need it are skipped where it is absent."""
    folder = Path(os.environ.get("TRIPTYCH_SHARED", PROJECT.parent / "shared")) / "data"
    if not folder.is_dir():
        pytest.skip(f"the shared data is not at {folder}; set TRIPTYCH_SHARED")
    return folder


@pytest.fixture
def make_pieces(tmp_path: Path) -> MakeModel:
    """Writes a model's folder as SentencePiece models are converted: metaspace pieces, control tokens among them."""

    def make(template: str, control: list[str], eos: str, bos: str | None = None, kind: str = "unigram") -> Path:
        from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

        tokenizer = Tokenizer(models.Unigram() if kind == "unigram" else models.BPE(byte_fallback=True))
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
        tokenizer.decoder = decoders.Sequence(
            [
                decoders.Replace("\u2581", " "),
                decoders.ByteFallback(),
                decoders.Fuse(),
                decoders.Strip(" ", 1, 0),
            ]
        )
        alphabet = sorted(set("".join(CORPUS)) | {chr(code) for code in range(32, 127)} | set("\n\t"))
        pieces = [f"<0x{byte:02X}>" for byte in range(256)]
        options: dict[str, Any] = {"vocab_size": 800, "initial_alphabet": alphabet, "show_progress": False}
        special = ["<unk>", *control, *pieces]
        if kind == "unigram":
            trainer: Any = trainers.UnigramTrainer(special_tokens=special, unk_token="<unk>", **options)
        else:
            trainer = trainers.BpeTrainer(special_tokens=special, **options)
        tokenizer.train_from_iterator(CORPUS, trainer)
        settings = json.loads(tokenizer.to_str())
        settings["model"]["byte_fallback"] = True
        settings["added_tokens"] = [token for token in settings["added_tokens"] if token["content"] not in pieces]
        tokenizer = Tokenizer.from_str(json.dumps(settings))
        tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in control])
        folder = tmp_path / f"pieces-{kind}"
        folder.mkdir(exist_ok=True)
        tokenizer.save(str(folder / "tokenizer.json"))
        named = {"eos_token": eos, "pad_token": eos, **({"bos_token": bos} if bos else {})}
        (folder / "tokenizer_config.json").write_text(json.dumps(named))
        (folder / "chat_template.jinja").write_text(template)
        return folder

    return make
