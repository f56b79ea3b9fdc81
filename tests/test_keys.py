"""Stage keys change with all that determines a stage's weights, and with nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from framework.compose import compose
from framework.keys import evaluation_key, plan_key, stage_inputs, stage_key
from framework.schema import Kind

BASE = ["model=tiny", "eval=none"]


def key(*arguments: str, kind: Kind = "align", data: str = "data", parent: str = "parent", micro: int = 2048) -> str:
    config = compose([*BASE, "model.dtype=bfloat16", *arguments]).config
    settings = config.stage.settings(kind)
    assert settings is not None
    return stage_key(stage_inputs(config, kind, settings, config.objective(kind), data, parent, micro))


@pytest.mark.parametrize(
    "change",
    [
        "seed=1",
        "stage.align.lr=9e-3",
        "stage.align.batch.tokens=1024",
        "stage.align.warmup=0.5",
        "stage.align.schedule=linear",
        "stage.align.weight_decay=0.5",
        "stage.align.clip=0.3",
        "stage.align.strength=0.5",
        "stage.align.betas=[0.8, 0.99]",
        "adapter.r=3",
        "adapter=dora",
        "adapter.between=continue",
        "align.beta=0.7",
        "model.dtype=float32",
    ],
)
def test_what_determines_weights_changes_the_key(change: str) -> None:
    assert key(change) != key()


@pytest.mark.parametrize(
    "change",
    [
        "stage.domain.lr=9e-3",
        "engine=zero2",
        "engine.checkpoint_minutes=1",
        "launch.processes=4",
        "launch.retries=3",
        "tracker=none",
        "name=other",
        "run_dir=elsewhere",
        "checks.strict=false",
        "eval=legal",
        "stage.align.batch.micro_tokens=2048",
    ],
)
def test_what_does_not_leaves_it(change: str) -> None:
    assert key(change) == key()


def test_data_parent_and_layout_count() -> None:
    found = {key(), key(data="other"), key(parent="other"), key(micro=1024), key(kind="domain"), key(kind="instruct")}
    assert len(found) == 6
    assert key(kind="domain") == key("align.beta=0.7", kind="domain"), "domain does not depend on the method of align"


def test_the_version_of_the_code_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    before = key()
    monkeypatch.setattr("framework.keys.CODE_VERSION", 10**6)
    assert key() != before


def test_evaluations_are_keyed_by_their_items(tmp_path: Path) -> None:
    def of(text: str, *more: str) -> str:
        file = tmp_path / "items.jsonl"
        file.write_text(text)
        suite = f"{{kind: perplexity, measures: general, path: {file}}}"
        config: Any = compose([*BASE, f"eval.suites.text={suite}", *more]).config
        return evaluation_key(config.eval.suites)

    first = of('{"id": "1", "text": "one"}')
    assert of('{"id": "1", "text": "one"}') == first
    assert of('{"id": "1", "text": "two"}') != first
    assert of('{"id": "1", "text": "one"}', "eval.suites.text.max_items=1") != first
    assert of('{"id": "1", "text": "one"}', "eval.gates=[{suite: text, max_rise: 0.1}]") == first
    assert plan_key(["a", "b"], first) != plan_key(["b", "a"], first)
