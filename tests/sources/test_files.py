"""File sources: every kind of damage is a counted reason with its place, and the sound rows survive it."""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
from pathlib import Path
from typing import Any

import pytest

from framework.errors import DataError
from framework.registry import component, kinds
from framework.sources.base import Bad, Record
from framework.sources.jsonl import JsonLines

ROWS = [{"instruction": f"ask {n} é", "response": f"say {n} 漢"} for n in range(50)]
FILE_KINDS = ("jsonl", "json", "csv", "parquet", "text")


def read(kind: str, path: Path, **settings: Any) -> list[Record | Bad]:
    return list(component("sources", kind)(path=str(path), **settings).records())  # type: ignore[attr-defined]


def content(kind: str) -> bytes:
    if kind == "jsonl":
        return b"".join(json.dumps(row).encode() + b"\n" for row in ROWS)
    if kind == "json":
        return json.dumps(ROWS).encode()
    if kind == "csv":
        text = io.StringIO()
        writer = csv.DictWriter(text, ["instruction", "response"])
        writer.writeheader()
        writer.writerows(ROWS)
        return text.getvalue().encode()
    if kind == "parquet":
        pa = pytest.importorskip("pyarrow")
        pq = pytest.importorskip("pyarrow.parquet")
        sink = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(ROWS), sink)
        return sink.getvalue()
    return "\n\n".join(row["response"] for row in ROWS).encode()


def packed(data: bytes, how: str) -> bytes:
    if how == "gz":
        return gzip.compress(data)
    if how == "zst":
        return pytest.importorskip("zstandard").compress(data)
    return data


def test_kinds_are_the_promised_ones() -> None:
    assert set(kinds("sources")) >= {"jsonl", "json", "csv", "parquet", "text", "hub"}


@pytest.mark.parametrize("how", ["plain", "gz", "zst"])
@pytest.mark.parametrize("kind", FILE_KINDS)
def test_rows_come_back_whatever_the_compression(tmp_path: Path, kind: str, how: str) -> None:
    path = tmp_path / "data"  # the content decides, not the name
    path.write_bytes(packed(content(kind), how))
    settings = {"chunk_chars": 1} if kind == "text" else {}
    found = read(kind, path, **settings)
    wanted = [{"text": row["response"]} for row in ROWS] if kind == "text" else ROWS
    assert [record.fields for record in found if isinstance(record, Record)] == wanted
    assert len({record.where for record in found}) == len(ROWS)


@pytest.mark.parametrize("how", ["gz", "zst"])
@pytest.mark.parametrize("kind", FILE_KINDS)
def test_truncated_archives_are_counted(tmp_path: Path, kind: str, how: str) -> None:
    path = tmp_path / "data"
    whole = packed(content(kind), how)
    for size in (6, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        bad = [record for record in read(kind, path) if isinstance(record, Bad)]
        assert [record.reason for record in bad] == ["file is truncated"], size
        assert bad[0].where.startswith("data:")


def test_random_damage_never_raises(tmp_path: Path) -> None:
    generator = random.Random(0)
    path = tmp_path / "data"
    for kind in FILE_KINDS:
        for how in ("plain", "gz", "zst"):
            whole = packed(content(kind), how)
            for _ in range(60):
                damaged = bytearray(whole)
                for _ in range(generator.randrange(1, 4)):
                    damaged[generator.randrange(len(damaged))] = generator.randrange(256)
                path.write_bytes(bytes(damaged[: generator.randrange(len(damaged)) + 1]))
                for record in read(kind, path):
                    assert isinstance(record, Record) or (record.reason and ":" in record.where)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"a": 1', "invalid JSON"),
        (b'{"a": 1} x', "invalid JSON"),
        (b"[1, 2]", "row is not an object"),
        (b'"text"', "row is not an object"),
        (b'{"a": 1, "a": 2}', "duplicate key"),
        (b'{"a": {"b": 1, "b": 2}}', "duplicate key"),
        (b'{"a": NaN}', "NaN or infinity"),
        (b'{"a": "\xff"}', "not UTF-8"),
        (b'{"a": "\0"}', "null byte"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a": ' + b"9" * 5000 + b"}", "number too long"),
    ],
)
def test_bad_lines_have_a_reason_and_a_place(tmp_path: Path, line: bytes, reason: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"a": "first"}\r\n\r\n' + line + b'\r\n{"a": "last"}')
    found = read("jsonl", path)
    assert found == [
        Record({"a": "first"}, "rows.jsonl:1"),
        Bad(reason, "rows.jsonl:3"),
        Record({"a": "last"}, "rows.jsonl:4"),
    ]


def test_json_holds_an_array_or_data(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_text('{"data": [{"a": 1}, 2]}')
    assert read("json", path) == [Record({"a": 1}, "rows.json:1"), Bad("row is not an object", "rows.json:2")]
    path.write_text('{"rows": []}')
    assert [record.where for record in read("json", path)] == ["rows.json:1"]


def test_csv_damage_costs_its_own_row(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(b'\xef\xbb\xbfa,b\r\n1,"two\r\nlines"\r\n1\r\n\xff,2\r\nx\0,2\r\n3,4\r\n')
    assert read("csv", path) == [
        Record({"a": "1", "b": "two\r\nlines"}, "rows.csv:2"),
        Bad("wrong number of columns", "rows.csv:4"),
        Bad("not UTF-8", "rows.csv:5"),
        Bad("null byte", "rows.csv:6"),
        Record({"a": "3", "b": "4"}, "rows.csv:7"),
    ]
    path.write_text("a,a\n1,2\n")
    assert read("csv", path) == [Bad("duplicate column in the header; the rest of the file is left out", "rows.csv:1")]
    path.write_text('a,b\n1,"open\n')
    assert read("csv", path) == [Bad("invalid CSV", "rows.csv:2")]


def test_parquet_keeps_nested_values(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    rows = [{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "x.parquet")
    assert [record.fields for record in read("parquet", tmp_path / "x.parquet")] == rows  # type: ignore[union-attr]
    broken = pa.array([b"good", b"\xff"], pa.binary()).view(pa.string())
    pq.write_table(pa.table({"text": broken}), tmp_path / "y.parquet")
    assert read("parquet", tmp_path / "y.parquet") == [
        Record({"text": "good"}, "y.parquet:1"),
        Bad("not UTF-8", "y.parquet:2"),
    ]


def test_text_cuts_between_paragraphs_then_sentences(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("one\ntwo\n\nthree\n\n" + "A long sentence here. " * 5 + "\n\nend\n")
    found = read("text", path, chunk_chars=50)
    texts = [record.fields["text"] for record in found if isinstance(record, Record)]
    assert texts == [
        "one\ntwo\n\nthree",
        "A long sentence here. A long sentence here.",
        "A long sentence here. A long sentence here.",
        "A long sentence here.",
        "end",
    ]
    assert [record.where for record in found] == ["a.txt:1", "a.txt:6", "a.txt:6", "a.txt:6", "a.txt:8"]
    path.write_bytes(b"good\n\nbad \xff\nrest\n\nfine")
    assert read("text", path, chunk_chars=1) == [
        Record({"text": "good"}, "a.txt:1"),
        Bad("not UTF-8", "a.txt:3"),
        Record({"text": "fine"}, "a.txt:6"),
    ]


def test_text_without_blank_lines_is_cut_at_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    line = "word " * 200
    path.write_text(f"{line}\n" * 3000)
    found = read("text", path, chunk_chars=4 << 20)
    texts = [record.fields["text"] for record in found if isinstance(record, Record)]
    assert len(texts) == 1 and texts[0].split() == ["word"] * 600_000
    assert texts[0].count("\n\n") == 2  # three paragraphs of a little over 1 MiB


def test_folders_and_globs_are_sorted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("b/2.jsonl", "a/1.jsonl.gz", "a/.hidden.jsonl", "a/other.csv"):
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        data = b'{"n": 1}\n'
        path.write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    wanted = ["a/1.jsonl.gz:1", "b/2.jsonl:1"]
    assert [record.where for record in read("jsonl", tmp_path / "data")] == wanted
    assert [record.where for record in read("jsonl", tmp_path / "data" / "*" / "[12].jsonl*")] == wanted
    monkeypatch.chdir(tmp_path)
    assert [record.where for record in read("jsonl", Path("data/**/[12].jsonl*"))] == wanted


def test_a_missing_file_is_named_with_its_neighbour(tmp_path: Path) -> None:
    (tmp_path / "dolly.jsonl.gz").touch()
    with pytest.raises(DataError) as caught:
        read("jsonl", tmp_path / "doly.jsonl.gz")
    assert "dolly.jsonl.gz" in caught.value.problems[0].fix
    for path in (tmp_path / "none" / "x.jsonl", tmp_path / "*.csv", tmp_path / "empty"):
        (tmp_path / "empty").mkdir(exist_ok=True)
        with pytest.raises(DataError):
            read("jsonl", path)


def test_a_budget_of_tokens_cannot_end_within_a_converted_record() -> None:
    with pytest.raises(ValueError, match="max_rows"):
        JsonLines(path="x.jsonl", convert="reading_comprehension", max_tokens=100)  # type: ignore[arg-type]
