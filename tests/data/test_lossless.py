"""Tokenizers that cannot change a text: what is claimed of them holds, and is claimed of no other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from framework.data.byte_pairs import without_token
from framework.data.vocabulary import Vocabulary
from tests.data.test_prepare import TEMPLATE


@pytest.fixture
def plain(make_model: Any) -> dict[str, Any]:
    """The settings of a byte-level tokenizer."""
    folder: Path = make_model(TEMPLATE, ["<|im_start|>", "<|im_end|>"], "<|im_end|>")
    found: dict[str, Any] = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    return {**found, "added_tokens": []}


def test_any_text_comes_back(plain: dict[str, Any]) -> None:
    digits = {"type": "Digits", "individual_digits": True}
    both = {**plain, "pre_tokenizer": {"type": "Sequence", "pretokenizers": [digits, plain["pre_tokenizer"]]}}
    assert without_token(plain) == without_token(both) == b""
    tokenizers = [Tokenizer.from_str(json.dumps(claimed)) for claimed in (plain, both)]

    @given(st.text(st.characters(exclude_categories=["Cs"])))
    @settings(max_examples=300, deadline=None)
    def comes_back(text: str) -> None:
        for tokenizer in tokenizers:
            assert tokenizer.decode(tokenizer.encode(text, add_special_tokens=False).ids, False) == text

    comes_back()


@pytest.mark.parametrize(
    "change",
    [
        {"normalizer": {"type": "Lowercase"}},
        {"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}},
        {"pre_tokenizer": {"type": "Whitespace"}},
        {"pre_tokenizer": None},
        {"model": {"dropout": 0.1}},
        {"model": {"type": "Unigram"}},
        {"added_tokens": [{"content": "x", "lstrip": True, "rstrip": False}]},
    ],
)
def test_others_are_decoded(plain: dict[str, Any], change: dict[str, Any]) -> None:
    changed = {**plain, **change}
    if "model" in change:
        changed["model"] = {**plain["model"], **change["model"]}
    assert without_token(changed) is None


def test_a_cut_that_leaves_something_out(plain: dict[str, Any]) -> None:
    cut = {"type": "Split", "pattern": {"String": " "}, "behavior": "Removed", "invert": False}
    parts = {"type": "Sequence", "pretokenizers": [cut, plain["pre_tokenizer"]]}
    assert without_token({**plain, "pre_tokenizer": parts}) is None
    kept = {**parts, "pretokenizers": [{**cut, "behavior": "Isolated"}, plain["pre_tokenizer"]]}
    assert without_token({**plain, "pre_tokenizer": kept}) == b""


def test_bytes_that_no_token_stands_for(plain: dict[str, Any]) -> None:
    missing = {" ": "Ġ", "\n": "Ċ", "z": "z", "\x7f": "ġ", "\xc0": "À"}
    vocabulary = {piece: id for piece, id in plain["model"]["vocab"].items() if piece not in missing.values()}
    merges = [merge for merge in plain["model"]["merges"] if not set("".join(merge)) & set(missing.values())]
    vocabulary = {
        piece: id for piece, id in vocabulary.items() if not (len(piece) > 1 and set(piece) & set(missing.values()))
    }
    changed = {**plain, "model": {**plain["model"], "vocab": vocabulary, "merges": merges}}
    assert set(without_token(changed) or b"") == {ord(character) for character in missing}
    tokenizer = Tokenizer.from_str(json.dumps(changed))
    for text in ("a b", "fuzz", "a\nb", "\x7f"):
        assert tokenizer.decode(tokenizer.encode(text, add_special_tokens=False).ids, False) != text


def test_control_tokens_in_contents_are_found_all_the_same(plain: dict[str, Any]) -> None:
    control = {"id": len(plain["model"]["vocab"]), "content": "<|x|>", "special": True, "single_word": False}
    whole = {**plain, "added_tokens": [{**control, "lstrip": False, "rstrip": False, "normalized": False}]}
    vocabulary = Vocabulary(json.dumps(whole), "")
    texts = ["a <|x|> b", "plain"]
    assert vocabulary.faithful(vocabulary.encode(texts), texts) == ["", ""]
    assert vocabulary.faithful([np.array([control["id"]], dtype=np.int32)], ["<|x|>"]) == [
        "the content makes a control token"
    ]
