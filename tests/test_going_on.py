"""What keeps a run from going on in a directory, said key by key; and what is done there already."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from framework.files import append_json, manifest, read_lines, write_json
from framework.resume import damaged, differences, finished_here

PLAN: dict[str, Any] = {
    "plan_key": "p",
    "model": {"name": "tiny", "fingerprint": "f"},
    "stages": [
        {
            "name": "1-align",
            "kind": "align",
            "key": "k",
            "sources": {"talk": {"fingerprint": "a"}, "more": {"fingerprint": "b"}},
            "inputs": {
                "code": 3,
                "settings": {"lr": 0.1, "batch": {"tokens": 8}},
                "objective": {"kind": "dpo", "beta": 0.1},
                "adapter": {"r": 16},
                "micro_tokens": 8,
                "dtype": "float32",
                "data": "d",
                "parent": "f",
                "seed": 0,
            },
        }
    ],
}


def change(path: str, value: Any) -> dict[str, Any]:
    plan = copy.deepcopy(PLAN)
    plan["plan_key"] = plan["stages"][0]["key"] = "other"
    place: Any = plan["stages"][0]["inputs"]
    *heads, last = path.split(".")
    for head in heads:
        place = place[head]
    place[last] = value
    return plan


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("settings.lr", 0.2, "stage.align.lr was 0.1 and is 0.2"),
        ("settings.batch.tokens", 16, "stage.align.batch.tokens was 8 and is 16"),
        ("settings.spike", 3.0, "stage.align.spike was not there and is 3.0"),
        ("objective.beta", 0.5, "align.beta was 0.1 and is 0.5"),
        ("adapter.r", 8, "adapter.r was 16 and is 8"),
        ("micro_tokens", 4, "stage.align.batch.micro_tokens was 8 and is 4"),
        ("dtype", "bfloat16", "model.dtype was float32 and is bfloat16"),
        ("seed", 1, "seed was 0 and is 1"),
        ("code", 4, "the training code changed (version 3, now 4)"),
    ],
)
def test_a_changed_input_is_named(path: str, value: Any, says: str) -> None:
    assert differences(PLAN, change(path, value)) == [says]


def test_changed_data_model_and_order_are_named() -> None:
    plan = change("data", "e")
    sources = plan["stages"][0]["sources"]
    sources["talk"]["fingerprint"] = "z"
    sources["new"] = sources.pop("more")
    assert differences(PLAN, plan) == ["data.align changed (without more; with new; rows differ in talk)"]
    plan = change("parent", "g")
    plan["model"] = {"name": "tiny", "fingerprint": "g"}
    assert differences(PLAN, plan) == ["model was tiny and is tiny (its files differ)"]
    plan = change("seed", 0)
    plan["stages"] = [*plan["stages"], {"name": "2-domain", "kind": "domain"}]
    assert differences(PLAN, plan) == ["stage.order was ['align'] and is ['align', 'domain']"]
    plan = copy.deepcopy(PLAN)
    plan["plan_key"] = "other"
    assert differences(PLAN, plan) == ["eval.suites, or the items that they read, changed"]
    assert differences(PLAN, copy.deepcopy(PLAN)) == []


def test_a_stage_counts_as_done_while_its_model_is_whole(tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    (model / "weights").write_bytes(b"abc")
    assert finished_here(tmp_path, "k") is None
    files = manifest(model)
    write_json(tmp_path / "stage.json", {"key": "k", "status": "trained", "files": files})
    assert finished_here(tmp_path, "k") is not None and damaged(model, files) == []
    assert finished_here(tmp_path, "other") is None
    (model / "weights").write_bytes(b"abd")
    assert finished_here(tmp_path, "k") is None and damaged(model, files) == ["weights"]
    (model / "weights").unlink()
    (model / "more").write_bytes(b"")
    assert damaged(model, files) == ["more", "weights"]
    write_json(tmp_path / "stage.json", {"key": "k", "status": "failed"})
    assert finished_here(tmp_path, "k") is None


def test_a_torn_line_costs_itself_alone(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    append_json(file, {"a": 1})
    with file.open("a") as torn:
        torn.write('{"a": 2, "b')
    append_json(file, {"a": 3})
    assert read_lines(file) == [{"a": 1}, {"a": 3}]
