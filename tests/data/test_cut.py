"""Judged replies in packs, and what becomes of conversations over the length."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from framework.data.chat import ChatTokenizer
from framework.data.mix import Mix
from framework.data.packs import Field, Packs, SegmentRole
from framework.data.prepare import Prepared, Request, prepare
from framework.sources.jsonl import JsonLines

TEMPLATE = "{% for m in messages %}{{ '<s>' + m.role + '\\n' + m.content + '<e>' }}{% endfor %}"
TEMPLATE += "{% if add_generation_prompt %}{{ '<s>assistant\\n' }}{% endif %}"


@pytest.fixture
def model(make_model: Any) -> Path:
    return make_model(TEMPLATE, ["<s>", "<e>"], "<e>")


def prepared(model: Path, records: list[dict[str, Any]], **changes: Any) -> Prepared:
    path = model / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in records))
    given: dict[str, Any] = {"rows": "sft", "long": "truncate", **changes}
    return prepare(
        Request(
            name="align",
            path="data.align",
            sources={"s": JsonLines(path=str(path))},
            replay={},
            mix=Mix(),
            max_length=128,
            epochs=1.0,
            max_steps=None,
            batch_tokens=512,
            seed=0,
            model_dir=model,
            **given,
        )
    )


def segments(model: Path, prepared: Prepared) -> dict[str, list[tuple[SegmentRole, str, bool]]]:
    """By row: the role, text and mask of its segments; all tokens of one are targets, or none."""
    chat, packs = ChatTokenizer.load(model), Packs.open(prepared.directory)
    names = packs.ids()
    found: dict[str, list[tuple[SegmentRole, str, bool]]] = {}
    for at, segment in enumerate(np.asarray(packs.segments).tolist()):
        begin, length = segment[Field.START], segment[Field.LENGTH]
        mask = np.asarray(packs.supervised[begin : begin + length])
        assert mask.all() or not mask.any()
        role = SegmentRole(segment[Field.ROLE])
        assert segment[Field.PREFIX] == (-1 if role == SegmentRole.PREFIX else at - 1)
        text = chat.decode(packs.tokens[begin : begin + length].tolist())
        found.setdefault(names[segment[Field.UNIT]], []).append((role, text, bool(mask.all())))
    return found


def judged(id: str, prompt: str, completion: str, label: Any) -> dict[str, Any]:
    return {"id": id, "prompt": prompt, "completion": completion, "label": label}


def test_labels_of_judged_replies_reach_the_packs(model: Path) -> None:
    made = prepared(model, [judged("1", "q", "good", True), judged("2", "q", "bad", False)], rows="judged")
    assert made.sources["s"].format == "binary_preference" and made.sources["s"].kinds == {"judged": 2}
    prompt = (SegmentRole.PREFIX, "<s>user\nq<e><s>assistant\n", False)
    assert segments(model, made) == {
        "1": [prompt, (SegmentRole.DESIRABLE, "good<e>", True)],
        "2": [prompt, (SegmentRole.UNDESIRABLE, "bad<e>", True)],
    }
    assert Packs.open(made.directory).pairs == 0


@pytest.mark.parametrize("label", [True, False])
@pytest.mark.parametrize("sizes", [(300, 5), (5, 300), (300, 300)])
def test_long_judged_replies_are_cut_to_fit(model: Path, sizes: tuple[int, int], label: bool) -> None:
    prompt, completion = "p " * sizes[0] + "END", "c " * sizes[1]
    made = prepared(model, [judged("1", prompt, completion, label)], rows="judged")
    assert made.sources["s"].truncated == 1 and made.tokens == 128
    (_, asked, _), (role, said, _) = segments(model, made)["1"]
    assert asked.endswith("END<e><s>assistant\n") and completion.startswith(said.removesuffix("<e>"))
    assert said.endswith("<e>") == (sizes[1] == 5)
    assert role == (SegmentRole.DESIRABLE if label else SegmentRole.UNDESIRABLE)
    dropped = prepared(model, [judged("1", prompt, completion, label)], rows="judged", long="drop")
    assert dropped.sources["s"].dropped["longer than max_length"].first == "1" and not dropped.units


def test_judged_replies_are_left_out_where_others_are_wanted(model: Path) -> None:
    made = prepared(model, [judged("1", "q", "a", True), judged("2", "q", "a", False)])
    assert made.sources["s"].dropped["wrong kind: judged"].count == 2 and not made.units


@pytest.mark.parametrize("long", ["truncate", "split"])
def test_a_cut_answer_has_no_stop_and_is_counted(model: Path, long: str) -> None:
    """A conversation is not split: a part from its middle on would answer what is not there."""
    rows = [
        {"id": "long", "instruction": "q", "response": "word " * 300},
        {"id": "short", "instruction": "q", "response": "a"},
    ]
    made = prepared(model, rows, long=long)
    use = made.sources["s"]
    assert (use.truncated, use.units, use.rows_used, use.dropped) == (1, 2, 2, {})
    chat, packs = ChatTokenizer.load(model), Packs.open(made.directory)
    (stop,) = chat.encode_replies([""], stop=True)[0].tolist()
    ids = packs.ids()
    for segment in np.asarray(packs.segments).tolist():
        own = slice(segment[Field.START], segment[Field.START] + segment[Field.LENGTH])
        supervised = np.asarray(packs.tokens[own])[np.asarray(packs.supervised[own])].tolist()
        assert (supervised[-1] == stop) == (ids[segment[Field.UNIT]] == "short")
        assert supervised.count(stop) == (ids[segment[Field.UNIT]] == "short")


def test_a_template_that_loses_text_names_the_row(make_model: Any) -> None:
    losing = TEMPLATE.replace("m.content", "m.content | replace('forbidden', '')")
    rows = [
        {"id": "fine", "instruction": "q", "response": "a"},
        {"id": "lost", "instruction": "q", "response": "forbidden"},
    ]
    made = prepared(make_model(losing, ["<s>", "<e>"], "<e>"), rows)
    (reason,) = made.unproved["s"]
    assert "changes contents" in reason and made.unproved["s"][reason] == ["lost"]
    assert made.sources["s"].dropped[f"mask not proved: {reason}"].first == "lost"
