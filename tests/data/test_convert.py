"""Sources that are converted: rows, ids, labels, counts, fingerprints, and what cannot be converted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from framework.converters.reading_comprehension import ReadingComprehension
from framework.data.load import Reading, fingerprint, load, read
from framework.data.rows import Conversation, Text, kind_of
from framework.errors import DataError
from framework.sources.jsonl import JsonLines

CLAUSES = [
    "The keeper of a berth shall inspect the bollards every morning.",
    "If a barge lies aground, the keeper must warn the pilot of the next vessel.",
    "Fees are owed for each tide, and the master pays the keeper prior to the ebb.",
    "“Bollard” means an iron post at the quay to which barges are moored.",
]
TABLE = "12 13 14 15\n16 17 18 19"


def rows(count: int = 8) -> list[dict[str, Any]]:
    texts = [
        " ".join(CLAUSES[place % 2 :]) + f" The fee of berth {place} is three marks a tide." for place in range(count)
    ]
    return [{"id": f"b{place}", "text": text, "topic": "harbour"} for place, text in enumerate(texts)]


def source(path: Path, found: list[dict[str, Any]], convert: Any = "reading_comprehension", **given: Any) -> JsonLines:
    path.write_text("".join(json.dumps(row) + "\n" for row in found), encoding="utf-8")
    return JsonLines.model_validate({"path": str(path), "convert": convert, **given})


def test_texts_become_conversations_with_labels(tmp_path: Path) -> None:
    found = load("x", source(tmp_path / "x.jsonl", rows())).rows
    assert [row.id for row in found] == [f"b{place}/1" for place in range(8)]
    for row in found:
        assert isinstance(row, Conversation)
        assert [turn.role for turn in row.turns] == ["user", "assistant"] * (len(row.turns) // 2)
        assert row.labels.topic == "harbour" and row.labels.task


def test_everything_is_counted(tmp_path: Path) -> None:
    given = source(tmp_path / "x.jsonl", [*rows(), {"id": "t", "text": TABLE}])
    reading = read("x", given)
    found = list(reading.rows)
    done = reading.conversion
    assert done is not None and not reading.dropped
    assert (done.rows, done.rows_converted, done.passages, done.plain) == (9, 8, 8, 0)
    assert sum(done.tasks.values()) == sum(len(row.turns) // 2 for row in found if isinstance(row, Conversation))
    ((reason, left),) = reading.left_out.items()
    assert reason == "not converted: no sentence of prose in the passage" and (left.count, left.first) == (1, "t/1")


def test_passages_stay_text_where_that_is_wanted(tmp_path: Path) -> None:
    settings = {"kind": "reading_comprehension", "without": "text"}
    found = load("x", source(tmp_path / "x.jsonl", [*rows(), {"text": TABLE}], settings)).rows
    assert [kind_of(row) for row in found].count("text") == 1
    whole = load("x", source(tmp_path / "x.jsonl", rows(), {**settings, "form": "text"})).rows
    assert all(isinstance(row, Text) and row.labels.task for row in whole)


def test_rows_do_not_depend_on_their_order(tmp_path: Path) -> None:
    there = load("x", source(tmp_path / "x.jsonl", rows())).rows
    back = load("x", source(tmp_path / "y.jsonl", rows()[::-1])).rows
    assert {row.id: row for row in there} == {row.id: row for row in back}


def test_fingerprints_follow_the_conversion_and_stay_without_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = source(tmp_path / "x.jsonl", rows(), None)
    named = source(tmp_path / "x.jsonl", rows())
    same = source(tmp_path / "x.jsonl", rows(), {"kind": "reading_comprehension", "tasks": 3})
    other = source(tmp_path / "x.jsonl", rows(), {"kind": "reading_comprehension", "seed": 1})
    assert fingerprint(named) == fingerprint(same)
    assert len({fingerprint(plain), fingerprint(named), fingerprint(other)}) == 3
    before = fingerprint(named)
    monkeypatch.setattr(ReadingComprehension, "version", 99)
    assert fingerprint(named) != before
    assert "convert" in named.model_dump() and named.model_dump()["convert"]["kind"] == "reading_comprehension"


def test_only_text_is_converted(tmp_path: Path) -> None:
    talk = [{"instruction": "Who pays?", "response": "The master."}]
    with pytest.raises(DataError) as caught:
        read("x", source(tmp_path / "x.jsonl", talk), "data.instruct.sources.x")
    (problem,) = caught.value.problems
    assert problem.path == "data.instruct.sources.x.convert" and "read as instruction" in problem.message


def test_unreadable_rows_are_counted_once(tmp_path: Path) -> None:
    given = source(tmp_path / "x.jsonl", rows(), max_bad_rows=1)
    with Path(given.path).open("a") as file:
        file.write("{\n")
    reading = read("x", given)
    assert len(list(reading.rows)) == 8
    assert {reason: entry.count for reason, entry in reading.dropped.items()} == {"invalid JSON": 1}


@pytest.mark.parametrize(
    ("file", "texts"),
    [
        ("legal_contracts_sec/sec_contracts.jsonl.gz", 60),
        ("legal_regulations_cfpb/cfpb_regulations.jsonl.gz", 4),
        ("legal_misc/legal_misc.jsonl.gz", 40),
    ],
)
def test_law_gives_tasks_of_many_kinds(shared: Path, file: str, texts: int) -> None:
    path = str(shared / file)
    given = JsonLines.model_validate({"path": path, "max_rows": texts, "convert": "reading_comprehension"})
    reading: Reading = read("law", given)
    found = list(reading.rows)
    done = reading.conversion
    assert done is not None and done.rows == texts
    assert done.rows_converted >= 0.7 * texts
    assert len(done.tasks) == 7 and max(done.tasks.values()) < 0.5 * sum(done.tasks.values())
    assert len({row.id for row in found}) == len(found) == done.passages
