"""A budget of tokens: exactly the rows before the first that no longer fits, with exact counts of what was read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest

from framework.data import load as loading
from framework.data.load import Dropped, bounded, fingerprint, load, read
from framework.data.mix import Mix
from framework.data.parallel import FEW
from framework.data.prepare import Prepared, Request, prepare
from framework.errors import DataError
from framework.sources.base import Bad, Record
from framework.sources.jsonl import JsonLines

TEMPLATE = "{% for m in messages %}{{ '<s>' + m.role + '\\n' + m.content + '<e>' }}{% endfor %}"
LENGTH = 64


@pytest.fixture
def model(make_model: Any) -> Path:
    return make_model(TEMPLATE, ["<s>", "<e>"], "<e>")


def rows(count: int) -> list[dict[str, Any]]:
    return [
        {"instruction": f"question {n}", "response": "answer " * (n * 7 % 23 + 1), "id": str(n)} for n in range(count)
    ]


def written(path: Path, lines: list[dict[str, Any] | str], **settings: Any) -> JsonLines:
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
    return JsonLines(path=str(path), **settings)


def prepared(model: Path, source: JsonLines, long: Literal["truncate", "split", "drop"] = "truncate") -> Prepared:
    request = Request(
        name="instruct", path="data.instruct", rows="sft", sources={"x": source}, replay={}, mix=Mix(),
        max_length=LENGTH, long=long, epochs=1.0, max_steps=None, batch_tokens=256, seed=0, model_dir=model,
    )  # fmt: skip
    return prepare(request)


@pytest.mark.parametrize("long", ["truncate", "split", "drop"])
@pytest.mark.parametrize("batch", [1, 7, 2048])
def test_the_longest_beginning_within_the_budget(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch, batch: int, long: Literal["truncate", "split", "drop"]
) -> None:
    monkeypatch.setattr(loading, "_BATCH", batch)
    given = rows(60)
    sums = [prepared(model, written(tmp_path / "x.jsonl", [*given[:n]]), long).tokens for n in (15, 29, 60)]
    for tokens in {sums[0], sums[0] - 1, sums[1] + 1, sums[2]}:
        use = prepared(model, written(tmp_path / "x.jsonl", [*given], max_tokens=tokens), long).sources["x"]
        alone = prepared(model, written(tmp_path / "y.jsonl", [*given[: use.rows]]), long).sources["x"]
        assert use.available_tokens == alone.available_tokens <= tokens
        assert (use.dropped == alone.dropped) or {k: d.count for k, d in use.dropped.items()} == {
            k: d.count for k, d in alone.dropped.items()
        }
        assert use.records == use.rows and use.budget_spent == (use.rows < 60)
        if use.budget_spent:
            more = prepared(model, written(tmp_path / "z.jsonl", [*given[: use.rows + 1]]), long).sources["x"]
            assert more.available_tokens > tokens


def test_a_budget_that_is_not_spent_changes_no_count(tmp_path: Path, model: Path) -> None:
    free = prepared(model, written(tmp_path / "x.jsonl", [*rows(50)])).sources["x"]
    held = prepared(model, written(tmp_path / "x.jsonl", [*rows(50)], max_tokens=10**9)).sources["x"]
    assert (free.rows, free.tokens, free.records, free.budget_spent) == (held.rows, held.tokens, 50, False)


def test_unreadable_records_count_up_to_where_reading_ends(tmp_path: Path, model: Path) -> None:
    given = rows(40)
    lines: list[dict[str, Any] | str] = [given[0], "{", *given[1:20], "[]", *given[20:], "{", "{", "{"]
    whole = prepared(model, written(tmp_path / "x.jsonl", [*given[:10]])).tokens
    use = prepared(model, written(tmp_path / "x.jsonl", lines, max_tokens=whole, max_bad_rows=1)).sources["x"]
    assert (use.rows, use.records) == (10, 11)
    assert use.unreadable == {"invalid JSON": Dropped(1, "x.jsonl:2")}
    with pytest.raises(DataError, match="1 rows cannot be read, 0 are allowed"):
        prepared(model, written(tmp_path / "x.jsonl", lines, max_tokens=whole))


@pytest.mark.parametrize("batch", [1, 2048])
def test_columns_are_looked_for_up_to_where_reading_ends(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    monkeypatch.setattr(loading, "_BATCH", batch)
    given = rows(40)
    given[30]["background"] = "late"
    tokens = prepared(model, written(tmp_path / "x.jsonl", [*given[:10]])).tokens
    mapped = {"background": "context"}
    with pytest.raises(DataError) as caught:
        prepared(model, written(tmp_path / "x.jsonl", [*given], max_tokens=tokens, map=mapped))
    assert [problem.path for problem in caught.value.problems] == ["data.instruct.sources.x.map.background"]
    assert prepared(model, written(tmp_path / "x.jsonl", [*given], max_tokens=10**9, map=mapped)).units == 40
    given[3]["background"] = ""
    assert prepared(model, written(tmp_path / "x.jsonl", [*given], max_tokens=tokens, map=mapped)).units == 10


def test_too_small_a_budget_is_said(tmp_path: Path, model: Path) -> None:
    with pytest.raises(DataError) as caught:
        prepared(model, written(tmp_path / "x.jsonl", [*rows(5)], max_tokens=3))
    (problem,) = caught.value.problems
    assert problem.path == "data.instruct.sources.x.max_tokens" and problem.fix


def test_the_budget_is_part_of_the_key(tmp_path: Path, model: Path) -> None:
    made = [written(tmp_path / "x.jsonl", [*rows(20)], max_tokens=tokens) for tokens in (None, 200, 201)]
    assert len({fingerprint(source) for source in made}) == 3
    assert len({prepared(model, source).fingerprint for source in made}) == 3


def test_others_look_at_the_same_records(tmp_path: Path, model: Path) -> None:
    source = written(tmp_path / "x.jsonl", ["{", *rows(30)], max_tokens=300, max_bad_rows=1)
    use = prepared(model, source).sources["x"]
    assert use.budget_spent
    assert len(load("x", bounded(source, use.records)).rows) == use.rows
    free = written(tmp_path / "y.jsonl", [*rows(3)])
    assert bounded(free, 3) is free


class Endless(JsonLines):
    """Rows without end, which counts what was asked of it."""

    def records(self) -> Iterator[Record | Bad]:
        number = 0
        while True:
            number += 1
            _ASKED.append(number)
            yield Record({"instruction": f"ask {number}", "response": "yes"}, f"x:{number}")


_ASKED: list[int] = []


def test_a_stream_without_end_is_left(tmp_path: Path, model: Path) -> None:
    (tmp_path / "x.jsonl").touch()
    use = prepared(model, Endless(path=str(tmp_path / "x.jsonl"), max_tokens=5000)).sources["x"]
    assert 4900 < use.available_tokens <= 5000
    assert _ASKED[-1] <= (FEW + 2) * loading._BATCH


def test_reading_counts_records(tmp_path: Path) -> None:
    reading = read("x", written(tmp_path / "x.jsonl", ["{", *rows(3)], max_bad_rows=1))
    next(reading.rows)
    held = reading.dropped
    assert reading.records == 2
    list(reading.rows)
    assert reading.records == 4 and held == reading.dropped
