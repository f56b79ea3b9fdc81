"""Texts tokenised by pieces have the ids that the library gives for the whole, by every tokenizer that is cut so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from framework.data import pieces as module
from framework.data.byte_pairs import cuts_words
from framework.data.pieces import Pieces, pieces
from framework.data.vocabulary import Vocabulary
from tests.data.test_prepare import TEMPLATE

SHARED = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
BYTES: dict[str, Any] = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
DIGITS: dict[str, Any] = {"type": "Digits", "individual_digits": True}


def split(pattern: str) -> dict[str, Any]:
    cut = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
    return {"type": "Sequence", "pretokenizers": [cut, {**BYTES, "use_regex": False}]}


CUTS: dict[str, dict[str, Any]] = {
    "gpt2": BYTES,
    "digits": {"type": "Sequence", "pretokenizers": [DIGITS, BYTES]},
    "qwen2": split(SHARED + r"\p{N}" + REST),
    "llama3": split(SHARED + r"\p{N}{1,3}" + REST),
}
SPACES = " \t\n\r\v\f\x1c\x85\xa0\u1680\u180e\u2003\u200b\u2028\u202f\u3000\ufeff"
TEXTS = st.lists(
    st.one_of(
        st.sampled_from([*SPACES, "  ", "\n\n ", "'s", "'re", "don't", "The", "a", "19", "3rd", "½", "é", "e\u0301"]),
        st.sampled_from(
            [".", ",", "!?", "...\n", "(", "’", "_", "<s>", "<think>", "\u0301", "漢字", "🙂", "İ", "\x04"]
        ),
        st.text(max_size=4),
    ),
    max_size=14,
).map("".join)


@pytest.fixture
def plain(make_model: Any) -> dict[str, Any]:
    """The settings of a byte-level tokenizer."""
    folder: Path = make_model(TEMPLATE, ["<|im_start|>", "<|im_end|>"], "<|im_end|>")
    found: dict[str, Any] = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    return {**found, "added_tokens": []}


@pytest.mark.parametrize("name", CUTS)
@pytest.mark.parametrize("normalizer", [None, {"type": "NFC"}])
def test_the_library_cuts_there_too(plain: dict[str, Any], name: str, normalizer: dict[str, Any] | None) -> None:
    claimed = {**plain, "pre_tokenizer": CUTS[name], "normalizer": normalizer}
    assert cuts_words(claimed)
    tokenizer = Tokenizer.from_str(json.dumps(claimed))

    def cut(text: str) -> list[str]:
        normal = tokenizer.normalizer.normalize_str(text) if tokenizer.normalizer else text
        return [part for part, _ in tokenizer.pre_tokenizer.pre_tokenize_str(normal)]

    @given(TEXTS)
    @example("a   b \n c  ")
    @example("a.\n\n  b\t c")
    @settings(max_examples=400, deadline=None)
    def same(text: str) -> None:
        found = pieces(text)
        assert "".join(found) == text
        assert [part for piece in found for part in cut(piece)] == cut(text)

    same()


@pytest.mark.parametrize("name", CUTS)
def test_ids_are_those_of_the_whole(plain: dict[str, Any], name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_REMEMBERED", 5)
    added = {"id": len(plain["model"]["vocab"]), "content": "<think>", "special": False, "single_word": False}
    token = {**added, "lstrip": True, "rstrip": False, "normalized": False}
    tokenizer = Tokenizer.from_str(json.dumps({**plain, "pre_tokenizer": CUTS[name], "added_tokens": [token]}))
    kept = Pieces(tokenizer, ["<think>"])

    @given(st.lists(TEXTS, max_size=4))
    @example(["", " ", "one two  three", "a <think> b", "x" * 100 + " " + "y" * 100])
    @settings(max_examples=200, deadline=None)
    def same(texts: list[str]) -> None:
        whole = [tokenizer.encode(text, add_special_tokens=False).ids for text in texts]
        assert [ids.tolist() for ids in kept.encode(texts)] == whole

    same()


@pytest.mark.parametrize(
    "change",
    [
        {"normalizer": {"type": "Lowercase"}},
        {"pre_tokenizer": {**BYTES, "use_regex": False}},
        {"pre_tokenizer": {**BYTES, "add_prefix_space": True}},
        {"pre_tokenizer": split(r"\w+|\W+")},
        {"pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": False}},
        {"pre_tokenizer": None},
        {"model": {"type": "Unigram"}},
        {"model": {"dropout": 0.1}},
        {"normalizer": {"type": "NFC"}, "added_tokens": [{"content": "é", "normalized": True}]},
    ],
)
def test_others_are_not_cut(plain: dict[str, Any], change: dict[str, Any]) -> None:
    changed = {**plain, **change}
    if "model" in change:
        changed["model"] = {**plain["model"], **change["model"]}
    assert not cuts_words(changed)


def test_special_tokens_around_a_text(plain: dict[str, Any]) -> None:
    special = {"id": len(plain["model"]["vocab"]), "content": "<bos>", "special": True, "single_word": False}
    around = {
        "type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": "<bos>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {"<bos>": {"id": "<bos>", "ids": [special["id"]], "tokens": ["<bos>"]}},
    }
    token = {**special, "lstrip": False, "rstrip": False, "normalized": False}
    whole = {**plain, "added_tokens": [token], "post_processor": around}
    tokenizer, vocabulary = Tokenizer.from_str(json.dumps(whole)), Vocabulary(json.dumps(whole), "")
    texts = ["one two, three", "", " "]
    for specials in (False, True):
        asked = [tokenizer.encode(text, add_special_tokens=specials).ids for text in texts]
        assert [ids.tolist() for ids in vocabulary.encode(texts, specials=specials)] == asked
