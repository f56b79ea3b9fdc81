"""One corpus of plain text for two goals: planned and trained as conversations in instruct and in domain."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SENTENCES = (
    "This part governs the mooring of barges at quay {n}.",
    "The keeper of quay {n} shall inspect the bollards every morning.",
    "If a barge lies aground, the keeper must warn the pilot of vessel {n}.",
    "Fees are owed for each tide. Therefore, a barge that stays for {n} tides owes the fee as often.",
    "“Bollard {n}” means an iron post at the quay to which barges are moored.",
    "The master pays the keeper prior to the ebb of tide {n}.",
)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory, write_rows: Any) -> Path:
    rows = [{"id": f"q{n}", "text": " ".join(SENTENCES[n % 3 :]).format(n=n + 2)} for n in range(60)]
    return write_rows(tmp_path_factory.mktemp("corpus") / "quay.jsonl", [*rows, {"id": "t", "text": "1 2 3"}])


@pytest.fixture
def arguments(corpus: Path) -> list[str]:
    found = ["model=tiny", "stage=instruct_domain", "data=files", "eval=none", "tracker=none"]
    for stage in ("instruct", "domain"):
        found += [f"data.{stage}.sources.quay.path={corpus}", f"stage.{stage}.max_length=1024"]
        found += [f"stage.{stage}.batch.tokens=2048", f"stage.{stage}.lr=1e-3", f"stage.{stage}.max_steps=2"]
        found += [f"data.{stage}.sources.quay.convert={{kind: reading_comprehension, passage_words: 80}}"]
    return found


def test_one_corpus_serves_both_stages(
    arguments: list[str], train: Any, new_home: Callable[[], Path], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    env = {"TRIPTYCH_HOME": str(new_home())}
    planned = train(*arguments, "do=plan", f"run_dir={run}", env=env)
    assert planned.code == 0, planned
    assert "passages with tasks from 60 of 61 texts" in " ".join(planned.out.split())
    assert "no sentence of prose in the passage" in " ".join(planned.out.split())
    plan = json.loads((run / "plan.json").read_text(encoding="utf-8"))
    assert not [finding for finding in plan["findings"] if finding["code"] == "STRUCTURE"]
    for stage in plan["stages"]:
        use = stage["sources"]["quay"]
        done = use["conversion"]
        assert (done["rows"], done["rows_converted"], done["passages"]) == (61, 60, 60) and use["rows"] == 60
        assert len(done["tasks"]) >= 5
        assert use["dropped"] == {"not converted: no sentence of prose in the passage": 1}
    ran = train(*arguments, f"run_dir={tmp_path / 'trained'}", env=env)
    assert ran.code == 0, ran
    assert (tmp_path / "trained" / "stages" / "2-domain" / "model").is_dir()


def test_text_in_instruct_is_still_refused(
    arguments: list[str], train: Any, new_home: Callable[[], Path], tmp_path: Path
) -> None:
    settings = "data.instruct.sources.quay.convert={kind: reading_comprehension, form: text}"
    ran = train(*arguments, settings, "do=plan", f"run_dir={tmp_path / 'run'}", env={"TRIPTYCH_HOME": str(new_home())})
    assert ran.code == 1 and "STRUCTURE" in ran.out


@pytest.mark.parametrize(
    ("given", "key", "says"),
    [
        ("reading", "convert.kind", "reading_comprehension"),
        ("{kind: reading_comprehension, task: 3}", "convert.task", "tasks"),
        ("{kind: reading_comprehension, passage_words: 5}", "convert.passage_words", "greater than or equal to 20"),
        ("{kind: reading_comprehension, kinds: [sumary]}", "convert.kinds.0", "summary"),
        ("3", "convert", ""),
    ],
)
def test_mistakes_are_named(arguments: list[str], train: Any, given: str, key: str, says: str) -> None:
    ran = train(*arguments, f"data.domain.sources.quay.convert={given}", "do=plan")
    assert ran.code == 2 and "Traceback" not in ran.err
    assert f"data.domain.sources.quay.{key}" in ran.err and says in ran.err
