"""Tokenizers that cannot change a text: what is claimed of them holds, and is claimed of no other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from framework.data.vocabulary import Vocabulary, lossless
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
    assert lossless(plain) and lossless(both)
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
        {"model": {"vocab": {"a": 0}, "merges": []}},
        {"model": {"type": "Unigram"}},
        {"added_tokens": [{"content": "x", "lstrip": True, "rstrip": False}]},
    ],
)
def test_others_are_decoded(plain: dict[str, Any], change: dict[str, Any]) -> None:
    changed = {**plain, **change}
    if "model" in change:
        changed["model"] = {**plain["model"], **change["model"]}
    assert not lossless(changed)


def test_a_cut_that_leaves_something_out(plain: dict[str, Any]) -> None:
    cut = {"type": "Split", "pattern": {"String": " "}, "behavior": "Removed", "invert": False}
    parts = {"type": "Sequence", "pretokenizers": [cut, plain["pre_tokenizer"]]}
    assert not lossless({**plain, "pre_tokenizer": parts})
    assert lossless(
        {
            **plain,
            "pre_tokenizer": {**parts, "pretokenizers": [{**cut, "behavior": "Isolated"}, plain["pre_tokenizer"]]},
        }
    )


def test_control_tokens_in_contents_are_found_all_the_same(plain: dict[str, Any]) -> None:
    control = {"id": len(plain["model"]["vocab"]), "content": "<|x|>", "special": True, "single_word": False}
    whole = {**plain, "added_tokens": [{**control, "lstrip": False, "rstrip": False, "normalized": False}]}
    vocabulary = Vocabulary(json.dumps(whole), "")
    texts = ["a <|x|> b", "plain"]
    assert vocabulary.faithful(vocabulary.encode(texts), texts) == ["", ""]
    assert vocabulary.faithful([[control["id"]]], ["<|x|>"]) == ["the content makes a control token"]
