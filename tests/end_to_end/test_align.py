"""Every method of align from the command line: planned, trained for two steps, stopped and gone on with."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from framework.compose import compose, groups
from framework.plan import make_plan
from tests.jobs import stop

METHODS = groups()["align"]
WITHOUT_REFERENCE = {"simpo", "cpo", "orpo", "sft"}
JUDGED = {"kto", "bco"}


@pytest.fixture(scope="session")
def judged(tmp_path_factory: pytest.TempPathFactory, write_rows: Any) -> Path:
    rows = [
        {"id": f"j{n}", "prompt": f"What is owed for boat {n}?", "completion": f"{n} marks.", "label": n % 3 > 0}
        for n in range(36)
    ]
    return write_rows(tmp_path_factory.mktemp("judged") / "judged.jsonl", rows)


def arguments(files: dict[str, Path], method: str, judged: Path | None = None) -> list[str]:
    pairs = files["margins" if method == "odpo" else "pairs"]
    found = ["model=tiny", "data=files", "stage=align", f"align={method}", "eval=none", "tracker=none", "seed=1"]
    found += ["stage.align.max_length=128", "stage.align.batch.tokens=256", "stage.align.lr=1e-3"]
    found.append(f"data.align.sources.pairs.path={pairs}")
    return [*found, f"data.align.sources.judged.path={judged}"] if judged else found


def records(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "stages" / "1-align" / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("method", METHODS)
def test_every_method_is_planned(method: str, files: dict[str, Path], judged: Path) -> None:
    composed = compose(arguments(files, method, judged if method in JUDGED else None))
    plan = make_plan(composed, lambda message, done, total: None)
    (stage,) = plan.stages
    assert not plan.errors, plan.findings
    assert stage.objective.needs_reference == (method not in WITHOUT_REFERENCE)
    assert stage.objective.unit == ("responses" if method in JUDGED else "pairs")
    assert stage.prepared.units == 30 + 36 * (method in JUDGED)


def trained(method: str, files: dict[str, Path], judged: Path, train: Any, folder: Path) -> None:
    extra = judged if method in JUDGED else None
    ran = train(*arguments(files, method, extra), "stage.align.max_steps=2", f"run_dir={folder / 'run'}")
    assert ran.code == 0 and ran.err == "", ran
    found = records(folder / "run")
    assert [record["step"] for record in found] == [1, 2]
    for record in found:
        names = {f"{name}_{side}" for name in ("reward", "logps", "length") for side in ("chosen", "rejected")}
        assert names | {"reward_margin", "reward_accuracy"} <= record.keys()
        assert all(math.isfinite(record[name]) for name in [*names, "loss"]) and record["grad_norm"] > 0
        margin = record["reward_chosen"] - record["reward_rejected"]
        assert record["reward_margin"] == pytest.approx(margin, abs=1e-5)
    stage = json.loads((folder / "run" / "stages" / "1-align" / "stage.json").read_text())
    assert ("reference" in stage["seconds_by_phase"]) == (method not in WITHOUT_REFERENCE)
    if method not in WITHOUT_REFERENCE:
        assert found[0]["reward_margin"] == 0.0 and found[0]["reward_accuracy"] == 0.5
        assert found[1]["reward_chosen"] != 0.0
    if method == "kto":
        assert found[0]["loss"] == pytest.approx(0.5) and found[0]["kl"] == 0.0


@pytest.mark.parametrize("method", ["kto"])
def test_judged_responses_and_pairs_train_together(
    method: str, files: dict[str, Path], judged: Path, train: Any, tmp_path: Path
) -> None:
    trained(method, files, judged, train, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("method", [method for method in METHODS if method != "kto"])
def test_every_method_trains(method: str, files: dict[str, Path], judged: Path, train: Any, tmp_path: Path) -> None:
    trained(method, files, judged, train, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["kto", "bco"])
def test_two_processes_hold_rewards_against_the_same_point(
    method: str, files: dict[str, Path], judged: Path, train: Any, new_home: Callable[[], Path], tmp_path: Path
) -> None:
    found: list[list[dict[str, Any]]] = []
    for processes in (1, 2):
        run = tmp_path / f"run{processes}"
        ran = train(
            *arguments(files, method, judged),
            f"launch.processes={processes}",
            "model.dtype=float32",
            "stage.align.batch.tokens=640",
            "stage.align.batch.micro_tokens=128",
            "stage.align.max_steps=4",
            f"run_dir={run}",
            env={"TRIPTYCH_HOME": str(new_home())},
        )
        assert ran.code == 0, ran
        found.append(records(run))
    name = {"kto": "kl", "bco": "reward_shift"}[method]
    for one, two in zip(*found, strict=True):
        assert two["loss"] == pytest.approx(one["loss"], rel=1e-4)
        assert two[name] == pytest.approx(one[name], rel=1e-3, abs=1e-4)
    assert any(record[name] != 0.0 for record in found[0])


@pytest.mark.slow
def test_a_stopped_run_keeps_the_shift_of_bco(
    files: dict[str, Path], judged: Path, train: Any, start: Any, new_home: Callable[[], Path], tmp_path: Path
) -> None:
    base = [*arguments(files, "bco", judged), "stage.align.batch.tokens=128", "data.align.mix.total={epochs: 4}"]
    runs = {name: tmp_path / name for name in ("whole", "stopped")}
    homes = {name: {"TRIPTYCH_HOME": str(new_home())} for name in runs}
    ran = train(*base, f"run_dir={runs['whole']}", env=homes["whole"])
    assert ran.code == 0, ran
    process = start(*base, f"run_dir={runs['stopped']}", env=homes["stopped"])
    file = runs["stopped"] / "stages" / "1-align" / "metrics.jsonl"
    stop(process, file, 4)
    assert 4 <= len(records(runs["stopped"])) < len(records(runs["whole"]))
    ran = train(*base, f"run_dir={runs['stopped']}", env=homes["stopped"])
    assert ran.code == 0, ran
    shown = [[(r["loss"], r["reward_shift"]) for r in records(run)] for run in runs.values()]
    assert shown[0] == shown[1] and shown[0][-1][1] != 0.0
