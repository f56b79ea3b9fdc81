"""Going back to a finished run: export, chat, evaluate, as a user starts them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from framework.adapters.lora import LoRA
from framework.models import resolve
from framework.schema import Model
from framework.stagefile import Ancestor
from framework.train.lm import materialise

SUITES = "{breadth: {kind: pairs, measures: instruct, path: samples/legal/eval/breadth.jsonl, max_items: 6}}"


@pytest.fixture(scope="module")
def finished(files: dict[str, Path], settings: Any, train: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one stage, never measured."""
    run = tmp_path_factory.mktemp("finished") / "run"
    source = f"data.instruct.sources.talk.path={files['talk']}"
    arguments = ["model=tiny", "data=files", "eval=none", "tracker=none", "stage=instruct", source]
    done = train(*arguments, *settings("instruct"), f"run_dir={run}")
    assert done.code == 0, done.err
    return run


def test_an_exported_model_is_the_merged_one(finished: Path, train: Any, tmp_path: Path) -> None:
    to = tmp_path / "model"
    done = train("do=export", f"run={finished}", f"to={to}")
    assert done.code == 0, done.err
    assert done.err == ""
    exported = AutoModelForCausalLM.from_pretrained(to)
    base, dtype = resolve(Model(kind="tiny")).directory, Model(kind="tiny").dtype
    lineage = [Ancestor(path=str(finished / "stages" / "1-instruct" / "model"), adapter=LoRA())]
    merged = dict(materialise(base, lineage, dtype).named_parameters())
    start = dict(materialise(base, [], dtype).named_parameters())
    assert all(torch.equal(weight, merged[name]) for name, weight in exported.named_parameters())
    assert any(not torch.equal(weight, start[name]) for name, weight in exported.named_parameters())
    assert AutoTokenizer.from_pretrained(to).chat_template
    card = (to / "README.md").read_text(encoding="utf-8")
    assert "lora, merged into the weights" in card
    again = train("do=export", f"run={finished}", f"to={to}")
    assert again.code == 2
    assert "is not empty" in again.err


def test_chat_answers_every_line_until_it_is_told_to_stop(finished: Path, train: Any) -> None:
    done = train("do=chat", f"run={finished}", typed="What holds?\n/new\nAnd now?\n/quit\nnot read\n")
    assert done.code == 0, done.err
    assert done.out.count("model> ") == 2
    assert done.err == ""


def test_evaluate_measures_the_start_and_every_stage(finished: Path, train: Any) -> None:
    done = train("do=evaluate", f"run={finished}", f"eval.suites={SUITES}", "eval=none")
    assert done.code == 0, done.err
    summary = json.loads((finished / "summary.json").read_text(encoding="utf-8"))
    assert summary["retention"]["columns"] == ["start", "1-instruct"]
    cells = summary["retention"]["rows"][0]["cells"]
    evals = json.loads((finished / "stages" / "1-instruct" / "evals.json").read_text(encoding="utf-8"))
    assert [cell["value"] for cell in cells] == [evals[name]["breadth"]["value"] for name in ("before", "after")]
    assert "breadth" in done.out
