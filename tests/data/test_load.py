"""Loading: bad rows are bounded and named, columns are renamed, fingerprints follow content alone."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from framework.data.load import Dropped, fingerprint, load
from framework.errors import DataError
from framework.sources.jsonl import JsonLines

GOOD = {"instruction": "q", "response": "a"}


def source(path: Path, *rows: Any, **settings: Any) -> JsonLines:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return JsonLines(path=str(path), **settings)


def test_rows_within_the_bound_are_counted_by_reason(tmp_path: Path) -> None:
    empty = {**GOOD, "response": ""}
    found = load("x", source(tmp_path / "x.jsonl", GOOD, "{", empty, empty, GOOD, max_bad_rows=3))
    assert [row.id for row in found.rows] == ["x.jsonl:1", "x.jsonl:5"]
    assert found.format == "instruction"
    assert found.dropped == {
        "invalid JSON": Dropped(1, "x.jsonl:2"),
        "empty response": Dropped(2, "x.jsonl:3"),
    }


def test_more_bad_rows_stop_with_reasons_and_places(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        load("x", source(tmp_path / "x.jsonl", GOOD, "{", "{"), "data.instruct.sources.x")
    (problem,) = caught.value.problems
    assert problem.path == "data.instruct.sources.x"
    assert "2 x invalid JSON (first x.jsonl:2)" in problem.message and "max_bad_rows to 2" in problem.fix


def test_no_rows_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no rows"):
        load("x", source(tmp_path / "x.jsonl"))
    with pytest.raises(DataError, match="no rows: 1 x invalid JSON"):
        load("x", source(tmp_path / "x.jsonl", "{", max_bad_rows=9))


def test_columns_are_renamed_and_typos_found(tmp_path: Path) -> None:
    row = {"question": "q", "answer": "a", "instruction": "not this"}
    mapped = {"question": "instruction", "answer": "response"}
    (found,) = load("x", source(tmp_path / "x.jsonl", row, map=mapped)).rows
    assert found.turns[0].content == "q"  # type: ignore[attr-defined]
    with pytest.raises(DataError, match="did you mean 'question'"):
        load("x", source(tmp_path / "x.jsonl", row, map={"qestion": "instruction"}))
    with pytest.raises(DataError, match="no format fits the columns answer, instruction, question"):
        load("x", source(tmp_path / "x.jsonl", row))


def test_fields_inside_columns_are_named_by_dots(tmp_path: Path) -> None:
    rows = [
        {"q": {"text": "one"}, "answers": [{"text": "first"}, {"text": "second"}]},
        {"q": {"text": "two"}, "answers": [{"text": "third"}]},
        {"q": {"text": "none"}, "answers": []},
        {"q": "no object", "answers": [{"text": "x"}]},
    ]
    mapped = {"q.text": "instruction", "answers.0.text": "response"}
    found = load("x", source(tmp_path / "x.jsonl", *rows, map=mapped, max_bad_rows=2))
    assert [[turn.content for turn in row.turns] for row in found.rows] == [["one", "first"], ["two", "third"]]  # type: ignore[attr-defined]
    assert found.dropped == {
        "response is missing": Dropped(1, "x.jsonl:3"),
        "empty prompt": Dropped(1, "x.jsonl:4"),
    }
    with pytest.raises(DataError, match=r"did you mean 'q\.text'"):
        load("x", source(tmp_path / "x.jsonl", *rows, map={"q.txt": "instruction", "answers.0.text": "response"}))


def test_sections_in_map_are_dotted_names() -> None:
    made = JsonLines(path="x", map={"q": "instruction", "answers": {0: {"text": "response"}}})  # type: ignore[dict-item]
    assert made.map == {"q": "instruction", "answers.0.text": "response"}


@pytest.mark.parametrize(
    ("row", "wanted"),
    [
        ({"a.b": "whole name", "a": {"b": "inside"}}, "whole name"),
        ({"a": {"b": "inside"}}, "inside"),
        ({"a.b": {"c": "long"}, "a": {"b.c": "other"}}, None),
    ],
)
def test_a_column_called_so_wins(tmp_path: Path, row: dict[str, Any], wanted: str | None) -> None:
    (found,) = load("x", source(tmp_path / "x.jsonl", row, map={"a.b" if wanted else "a.b.c": "text"})).rows
    assert found.text == (wanted or "long")  # type: ignore[attr-defined]


def test_a_column_may_appear_once_in_a_while(tmp_path: Path) -> None:
    rows = [dict(GOOD) for _ in range(300)]
    rows[250] = {**GOOD, "background": "b"}
    found = load("x", source(tmp_path / "x.jsonl", *rows, map={"background": "context"}))
    assert found.rows[250].turns[0].content == "q\n\nb"  # type: ignore[attr-defined]
    with pytest.raises(DataError) as caught:
        load("x", source(tmp_path / "x.jsonl", *rows, map={"backgrund": "context"}))
    assert caught.value.problems[0].path == "data.sources.x.map.backgrund"


def test_columns_that_are_no_text_can_be_shown(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        load("x", source(tmp_path / "x.jsonl", '{"\\ud800\\u001b[31m": "x"}'))
    assert str(caught.value).encode().isascii()


def test_max_rows_reads_the_first(tmp_path: Path) -> None:
    rows = [{**GOOD, "id": n} for n in range(300)]
    found = load("x", source(tmp_path / "x.jsonl", *rows, max_rows=150))
    assert [row.id for row in found.rows] == [str(n) for n in range(150)]


def test_fingerprints_follow_content_and_settings(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    here = source(tmp_path / "x.jsonl", GOOD)
    same = source(tmp_path / "other" / "x.jsonl", GOOD, max_bad_rows=5)
    assert fingerprint(here) == fingerprint(same) == load("x", here).fingerprint
    assert fingerprint(here) != fingerprint(source(tmp_path / "x.jsonl", GOOD, max_rows=1))
    assert fingerprint(same) != fingerprint(source(tmp_path / "x.jsonl", GOOD, GOOD))


def test_an_edit_is_seen_even_when_time_and_size_stay(tmp_path: Path) -> None:
    old = 1_000_000_000
    made = source(tmp_path / "x.jsonl", GOOD)
    os.utime(made.path, (old, old))
    first = fingerprint(made)
    assert fingerprint(made) == first  # from the remembered digest
    beside = tmp_path / "y"
    beside.write_text(json.dumps({**GOOD, "response": "b"}) + "\n")
    os.utime(beside, (old, old))
    os.replace(beside, made.path)
    assert fingerprint(made) != first


def test_real_data_loads(shared: Path) -> None:
    found = load("dolly", JsonLines(path=str(shared / "dolly15k" / "dolly15k.jsonl.gz")))
    assert len(found.rows) == 15_015 and not found.dropped
    pairs = load(
        "hh",
        JsonLines(path=str(shared / "hh_rlhf_harmless" / "harmless_base_test.jsonl.gz"), max_bad_rows=50),
    )
    assert pairs.format == "preference" and len(pairs.rows) > 2_200
    tools = JsonLines(path=str(shared / "llamafactory_demo" / "glaive_toolcall_en.jsonl.gz"))
    with_tools = load("glaive", tools)
    assert len(with_tools.rows) == 300 and not with_tools.dropped
