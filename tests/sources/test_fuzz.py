"""Whatever bytes a file holds and whatever a path says: records, counted reasons, or an error of our own."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from framework.data.load import load
from framework.errors import DataError
from framework.paths import PROJECT
from framework.registry import component
from framework.sources import _opened
from framework.sources.base import Bad, Record

KINDS = ("jsonl", "json", "csv", "parquet", "text")
ROWS = [{"instruction": f"ask {n} é\n", "response": f'say {n}, "漢"'} for n in range(12)]
bounded = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

plain = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | plain
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(plain, inner, max_size=3))


def found(kind: str, content: bytes, folder: Path, **more: Any) -> list[Record | Bad]:
    path = folder / "data"
    path.write_bytes(content)
    records = list(component("sources", kind)(path=str(path), **more).records())  # type: ignore[attr-defined]
    for record in records:
        place, _, number = record.where.partition(":")
        assert place == "data" and int(number) >= 1
        assert isinstance(record, Record) or record.reason
    return records


def loaded_or_said(kind: str, content: bytes, folder: Path) -> None:
    """A source read as users do: rows, or a message with the place in the configuration and what to do."""
    path = folder / "data"
    path.write_bytes(content)
    source: Any = component("sources", kind)(path=str(path), max_bad_rows=1000)  # type: ignore[call-arg]
    try:
        got = load("x", source, "data.domain.sources.x")
    except DataError as error:
        unclear = [it for it in error.problems if not (it.path.startswith("data.domain.sources.x") and it.fix)]
        if unclear:
            pytest.fail(str(unclear))
        return
    dropped = sum(entry.count for entry in got.dropped.values())
    assert len(got.rows) + dropped == len(found(kind, content, folder))


def table(rows: list[dict[str, Any]]) -> bytes:
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), sink)
    return sink.getvalue()


def sheet(rows: list[dict[str, Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


WRITERS: dict[str, Callable[[list[dict[str, Any]]], bytes]] = {
    "jsonl": lambda rows: b"".join(json.dumps(row).encode() + b"\n" for row in rows),
    "json": lambda rows: json.dumps(rows, indent=1).encode(),
    "csv": sheet,
    "parquet": table,
    "text": lambda rows: "\n\n".join(row["response"] for row in rows).encode(),
}


def pack(content: bytes, how: str) -> bytes:
    if how == "gz":
        return gzip.compress(content, 1)
    return pytest.importorskip("zstandard").compress(content) if how == "zst" else content


@pytest.mark.parametrize("kind", KINDS)
@bounded
@given(content=st.binary(max_size=300))
def test_any_bytes(tmp_path: Path, kind: str, content: bytes) -> None:
    loaded_or_said(kind, content, tmp_path)


@pytest.mark.parametrize("kind", KINDS)
@bounded
@given(data=st.data())
def test_damage_anywhere(tmp_path: Path, kind: str, data: st.DataObject) -> None:
    whole = pack(WRITERS[kind](ROWS), data.draw(st.sampled_from(["plain", "gz", "zst"])))
    damaged = bytearray(whole)
    for _ in range(data.draw(st.integers(0, 4))):
        place = data.draw(st.integers(0, len(damaged) - 1))
        damaged[place : place + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=3))
    loaded_or_said(kind, bytes(damaged[: data.draw(st.integers(0, len(damaged)))]), tmp_path)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("how", ["gz", "zst"])
def test_every_truncation_is_told(tmp_path: Path, kind: str, how: str) -> None:
    whole = pack(WRITERS[kind](ROWS), how)
    for size in range(5, len(whole), 7):
        bad = [record.reason for record in found(kind, whole[:size], tmp_path) if isinstance(record, Bad)]
        assert "file is truncated" in bad, size


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1", "utf-8-sig", "cp1252"])
@pytest.mark.parametrize("kind", ["jsonl", "json", "csv", "text"])
def test_encodings(tmp_path: Path, kind: str, encoding: str) -> None:
    rows = [{"instruction": "é ü", "response": "naïve"}] * 3
    text = WRITERS[kind](rows).decode()
    if kind.startswith("json"):
        text = json.dumps(rows, ensure_ascii=False) if kind == "json" else text.replace("\\u00e9", "é")
    records = found(kind, text.encode(encoding), tmp_path)
    assert records
    if encoding == "utf-8-sig":
        assert all(isinstance(record, Record) for record in records)
        assert all("\ufeff" not in column for record in records for column in record.fields)  # type: ignore[union-attr]
    else:
        assert all(isinstance(record, Bad) for record in records), records


@bounded
@given(
    rows=st.lists(st.dictionaries(plain, values, max_size=3), max_size=4), end=st.sampled_from(["\n", "\r\n", "\n\n"])
)
def test_json_gives_back_what_was_written(tmp_path: Path, rows: list[dict[str, Any]], end: str) -> None:
    wanted = [None if _not_finite(row) else row for row in rows]
    texts = [json.dumps(row) for row in rows]
    for kind, content in {"jsonl": end.join(texts), "json": f"[{','.join(texts)}]{end}"}.items():
        records = found(kind, content.encode(), tmp_path)
        assert [record.fields if isinstance(record, Record) else None for record in records] == wanted
        assert {record.reason for record in records if isinstance(record, Bad)} <= {"NaN or infinity"}


def _not_finite(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_not_finite, value.values()))
    if isinstance(value, list):
        return any(map(_not_finite, value))
    return isinstance(value, float) and (value != value or value in (float("inf"), float("-inf")))


@bounded
@given(
    lines=st.lists(
        st.sampled_from(['{"a": 1}', '{"a": 1, "a": 2}', "{", "[]", '{"a": NaN}', '{"a": "\\ud800"}']), min_size=1
    )
)
def test_every_line_is_a_record_or_a_reason(tmp_path: Path, lines: list[str]) -> None:
    records = found("jsonl", "\n".join(lines).encode(), tmp_path)
    assert [record.where for record in records] == [f"data:{number}" for number, _ in enumerate(lines, 1)]
    sound = [line for line in lines if line in ('{"a": 1}', '{"a": "\\ud800"}')]
    assert sum(isinstance(record, Record) for record in records) == len(sound)


@bounded
@given(rows=st.lists(st.lists(plain, min_size=1, max_size=4), max_size=6), delimiter=st.sampled_from(",;\t"))
def test_ragged_csv(tmp_path: Path, rows: list[list[str]], delimiter: str) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter).writerows([["a", "b"], *rows])
    records = found("csv", text.getvalue().encode(), tmp_path, delimiter=delimiter)
    assert [list(r.fields.values()) if isinstance(r, Record) else None for r in records] == [
        row if len(row) == 2 else None for row in rows
    ]


@bounded
@given(values=st.lists(values, min_size=1, max_size=5))
def test_nested_types_where_text_is_expected(tmp_path: Path, values: list[Any]) -> None:
    content = "\n".join(json.dumps({"text": value}) for value in values).encode()
    loaded_or_said("jsonl", content, tmp_path)
    loaded_or_said("jsonl", content.replace(b'"text"', b'"messages"'), tmp_path)


@pytest.mark.parametrize("how", ["plain", "gz", "zst"])
@pytest.mark.parametrize("kind", ["jsonl", "json", "csv", "text"])
def test_long_rows_are_counted_and_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, how: str
) -> None:
    monkeypatch.setattr(_opened, "MAX_ROW", 1 << 20)
    long = "x" * (3 << 20)
    rows = [
        {"instruction": "a", "response": "b"},
        {"instruction": "a", "response": long},
        {"instruction": "a", "response": "c"},
    ]
    records = found(kind, pack(WRITERS[kind](rows), how), tmp_path)
    kinds = [type(record) for record in records]
    if kind == "json":  # where the row ends cannot be known
        assert kinds == [Record, Bad] and "the rest of the file is left out" in records[1].reason  # type: ignore[union-attr]
    elif kind == "text":
        assert kinds == [Bad, Record] and records[1].fields == {"text": "b\n\nc"}  # type: ignore[union-attr]
    else:
        assert kinds == [Record, Bad, Record]
    assert any(
        record.reason.endswith("longer than 1 MiB") or "1 MiB" in record.reason
        for record in records
        if isinstance(record, Bad)
    )


def test_bombs_are_read_piece_by_piece(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import tracemalloc

    monkeypatch.setattr(_opened, "MAX_ROW", 1 << 20)
    zeros = b"\n" + b"0" * (96 << 20)
    packs = {how: pack(zeros, how) for how in ("gz", "zst")}
    del zeros
    for how, content in packs.items():
        tracemalloc.start()
        records = found("jsonl", content, tmp_path)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert [record.reason for record in records if isinstance(record, Bad)] == ["longer than 1 MiB"], how
        assert peak < 48 << 20, (how, peak)


def test_a_quote_that_never_closes_does_not_swallow_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_opened, "MAX_ROW", 1000)
    content = 'a,b\n1,"open\n' + "x,y\n" * 1000
    records = found("csv", content.encode(), tmp_path)
    assert isinstance(records[0], Bad) and records[0].where == "data:2"
    assert sum(isinstance(record, Record) for record in records) > 500


def test_deep_nesting(tmp_path: Path) -> None:
    deep = b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    assert [type(r) for r in found("jsonl", b'{"a":1}\n' + deep + b'\n{"a":2}', tmp_path)] == [Record, Bad, Record]
    assert [type(r) for r in found("json", b'[{"a":1},' + deep + b"]", tmp_path)] == [Record, Bad]
    loaded_or_said("jsonl", b'{"text":' + b'{"a":' * 900 + b"1" + b"}" * 901, tmp_path)


def test_json_costs_one_row_for_one_fault(tmp_path: Path) -> None:
    content = b'[{"a": 1}, {"a": NaN}, 5, {"a": 1, "a": 2}, {"a": "\xff"}, {"a": ' + b"9" * 5000 + b'}, {"a": 2}]'
    reasons = [None, "NaN or infinity", "row is not an object", "duplicate key", "not UTF-8", "number too long", None]
    for wrapped in (content, b'{"x": {"y": []}, "data": ' + content + b', "z": 1}'):
        records = found("json", wrapped, tmp_path)
        assert [record.reason if isinstance(record, Bad) else None for record in records] == reasons


@pytest.mark.parametrize(
    "content",
    ['[{"a": 1},]', '[{"a": 1}] x', '{"data": [{"a": 1}],}', '{"data": [{"a": 1}], "data": []}', '[{"a": 1} {"a": 2}]'],
)
def test_json_that_breaks_off_keeps_its_first_rows(tmp_path: Path, content: str) -> None:
    records = found("json", content.encode(), tmp_path)
    assert records[0] == Record({"a": 1}, "data:1")
    assert isinstance(records[-1], Bad) and records[-1].where == "data:2"


def test_json_may_be_lines(tmp_path: Path) -> None:
    assert found("json", b'{"a": 1}\n\n{"a": 2}\n{', tmp_path) == [
        Record({"a": 1}, "data:1"),
        Record({"a": 2}, "data:3"),
        Bad("invalid JSON", "data:4"),
    ]


def test_parquet_of_every_type(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    columns = {
        "late": pa.array([2**62], pa.timestamp("s")),
        "zone": pa.array([0], pa.timestamp("us", tz="No/Where")),
        "nano": pa.array([1], pa.timestamp("ns")),
        "map": pa.array([[("k", 1), ("k", 2)]], pa.map_(pa.string(), pa.int64())),
        "decimal": pa.array([None], pa.decimal128(9, 2)),
        "words": pa.array(["x"]).dictionary_encode(),
        "twice": pa.StructArray.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"]),
        "raw": pa.array([b"\xff"], pa.binary()),
        "nothing": pa.nulls(1),
    }
    for name, column in columns.items():
        sink = io.BytesIO()
        try:
            pq.write_table(pa.table({name: column, "text": ["kept"]}), sink)
        except pa.ArrowException:
            continue  # a type that parquet does not have
        (record,) = found("parquet", sink.getvalue(), tmp_path)
        assert isinstance(record, Record) or record.reason == "value has no Python form", name
        loaded_or_said("parquet", sink.getvalue(), tmp_path)


@bounded
@given(path=st.text(max_size=40) | st.text("*?[]/.~x", max_size=30) | st.just("x/" * 3000) | st.just("y" * 5000))
def test_any_path(path: str) -> None:
    where = os.getcwd()
    os.chdir(PROJECT / "samples")
    try:
        source: Any = component("sources", "jsonl")(path=path, max_rows=1)  # type: ignore[call-arg]
        list(source.records())
    except DataError as error:
        if error.problems[0].path != "path" or not error.problems[0].message:
            pytest.fail(repr(error))
    finally:
        os.chdir(where)


def tree(root: Path) -> Path:
    (root / "outside").mkdir(parents=True)
    (root / "outside" / "secret.jsonl").write_text('{"a": "secret"}\n')
    inside = root / "inside"
    (inside / "sub").mkdir(parents=True)
    (inside / "sub" / "a.jsonl").write_text('{"text": "fine"}\n')
    return inside


@pytest.mark.parametrize(
    ("link", "to"),
    [("b.jsonl", "../outside/secret.jsonl"), ("sub/b.jsonl", "/etc/passwd"), ("other", "../outside"), ("up", "..")],
)
def test_links_that_leave_the_folder_are_refused(tmp_path: Path, link: str, to: str) -> None:
    inside = tree(tmp_path)
    (inside / link).symlink_to(to)
    for path in (inside, inside / "**" / "*"):
        if path == inside or link.endswith("jsonl"):
            with pytest.raises(DataError, match="leads out of the folder"):
                list(component("sources", "jsonl")(path=str(path)).records())  # type: ignore[attr-defined]


def test_patterns_that_leave_the_folder_are_refused(tmp_path: Path) -> None:
    inside = tree(tmp_path)
    with pytest.raises(DataError, match="leads out of the folder"):
        list(component("sources", "jsonl")(path=f"{inside}/*/../../outside/*.jsonl").records())  # type: ignore[attr-defined]


def test_links_inside_are_followed_once_and_broken_ones_told(tmp_path: Path) -> None:
    inside = tree(tmp_path)
    (inside / "again").symlink_to("sub")
    (inside / "loop").symlink_to("loop")
    source: Any = component("sources", "jsonl")(path=str(inside))  # type: ignore[call-arg]
    assert [record.fields for record in source.records()] == [{"text": "fine"}]
    (inside / "gone.jsonl").symlink_to("nowhere.jsonl")
    with pytest.raises(DataError, match="cannot be read"):
        load("x", source)
    assert [record.reason for record in source.records() if isinstance(record, Bad)] == [
        "cannot be opened (No such file or directory)"
    ]


def test_a_file_that_is_named_may_be_a_link(tmp_path: Path) -> None:
    inside = tree(tmp_path)
    (inside / "b.jsonl").symlink_to("../outside/secret.jsonl")
    source: Any = component("sources", "jsonl")(path=str(inside / "b.jsonl"))  # type: ignore[call-arg]
    assert [record.fields for record in source.records()] == [{"a": "secret"}]


def test_names_that_are_no_text_do_no_harm(tmp_path: Path) -> None:
    for name in (b"a\xff\n.jsonl", b"b\x1b[31m.jsonl"):
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_text('{"text": "x"}\n')
    got = load("x", component("sources", "jsonl")(path=str(tmp_path)))  # type: ignore[arg-type]
    assert [row.id for row in got.rows] == ["a\\udcff\\n.jsonl:1", "b\\x1b[31m.jsonl:1"]
    assert all(row.id.encode() for row in got.rows)
