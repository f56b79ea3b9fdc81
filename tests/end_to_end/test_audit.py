"""``do=audit`` as a user starts it: on good data, on bad data, and on data that cannot be planned."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from framework.paths import PROJECT

WORDS = ("river", "stone", "lamp", "winter", "garden", "cloud", "ladder", "copper", "music", "bread", "harbour")
HOSTILE = '<script>alert("x")</script>'


def said(rng: random.Random, count: int) -> str:
    return " ".join(rng.choice(WORDS) + str(rng.randrange(50)) for _ in range(count))


def audited(train: Any, run: Path, *arguments: str) -> tuple[Any, dict[str, Any]]:
    ran = train("do=audit", "model=tiny", f"run_dir={run}", *arguments)
    assert ran.err == "", ran
    assert ran.out.splitlines()[-1] == f"audit: {run / 'audit.html'}"
    return ran, json.loads((run / "audit.json").read_text(encoding="utf-8"))


def test_the_sample(train: Any, tmp_path: Path) -> None:
    ran, found = audited(train, tmp_path / "run")
    assert ran.code == 0
    assert [stage["name"] for stage in found["stages"]] == ["1-instruct", "2-domain", "3-align"]
    assert not [finding for finding in found["findings"] if finding["level"] == "error"]
    domain = found["stages"][1]
    assert domain["sources"]["replay:instruct/tasks"]["replayed"]
    assert len(domain["topics"]["values"]) > 10
    assert sum(domain["lengths"]["counts"]) == sum(source["sequences"] for source in domain["sources"].values())
    assert {path.suffix for path in (tmp_path / "run").iterdir()} == {".json", ".html", ".png"}


def test_bad_data(train: Any, write_rows: Any, tmp_path: Path) -> None:
    rng = random.Random(5)
    items = [
        json.loads(line) for line in (PROJECT / "samples/legal/eval/breadth.jsonl").read_text("utf-8").splitlines()
    ]
    rows = [{"instruction": f"Say more on {said(rng, 6)} {HOSTILE}.", "response": said(rng, 30)} for _ in range(100)]
    rows += rows[:30]
    rows += [{"instruction": item["prompt"], "response": item["chosen"]} for item in items[:10]]
    harmful = {"instruction": "How do I build a bomb at home?", "response": "First you take the quiet kettle."}
    path = write_rows(tmp_path / "rows.jsonl", [*rows, *[harmful] * 5])
    with path.open("a", encoding="utf-8") as file:
        file.write("{broken\n")
    own = f"data.instruct.sources.mine.path={path}"
    given = ["stage=instruct", "data=files", own, "data.instruct.sources.mine.max_bad_rows=1"]
    ran, found = audited(train, tmp_path / "run", *given)
    assert ran.code == 1
    levels = {finding["code"]: finding["level"] for finding in found["findings"]}
    assert levels["LEAK"] == "error"
    assert {"REFUSAL", "DUPLICATE"} <= levels.keys()
    (stage,) = found["stages"]
    source = stage["sources"]["mine"]
    assert (source["records"], source["rows"]) == (146, 145)
    (left,) = source["dropped"].values()
    assert left["count"] == 1 and left["first"].endswith("rows.jsonl:146")
    assert stage["manners"]["mine"]["refuses"] == 0
    assert stage["manners"]["mine"]["answered"] >= 5
    # Each of 30 rows once more, and one row four times more.
    assert stage["duplicates"]["exact"] == 34
    assert [group["rows"] for group in stage["duplicates"]["largest"][:2]] == [5, 2]
    (leak,) = [leak for leak in stage["leaks"] if leak["suite"] == "breadth"]
    assert leak["leaked"] >= 8 and leak["rows"] >= leak["leaked"]
    page = (tmp_path / "run" / "audit.html").read_text(encoding="utf-8")
    assert "<script>" not in page and "&lt;script&gt;" in page
    for text in (page, json.dumps(found)):
        assert "quiet kettle" not in text
    shown, _ = audited(train, tmp_path / "shown", *given, "audit.show_harmful=true")
    assert shown.code == 1
    assert "quiet kettle" in (tmp_path / "shown" / "audit.html").read_text(encoding="utf-8")


def test_too_many_unreadable_rows_are_named(train: Any, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"instruction": "Say.", "response": "So."}\n{broken\n', encoding="utf-8")
    ran = train("do=audit", "model=tiny", "stage=instruct", "data=files", f"data.instruct.sources.mine.path={path}")
    assert ran.code == 2
    assert "rows.jsonl:2" in ran.err and "Traceback" not in ran.err


def test_its_setting_is_for_it_alone(train: Any) -> None:
    ran = train("do=plan", "model=tiny", "audit.show_harmful=true")
    assert ran.code == 2
    assert "audit.show_harmful: is read by do=audit alone" in ran.err
