"""Advice says what the figures carry, and nothing where they carry nothing."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

from framework.files import read_json, write_json
from framework.report.advice import advise
from framework.report.examples import suite_pairs
from framework.report.read import read_run


def _about(run: Path) -> list[str]:
    return [one.about for one in advise(read_run(run))]


def test_losses_findings_and_weak_slices(made: ModuleType, tmp_path: Path) -> None:
    run = made.build(tmp_path)
    about = _about(run)
    assert about[:3] == ["LEAK in domain", "REPEAT in domain", "COVERAGE in domain"]
    assert "general_text was lost" in about and "law_exact was lost" not in about
    lost = next(one for one in advise(read_run(run)) if one.about == "general_text was lost")
    assert "largest single fall is at 2-domain" in lost.seen and "data.domain.mix.replay" in lost.do
    assert "law_exact, slice tail" in about
    assert any(one.startswith("3 slices have under 20 items") for one in about)


def test_gates_come_first(made: ModuleType, tmp_path: Path) -> None:
    assert _about(made.build(tmp_path, "gate_failed"))[0] == "Gate failed"


def test_a_stage_without_effect_is_named(made: ModuleType, tmp_path: Path) -> None:
    run = made.build(tmp_path)
    path = run / "stages" / "3-align" / "evals.json"
    evals = read_json(path)
    evals["after"]["preference"]["value"] = evals["before"]["preference"]["value"] + 0.01
    write_json(path, evals)
    assert "3-align did not measurably improve preference" in _about(run)


def test_nothing_to_say_about_nothing(tmp_path: Path) -> None:
    assert _about(tmp_path) == []


def test_examples_show_losses_beside_gains(made: ModuleType, tmp_path: Path) -> None:
    run = read_run(made.build(tmp_path))
    for stage in run.stages:
        for shown in suite_pairs(stage):
            after = (stage.evals.after or {})[shown.suite]
            before = {one.id: one.correct for one in (stage.evals.before or {})[shown.suite].examples}
            outcomes = {pair.outcome for pair in shown.pairs}
            if shown.own:
                lost = any(before[one.id] and not one.correct for one in after.examples)
                assert ("lost" in outcomes) == lost
            else:
                assert outcomes == {"lost"}
