"""From YAML and overrides to frozen types; every choice of every group is tried."""

from __future__ import annotations

from typing import Any, cast

import pytest
from pydantic import ValidationError

from framework.compose import compose, groups, suggest
from framework.errors import ConfigError
from framework.objectives.dpo import DPO

CHOICES = [(group, choice) for group, found in groups().items() if group != "training" for choice in found]


@pytest.mark.parametrize(("group", "choice"), CHOICES, ids=lambda value: str(value))
def test_every_choice_parses(group: str, choice: str) -> None:
    arguments = [f"{group}={choice}"]
    composed = compose(arguments)
    assert composed.choices[group] == choice
    assert composed.config.model_dump(mode="json") == composed.config.public()


def test_the_defaults_are_the_promised_ones() -> None:
    wanted = {"model": "smollm2_135m", "stage": "full", "data": "legal", "adapter": "lora", "align": "dpo"}
    wanted |= {"engine": "zero1", "launch": "local", "tracker": "wandb", "eval": "legal"}
    composed = compose([])
    assert {group: composed.choices[group] for group in wanted} == wanted
    config = composed.config
    assert (config.do, config.name, config.seed, config.resume) == ("run", "legal", 0, "auto")
    assert config.checks.strict and not config.checks.allow


def test_the_promised_overrides_work() -> None:
    config = compose(
        [
            "stage.domain.lr=1e-4",
            "stage.domain.epochs=2",
            "stage.align.batch.tokens=16384",
            "align.beta=0.05",
            "adapter.r=32",
            "launch.processes=8",
            "run_dir=out/x",
            "seed=1",
            "checks.allow=[ORDER]",
            "resume=never",
            "stage.instruct.max_steps=5",
        ]
    ).config
    assert config.stage.domain is not None and config.stage.align is not None
    assert (config.stage.domain.lr, config.stage.domain.epochs) == (1e-4, 2.0)
    assert config.stage.align.batch.tokens == 16384
    assert cast(DPO, config.align).beta == 0.05
    assert cast(Any, config.adapter).r == 32 and cast(Any, config.launch).processes == 8
    assert (config.run_dir, config.seed, config.checks.allow, config.resume) == ("out/x", 1, ["ORDER"], "never")


def test_sources_and_weights_are_added_without_a_plus() -> None:
    config = compose(
        [
            "data=files",
            "eval=none",
            "data.instruct.sources.dolly.path=dolly.jsonl.gz",
            "data.instruct.sources.dolly.format=instruction",
            "data.instruct.sources.dolly.max_rows=2000",
            "data.instruct.mix.weights.dolly=0.3",
        ]
    ).config
    source = config.data.instruct.sources["dolly"]
    assert (source.kind, source.format, source.max_rows) == ("jsonl", "instruction", 2000)
    assert config.data.instruct.mix.weights == {"dolly": 0.3}


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("a.jsonl", "jsonl"),
        ("a.ndjson.zst", "jsonl"),
        ("a.json.gz", "json"),
        ("a.csv", "csv"),
        ("a.md", "text"),
        ("a.parquet", "parquet"),
        ("b/A.JSONL", "jsonl"),
        ("conf", "text"),
    ],
)
def test_the_kind_of_a_source_is_told_by_its_path(path: str, kind: str) -> None:
    composed = compose(["data=files", "eval=none", f"data.domain.sources.x.path={path}"])
    assert composed.config.data.domain.sources["x"].kind == kind


def test_what_is_parsed_is_frozen() -> None:
    config = compose([]).config
    with pytest.raises(ValidationError, match="frozen"):
        config.seed = 3  # type: ignore[misc]


def test_origins() -> None:
    composed = compose(["stage.domain.lr=1e-4", "adapter=dora"])
    assert composed.origin("stage.domain.lr") == "command line"
    assert composed.origin("stage.domain.epochs") == "conf/training/domain.yaml"
    assert composed.origin("adapter.r") == "conf/adapter/dora.yaml"
    assert composed.origin("seed") == "conf/config.yaml"


def test_suggestions() -> None:
    assert suggest("lrr", ["lr", "epochs"]) == "did you mean lr?"
    assert suggest("zzz", ["b", "a"], "keys") == "keys can be: a, b"
    assert suggest("x", []) == ""


def test_problems_are_told_apart() -> None:
    with pytest.raises(ConfigError) as caught:
        compose(["stage.domain.lrr=1", "adapter.r=zero", "adapter=loraa", "[["])
    paths = {problem.path for problem in caught.value.problems}
    assert {"stage.domain.lrr", "adapter.r", "adapter", ""} == paths
    assert all(problem.fix for problem in caught.value.problems)
