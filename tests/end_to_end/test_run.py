"""Whole runs of ``train.py``, as a user starts them: files, counts, reuse, adapters, processes, refusals."""

from __future__ import annotations

import fcntl
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from framework.store import Store

LABELS = ("1-instruct", "2-domain", "3-align")


def read(file: Path) -> Any:
    return json.loads(file.read_text(encoding="utf-8"))


def metrics(run: Path, label: str) -> list[dict[str, Any]]:
    lines = (run / "stages" / label / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def losses(run: Path, label: str) -> list[float]:
    return [record["loss"] for record in metrics(run, label)]


@dataclass(frozen=True)
class Done:
    """A run that has ended, and how to start one like it."""

    run: Path
    home: Path
    arguments: list[str]
    out: str
    err: str
    seconds: float

    @property
    def env(self) -> dict[str, str]:
        return {"TRIPTYCH_HOME": str(self.home)}


@pytest.fixture(scope="module")
def whole(
    small: list[str], settings: Any, train: Any, new_home: Callable[[], Path], tmp_path_factory: pytest.TempPathFactory
) -> Done:
    """All three stages, measured by one suite, with a replayed source and a weight in domain."""
    run, home = tmp_path_factory.mktemp("whole") / "run", new_home()
    suites = "{breadth: {kind: pairs, measures: instruct, path: samples/legal/eval/breadth.jsonl, max_items: 6}}"
    arguments = [
        *small,
        *settings(),
        "name=small",
        f"eval.suites={suites}",
        "data.instruct.mix.weights={talk: 1, more: 2}",
        "data.domain.mix.replay={instruct: 0.2}",
    ]
    began = time.monotonic()
    ran = train(*arguments, f"run_dir={run}", env={"TRIPTYCH_HOME": str(home)})
    assert ran.code == 0, ran
    return Done(run, home, arguments, ran.out, ran.err, time.monotonic() - began)


def test_every_promised_file_is_there(whole: Done) -> None:
    names = {"config.yaml", "plan.json", "events.jsonl", "summary.json", "report.html", "stages"}
    assert names <= {path.name for path in whole.run.iterdir()}
    assert list(whole.run.glob("*.png"))
    for label in LABELS:
        folder = whole.run / "stages" / label
        assert {path.name for path in folder.iterdir()} == {"stage.json", "metrics.jsonl", "evals.json", "model"}
        names = {path.name for path in (folder / "model").iterdir()}
        assert {"adapter_model.safetensors", "adapter_config.json", "tokenizer.json", "chat_template.jinja"} <= names
        for file in (folder / "model").iterdir():
            assert str(whole.home).encode() not in file.read_bytes(), "a path of this machine is in the result"
            assert b"/models/" not in file.read_bytes()
    assert not list(whole.run.rglob("checkpoints")) and not list(whole.run.rglob("order.json"))


def test_the_plan_has_its_fields(whole: Done) -> None:
    plan = read(whole.run / "plan.json")
    assert {"plan_key", "seed", "stages", "findings"} <= plan.keys()
    stage_fields = {"name", "kind", "key", "parent", "reused", "objective", "adapter", "sources", "steps", "tokens"}
    stage_fields |= {"supervised_tokens", "packing_efficiency", "estimate"}
    source_fields = {"rows", "rows_used", "tokens", "supervised_tokens", "epochs", "weight", "fingerprint", "dropped"}
    parents = [plan["model"]["fingerprint"], *(stage["key"] for stage in plan["stages"])]
    for stage, parent in zip(plan["stages"], parents, strict=False):
        assert stage_fields <= stage.keys() and stage["parent"] == parent and not stage["reused"]
        assert stage["estimate"].keys() == {"memory_bytes", "flops", "seconds"}
        for source in stage["sources"].values():
            assert source_fields | {"truncated"} <= source.keys()
        assert math.isclose(sum(source["weight"] for source in stage["sources"].values()), 1.0)
    assert [stage["objective"] for stage in plan["stages"]] == ["sft", "clm", "dpo"]
    domain = plan["stages"][1]["sources"]
    assert set(domain) == {"law", "replay:instruct/talk", "replay:instruct/more"}
    taught = plan["stages"][0]["sources"]
    assert taught["more"]["planned"] == pytest.approx(2 / 3)
    assert domain["replay:instruct/more"]["planned"] == pytest.approx(0.2 * 2 / 3)


def test_the_run_counts_what_the_plan_promised(whole: Done) -> None:
    plan = read(whole.run / "plan.json")
    for stage in plan["stages"]:
        done = read(whole.run / "stages" / stage["name"] / "stage.json")
        records = metrics(whole.run, stage["name"])
        assert [record["step"] for record in records] == list(range(1, stage["steps"] + 1))
        for field in ("tokens", "supervised_tokens"):
            assert sum(record[field] for record in records) == stage[field] == done[field]
        assert done["steps"] == stage["steps"]
        for name, source in stage["sources"].items():
            trained = sum(record["tokens_by_source"].get(name, 0) for record in records)
            assert trained == source["supervised_tokens"], name
    totals = read(whole.run / "summary.json")["totals"]
    for field in ("steps", "tokens", "supervised_tokens"):
        assert totals[field] == sum(stage[field] for stage in plan["stages"])


def test_stages_and_steps_have_their_fields(whole: Done) -> None:
    fields = {"key", "parent", "status", "steps", "tokens", "supervised_tokens", "seconds", "seconds_by_phase"}
    fields |= {"peak_memory_bytes", "versions", "lineage"}
    record_fields = {"step", "loss", "loss_by_source", "lr", "grad_norm", "tokens", "supervised_tokens"}
    for label in LABELS:
        stage = read(whole.run / "stages" / label / "stage.json")
        assert fields <= stage.keys() and stage["status"] == "trained"
        assert {"load", "train", "save", "evaluate"} <= stage["seconds_by_phase"].keys()
        assert 1e8 < stage["peak_memory_bytes"] < 3e9
        for record in metrics(whole.run, label):
            assert record_fields | {"tokens_per_second"} <= record.keys()
            assert math.isfinite(record["loss"]) and record["grad_norm"] > 0 and record["lr"] > 0
            if label == "3-align":
                assert {"reward_margin", "reward_accuracy"} <= record.keys()
    assert metrics(whole.run, "3-align")[0]["reward_accuracy"] == 0.5
    assert "reference" in read(whole.run / "stages" / "3-align" / "stage.json")["seconds_by_phase"]


def test_evaluations_and_retention_agree(whole: Done) -> None:
    summary = read(whole.run / "summary.json")
    assert summary["status"] == "finished" and [stage["status"] for stage in summary["stages"]] == ["trained"] * 3
    assert {"stages", "retention", "mix", "totals"} <= summary.keys()
    table = summary["retention"]
    assert table["columns"] == ["start", *LABELS]
    (row,) = table["rows"]
    assert row["suite"] == "breadth" and row["measures"] == "instruct"
    for place, label in enumerate(LABELS):
        evals = read(whole.run / "stages" / label / "evals.json")
        assert evals["before"]["breadth"]["value"] == row["cells"][place]["value"]
        assert evals["after"]["breadth"]["value"] == row["cells"][place + 1]["value"]
    assert summary["mix"]["1-instruct"]["more"]["realised"] == pytest.approx(2 / 3, abs=0.05)


def test_the_terminal_ends_with_the_table_and_the_report(whole: Done) -> None:
    assert "Retention" in whole.out and "breadth" in whole.out
    assert whole.out.strip().splitlines()[-1] == f"report: {whole.run / 'report.html'}"
    assert whole.err == "", "a library's words reached the user"


def test_the_saved_configuration_is_a_configuration(whole: Done) -> None:
    from framework.schema import Config

    config = Config.model_validate(yaml.safe_load((whole.run / "config.yaml").read_text()))
    assert config.name == "small" and config.stage.order == ["instruct", "domain", "align"]


def test_a_second_run_reuses_every_stage(whole: Done, train: Any, tmp_path: Path) -> None:
    began = time.monotonic()
    ran = train(*whole.arguments, f"run_dir={tmp_path / 'run'}", env=whole.env)
    assert ran.code == 0, ran
    assert time.monotonic() - began < max(8.0, 0.6 * whole.seconds), "nothing was to be trained or measured"
    for label in LABELS:
        assert read(tmp_path / "run" / "stages" / label / "stage.json")["status"] == "reused"
        assert "starting the workers" not in ran.out
        assert losses(tmp_path / "run", label) == losses(whole.run, label)
        evals = read(tmp_path / "run" / "stages" / label / "evals.json")
        assert evals == read(whole.run / "stages" / label / "evals.json")
    plan = read(tmp_path / "run" / "plan.json")
    assert all(stage["reused"] for stage in plan["stages"])
    assert plan["plan_key"] == read(whole.run / "plan.json")["plan_key"]


def test_another_beta_reuses_what_comes_before_and_a_damaged_stage_is_trained_again(
    whole: Done, train: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = read(whole.run / "plan.json")
    kept = (whole.run / "stages" / "2-domain" / "model" / "adapter_model.safetensors").read_bytes()
    stored = whole.home / "store" / "stages" / plan["stages"][1]["key"] / "model" / "adapter_model.safetensors"
    damaged = bytearray(kept)
    damaged[-5] ^= 1
    stored.unlink()  # the run's own file is the same one under another name
    stored.write_bytes(bytes(damaged))
    ran = train(*whole.arguments, "align.beta=0.5", f"run_dir={tmp_path / 'run'}", env=whole.env)
    assert ran.code == 0, ran
    status = {label: read(tmp_path / "run" / "stages" / label / "stage.json")["status"] for label in LABELS}
    assert status == {"1-instruct": "reused", "2-domain": "trained", "3-align": "trained"}
    assert "damaged" in ran.out
    again = (tmp_path / "run" / "stages" / "2-domain" / "model" / "adapter_model.safetensors").read_bytes()
    assert again == kept, "the same stage has other weights"
    assert losses(tmp_path / "run", "3-align") != losses(whole.run, "3-align")
    monkeypatch.setenv("TRIPTYCH_HOME", str(whole.home))
    assert Store().fetch(plan["stages"][1]["key"], tmp_path / "fetched") is not None


@pytest.mark.parametrize(
    ("stage", "adapter", "names"),
    [
        ("domain", "full", {"model.safetensors", "config.json"}),
        ("align", "qlora", {"adapter_model.safetensors", "adapter_config.json"}),
    ],
)
def test_adapters_run_through(
    small: list[str], settings: Any, train: Any, tmp_path: Path, stage: str, adapter: str, names: set[str]
) -> None:
    only = [argument for argument in small if not argument.startswith("data.") or f"data.{stage}." in argument]
    run = tmp_path / "run"
    ran = train(*only, *settings(stage), f"stage={stage}", f"adapter={adapter}", f"run_dir={run}")
    assert ran.code == 0 and ran.err == "", ran
    assert names <= {path.name for path in (run / "stages" / f"1-{stage}" / "model").iterdir()}
    found = losses(run, f"1-{stage}")
    assert found[-1] < found[0]


@pytest.fixture(scope="module")
def trained(small: list[str], settings: Any, train: Any, new_home: Callable[[], Path], tmp_path_factory: Any) -> Any:
    """Losses of stages for a number of processes and a type of numbers."""

    def run(processes: int, dtype: str, *stages: str, extra: tuple[str, ...] = ()) -> dict[str, list[float]]:
        folder = tmp_path_factory.mktemp("processes") / "run"
        ran = train(
            *(a for a in small if not a.startswith("data.") or a.split(".")[1] in stages),
            *settings(*stages),
            "stage=full",
            f"stage.order=[{','.join(stages)}]",
            f"launch.processes={processes}",
            f"model.dtype={dtype}",
            # Groups of one pack: every worker gets some, and one step has an odd number.
            *(f"stage.{stage}.batch.micro_tokens=256" for stage in stages),
            *extra,
            f"run_dir={folder}",
            env={"TRIPTYCH_HOME": str(new_home())},
        )
        assert ran.code == 0, ran
        labels = [f"{place}-{stage}" for place, stage in enumerate(stages, start=1)]
        assert read(folder / "stages" / labels[0] / "stage.json")["world_size"] == processes
        return {label: losses(folder, label) for label in labels}

    return run


@pytest.mark.parametrize(
    ("dtype", "bound", "stages"),
    [
        ("float32", 1e-4, ["instruct", "align"]),
        pytest.param("bfloat16", 2e-2, ["align"], marks=pytest.mark.slow),
    ],
)
def test_two_processes_train_as_one_does(trained: Any, dtype: str, bound: float, stages: list[str]) -> None:
    one, two = trained(1, dtype, *stages), trained(2, dtype, *stages)
    for label, expected in one.items():
        assert two[label] == pytest.approx(expected, rel=bound), label


@pytest.mark.slow
def test_whole_weights_that_are_spread_train_as_on_one_process(trained: Any) -> None:
    one = trained(1, "float32", "align", extra=("adapter=full", "engine=zero1"))
    two = trained(2, "float32", "align", extra=("adapter=full", "engine=zero3"))
    assert two["1-align"] == pytest.approx(one["1-align"], rel=1e-4)


def test_the_wrong_order_runs_only_when_it_is_allowed(
    small: list[str], settings: Any, train: Any, tmp_path: Path
) -> None:
    steps = [f"stage.{stage}.max_steps=1" for stage in ("instruct", "domain", "align")]
    arguments = [*small, *settings(), *steps, "stage=domain_first", f"run_dir={tmp_path / 'run'}"]
    ran = train(*arguments)
    assert ran.code == 1 and "ORDER" in ran.out and "checks.allow=[ORDER]" in ran.out
    assert not (tmp_path / "run").exists()
    ran = train(*arguments, "checks.allow=[ORDER]")
    assert ran.code == 0, ran
    (finding,) = [f for f in read(tmp_path / "run" / "plan.json")["findings"] if f["code"] == "ORDER"]
    assert finding["level"] == "warning"
    assert {path.name for path in (tmp_path / "run" / "stages").iterdir()} == {"1-domain", "2-instruct", "3-align"}


def test_a_folder_in_use_is_refused(whole: Done, train: Any) -> None:
    before = (whole.run / "events.jsonl").read_bytes()
    with (whole.run / ".lock").open("a+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        ran = train(*whole.arguments, f"run_dir={whole.run}", env=whole.env)
    assert ran.code == 2 and "run_dir" in ran.err and "in use by" in ran.err and "Traceback" not in ran.err
    assert (whole.run / "events.jsonl").read_bytes() == before


@pytest.mark.parametrize("arguments", [["do=compare"], ["do=reproduce"], ["-m", "seed=1,2"]])
def test_what_is_not_there_yet_says_so(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    from framework.cli import main

    assert main(arguments) == 2
    assert "not there yet" in capsys.readouterr().err
