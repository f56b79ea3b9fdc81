"""Reward models from the command line: trained, stopped and gone on with, measured, used; the policy stays as it is."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from framework.compose import compose
from framework.errors import ConfigError
from framework.plan import make_plan
from tests.jobs import stop


@pytest.fixture(scope="module")
def items(tmp_path_factory: pytest.TempPathFactory, write_rows: Any) -> Path:
    rows = [
        {"id": f"h{n}", "prompt": f"What is owed for ship {n}?", "chosen": f"{n} marks, by rule 1.", "rejected": "No."}
        for n in range(8)
    ]
    return write_rows(tmp_path_factory.mktemp("items") / "items.jsonl", rows)


def arguments(files: dict[str, Path], *stages: str) -> list[str]:
    found = ["model=tiny", "data=files", "eval=none", "tracker=none", "seed=1"]
    if stages == ("reward",):
        found.append("stage=reward")
    else:
        found += ["stage=full_reward", f"stage.order=[{','.join(stages)}]"]
    named = {"instruct": "talk", "align": "pairs", "reward": "margins"}
    for stage in stages:
        found.append(f"data.{stage}.sources.rows.path={files[named[stage]]}")
        found += [f"stage.{stage}.max_length=128", f"stage.{stage}.batch.tokens=256", f"stage.{stage}.lr=3e-3"]
    return found


def suites(items: Path, model: Path | None = None) -> list[str]:
    held = f"eval.suites.held={{kind: reward_pairs, measures: reward, path: {items}}}"
    wins = f"{{kind: reward, measures: align, path: {items}, model: {model}, max_new_tokens: 4}}"
    likely = f"eval.suites.likely={{kind: pairs, measures: align, path: {items}}}"
    return [held, likely, *([f"eval.suites.wins={wins}"] if model else [])]


def read(file: Path) -> Any:
    return json.loads(file.read_text())


def metrics(run: Path, label: str = "1-reward") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "stages" / label / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def trained(files: dict[str, Path], items: Path, train: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("reward") / "run"
    ran = train(*arguments(files, "reward"), *suites(items)[:1], f"run_dir={run}")
    assert ran.code == 0 and ran.err == "", ran
    return run


def test_a_reward_model_is_trained_and_measured(trained: Path) -> None:
    found = metrics(trained)
    names = {"reward_accuracy", "reward_margin", "reward_chosen", "reward_rejected", "length_chosen", "margin"}
    assert all(names <= record.keys() and "logps_chosen" not in record for record in found)
    assert found[-1]["reward_accuracy"] == 1.0 and found[-1]["loss"] < found[0]["loss"] / 2
    assert set(found[0]["loss_by_source"]) == {"rows"}
    assert read(trained / "plan.json")["stages"][0]["sources"]["rows"]["margins"] == 22
    evals = read(trained / "stages" / "1-reward" / "evals.json")
    assert evals["before"] is None and evals["after"]["held"]["value"] == 1.0
    table = read(trained / "summary.json")["retention"]
    assert table["columns"] == ["1-reward"] and [row["suite"] for row in table["rows"]] == ["held"]
    assert (trained / "report.html").is_file()
    config = read(trained / "stages" / "1-reward" / "model" / "config.json")
    assert config["architectures"] == ["LlamaForSequenceClassification"] and len(config["id2label"]) == 1


def test_a_run_of_a_reward_model_has_no_policy_to_export(trained: Path, train: Any, tmp_path: Path) -> None:
    ran = train("do=export", f"run={trained}", f"to={tmp_path / 'out'}")
    assert ran.code == 2 and "trained a reward model and no policy" in ran.err, ran
    assert str(trained / "stages" / "1-reward" / "model") in ran.err


def test_it_is_measured_again(trained: Path, items: Path, train: Any) -> None:
    before = read(trained / "summary.json")["retention"]
    ran = train("do=evaluate", f"run={trained}", "eval=none", *suites(items)[:1])
    assert ran.code == 0, ran
    assert read(trained / "summary.json")["retention"] == before
    ran = train("do=evaluate", f"run={trained}", "eval=none", *suites(items)[1:])
    assert ran.code == 2 and "no suite measures what this run made" in ran.err, ran


@pytest.mark.slow
def test_a_stopped_run_goes_on_to_the_same_weights(
    trained: Path, files: dict[str, Path], start: Any, train: Any, new_home: Callable[[], Path], tmp_path: Path
) -> None:
    base = [*arguments(files, "reward"), "data.reward.mix.total={epochs: 4}", "engine.checkpoint_minutes=0.005"]
    base.append("adapter.dropout=0.1")
    runs = {name: tmp_path / name for name in ("whole", "stopped")}
    homes = {name: {"TRIPTYCH_HOME": str(new_home())} for name in runs}
    ran = train(*base, f"run_dir={runs['whole']}", env=homes["whole"])
    assert ran.code == 0, ran
    process = start(*base, f"run_dir={runs['stopped']}", env=homes["stopped"])
    file = runs["stopped"] / "stages" / "1-reward" / "metrics.jsonl"
    stop(process, file, 4)
    assert 4 <= len(metrics(runs["stopped"])) < len(metrics(runs["whole"]))
    ran = train(*base, f"run_dir={runs['stopped']}", env=homes["stopped"])
    assert ran.code == 0, ran
    weights = [(run / "stages" / "1-reward" / "model" / "model.safetensors").read_bytes() for run in runs.values()]
    assert weights[0] == weights[1]
    again = tmp_path / "again"
    ran = train(*base, f"run_dir={again}", env=homes["whole"])
    assert ran.code == 0 and "reused from the store" in ran.out, ran
    assert (again / "stages" / "1-reward" / "model" / "model.safetensors").read_bytes() == weights[0]


@pytest.mark.slow
def test_the_policy_is_not_changed_and_is_judged(
    trained: Path, files: dict[str, Path], items: Path, train: Any, tmp_path: Path
) -> None:
    """In an order with a reward stage all others have the keys, weights and values that they have without it."""
    run = tmp_path / "run"
    short = [f"stage.{stage}.max_steps=2" for stage in ("instruct", "align")]
    asked = suites(items, trained)
    ran = train(*arguments(files, "instruct", "reward", "align"), *short, *asked, f"run_dir={run}")
    assert ran.code == 0 and ran.err == "", ran
    plan = read(run / "plan.json")["stages"]
    instruct, reward, align = plan
    assert reward["parent"] == align["parent"] == instruct["key"]
    without = make_plan(
        compose([*arguments(files, "instruct", "align"), *short, *asked[1:]]), lambda message, done, total: None
    )
    assert [stage.key for stage in without.stages] == [instruct["key"], align["key"]]
    assert all(stage.reused for stage in without.stages)
    summary = read(run / "summary.json")
    table = summary["retention"]
    assert table["columns"] == ["start", "1-instruct", "2-reward", "3-align"]
    measured = {row["suite"]: [cell is not None for cell in row["cells"]] for row in table["rows"]}
    policy = [True, True, False, True]
    assert measured == {"held": [False, False, True, False], "likely": policy, "wins": policy}
    wins = read(run / "stages" / "3-align" / "evals.json")
    assert wins["before"]["likely"] == read(run / "stages" / "1-instruct" / "evals.json")["after"]["likely"]
    assert 0 <= wins["after"]["wins"]["value"] <= 1
    assert {"mean_reward", "margin", "beats_rejected"} <= wins["after"]["wins"]["metrics"].keys()
    out = tmp_path / "out"
    ran = train("do=export", f"run={run}", f"to={out}")
    assert ran.code == 0, ran
    assert read(out / "config.json")["architectures"] == ["LlamaForCausalLM"]
    kept = read(run / "summary.json")["retention"]
    ran = train("do=evaluate", f"run={run}", "eval=none", *asked)
    assert ran.code == 0, ran
    assert read(run / "summary.json")["retention"] == kept


def problems(*given: str) -> str:
    with pytest.raises(ConfigError) as raised:
        make_plan(compose(list(given)), lambda message, done, total: None)
    return str(raised.value)


def test_what_is_for_a_policy_and_what_for_a_reward_model(files: dict[str, Path], items: Path, tmp_path: Path) -> None:
    reward, align = arguments(files, "reward"), arguments(files, "instruct", "align")
    assert "reward.kind: dpo trains a policy, not a reward model" in problems(*reward, "reward.kind=dpo",
        "~reward.margin_scale", "~reward.centring")  # fmt: skip
    assert "bradley_terry trains a reward model, not a policy" in problems(*align, "align.kind=bradley_terry",
        "~align.beta", "~align.sft_weight")  # fmt: skip
    assert "reward.centring: has no effect in this run" in problems(*align, "reward.centring=0.1")
    assert "align.beta: has no effect in this run" in problems(*reward, "align.beta=0.3")
    assert "measures a reward model, and this run makes none" in problems(*align, *suites(items))
    assert "measures a policy, and this run makes none" in problems(*reward, *suites(items))
    assert "there is no reward model in" in problems(*align, *suites(items, tmp_path / "nowhere"))
    wrong = f"eval.suites.held={{kind: reward_pairs, measures: align, path: {items}}}"
    assert "a suite of kind reward_pairs measures reward" in problems(*reward, wrong)
    wrong = f"eval.suites.likely={{kind: pairs, measures: reward, path: {items}}}"
    assert "a suite of kind pairs measures instruct, domain, align or general" in problems(*reward, wrong)


def test_a_policy_is_no_reward_model(files: dict[str, Path], items: Path, small_policy: Path) -> None:
    found = problems(*arguments(files, "instruct", "align"), *suites(items, small_policy))
    assert "holds LlamaForCausalLM, which is no reward model" in found


@pytest.fixture
def small_policy(tmp_path: Path) -> Path:
    (tmp_path / "config.json").write_text(json.dumps({"architectures": ["LlamaForCausalLM"]}))
    return tmp_path


def test_an_offset_needs_margins(files: dict[str, Path]) -> None:
    given = [*arguments(files, "instruct", "align"), "align=odpo"]
    assert "odpo needs margins, and no pair of data.align has one" in problems(*given)


def test_checks_look_at_the_pairs_of_a_reward_stage(
    files: dict[str, Path], items: Path, tmp_path: Path, write_rows: Any
) -> None:
    rows = [
        {"id": f"x{n}", "prompt": f"What of {n}?", "chosen": "Same." if n == 1 else f"{n}.", "rejected": "Same.",
         "margin": -1 if n == 2 else 1}
        for n in range(10)
    ]  # fmt: skip
    pairs = write_rows(tmp_path / "pairs.jsonl", rows)
    given = [*arguments(files, "reward"), f"data.reward.sources.rows.path={pairs}",
             f"data.reward.sources.talk.path={files['talk']}"]  # fmt: skip
    plan = make_plan(compose(given), lambda message, done, total: None)
    found = {(finding.code, finding.level, finding.stage) for finding in plan.findings}
    assert {("PAIRS", "error", "reward"), ("STRUCTURE", "error", "reward"), ("PAIRS", "warning", "reward")} <= found
    order = make_plan(
        compose(arguments(files, "reward", "instruct", "align")), lambda message, done, total: None
    ).findings
    assert any(
        f.code == "ORDER" and f.level == "warning" and "reward comes before instruct" in f.message for f in order
    )
