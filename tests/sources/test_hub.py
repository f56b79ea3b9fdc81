"""The hub source: a pinned revision, rows whole or as they come, and a message for whatever stands in the way."""

from __future__ import annotations

import gzip
import io
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from framework.data.load import fingerprint, load
from framework.errors import DataError, Problem
from framework.paths import PROJECT
from framework.sources.hub import Hub

from .conftest import COMMIT, FakeHub

ROWS = [{"instruction": f"ask {n}", "response": f"say {n} é"} for n in range(20)]


def lines(rows: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def parquet(rows: list[dict[str, Any]], group: int = 5) -> bytes:
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), sink, row_group_size=group)
    return sink.getvalue()


def sheet(delimiter: str) -> bytes:
    return "\n".join(delimiter.join(row) for row in [list(ROWS[0]), *(list(row.values()) for row in ROWS)]).encode()


def source(**settings: Any) -> Hub:
    return Hub(**{"id": "org/rows", "revision": COMMIT, **settings})


def said(made: Hub) -> Problem:
    with pytest.raises(DataError) as caught:
        load("x", made, "data.instruct.sources.x")
    (problem,) = caught.value.problems
    assert problem.fix and problem.path.startswith("data.instruct.sources.x.")
    return problem


@pytest.fixture
def filled(hub: FakeHub) -> FakeHub:
    hub.files = {
        "README.md": b"# Rows without metadata",
        ".gitattributes": b"",
        "data/train-00000-of-00002.parquet": parquet(ROWS[:12]),
        "data/train-00001-of-00002.parquet": parquet(ROWS[12:]),
        "data/test-00000-of-00001.parquet": parquet(ROWS[:1]),
    }
    return hub


@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("train.jsonl", lines(ROWS)),
        ("train.jsonl.gz", gzip.compress(lines(ROWS))),
        ("train.json", json.dumps(ROWS).encode()),
        ("train.csv", sheet(",")),
        ("train.tsv", sheet("\t")),
        ("train.parquet", parquet(ROWS)),
    ],
)
def test_every_kind_of_file_gives_the_same_rows(hub: FakeHub, name: str, content: bytes, streaming: bool) -> None:
    hub.files = {name: content}
    found = load("x", source(streaming=streaming))
    assert [row.turns[1].content for row in found.rows] == [row["response"] for row in ROWS]  # type: ignore[attr-defined]
    assert found.rows[0].id.startswith(f"{name}:") and found.format == "instruction"


def test_splits_and_pages(filled: FakeHub) -> None:
    assert len(load("x", source()).rows) == 20
    assert [row.id for row in load("x", source(split="test")).rows] == ["data/test-00000-of-00001.parquet:1"]
    assert said(source(split="dev")).fix == "its splits are test, train"
    trees = [asked for asked in filled.asked if "/tree/" in asked]
    assert len(trees) == 3  # the pages of one listing; it is kept


def test_bad_rows_are_counted_as_of_any_file(hub: FakeHub) -> None:
    hub.files = {"train.jsonl": lines(ROWS[:2]) + b"{\n" + lines(ROWS[2:4])}
    found = load("x", source(max_bad_rows=1))
    assert len(found.rows) == 4 and found.dropped["invalid JSON"].first == "train.jsonl:3"


def test_a_bound_reads_no_more_than_it_needs(hub: FakeHub) -> None:
    many = [{"text": f"row {n} " + "x" * 1000} for n in range(20_000)]
    hub.files = {"a/train.jsonl": lines(many), "b/train.jsonl": lines(many)}
    found = load("x", source(max_rows=30))
    assert [row.id for row in found.rows] == [f"a/train.jsonl:{n}" for n in range(1, 31)]
    assert hub.sent < len(hub.files["a/train.jsonl"]) / 2
    assert not any("b/train" in asked for asked in hub.asked)
    whole = load("x", source(max_rows=30, streaming=False))
    assert whole.rows == found.rows and whole.fingerprint == found.fingerprint


def test_what_breaks_off_is_gone_on_with(hub: FakeHub) -> None:
    hub.files = {"train.jsonl.gz": gzip.compress(lines(ROWS * 50), 1)}
    hub.cut = 2
    assert len(load("x", source(streaming=True)).rows) == 1000
    hub.cut = 10_000
    # A network that fails is no bad row of the file, however many of those are allowed.
    assert "cannot be read from the hub" in said(source(streaming=True, max_bad_rows=1000)).message


def test_warm_cache_needs_no_hub(filled: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    first = load("x", source())
    asked = len(filled.asked)
    assert load("x", source()) == first and len(filled.asked) == asked
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert load("x", source()) == first
    assert load("x", source(max_rows=3)).rows == first.rows[:3]  # a stream finds what was fetched
    assert "HF_HUB_OFFLINE is set" in said(source(split="test")).message


def test_cold_and_out_of_reach_is_said_at_once(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    for streaming in (True, False):
        for endpoint in (f"http://127.0.0.1:{port}", "http://hub.invalid"):
            monkeypatch.setattr(constants, "ENDPOINT", endpoint)
            began = time.monotonic()
            problem = said(source(streaming=streaming))
            assert time.monotonic() - began < 5
            assert "not on this machine" in problem.message and "jsonl" in problem.fix
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert "HF_HUB_OFFLINE is set" in said(source()).message


@pytest.mark.parametrize("streaming", [True, False])
def test_refusals_have_remedies(filled: FakeHub, streaming: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = said(source(id="org/other", streaming=streaming))
    assert missing.path.endswith(".id") and "HF_TOKEN" in missing.fix
    unknown = said(source(revision="0" * 40, streaming=streaming))
    assert unknown.path.endswith(".revision") and "commit" in unknown.fix
    filled.files.pop("README.md")
    filled.gated = True
    filled.token = "hf_abcdefgh"
    assert "ask for access" in said(source(streaming=streaming)).fix
    monkeypatch.setenv("HF_TOKEN", filled.token)
    assert len(load("x", source(streaming=streaming)).rows) == 20


def test_files_of_another_commit_are_refused(filled: FakeHub) -> None:
    filled.commit = "1" * 40
    assert "of another commit" in said(source()).message
    assert "of another commit" in said(source(streaming=True, path="data/train*")).message


def test_names_that_are_no_text_are_refused(hub: FakeHub) -> None:
    hub.files = {"train\ud800.jsonl": lines(ROWS)}
    assert "cannot be read from the hub" in said(source()).message


def test_a_token_is_in_no_message(filled: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_wrongwrongwrong")
    filled.gated = True
    assert "wrongwrong" not in str(said(source()))


def test_through_the_environment_as_users_set_it(filled: FakeHub, tmp_path: Path) -> None:
    code = (
        "from framework.data.load import load\nfrom framework.sources.hub import Hub\n"
        f"print(len(load('x', Hub(id='org/rows', revision='{COMMIT}')).rows))"
    )
    given = {"HF_ENDPOINT": filled.address, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_DISABLE_TELEMETRY": "1"}
    environment = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    command = [sys.executable, "-c", code]
    ran = subprocess.run(command, env={**environment, **given}, cwd=PROJECT, capture_output=True, text=True, timeout=60)
    assert (ran.returncode, ran.stdout) == (0, "20\n"), ran.stderr


def test_a_directory_is_laid_out_like_one(tmp_path: Path) -> None:
    card = "---\nconfigs:\n- config_name: a\n  data_files:\n  - split: train\n    path: rows/*.jsonl\n---\n"
    (tmp_path / "rows").mkdir()
    (tmp_path / "README.md").write_text(card)
    (tmp_path / "rows" / "1.jsonl").write_bytes(lines(ROWS[:3]))
    (tmp_path / "other.csv").write_text("a,b\n")
    made = Hub(id=str(tmp_path))
    assert [row.id for row in load("x", made).rows] == [f"rows/1.jsonl:{n}" for n in (1, 2, 3)]
    first = fingerprint(made)
    (tmp_path / "other.csv").write_text("c,d\n")
    assert fingerprint(made) == first
    (tmp_path / "rows" / "1.jsonl").write_bytes(lines(ROWS[:4]))
    assert fingerprint(made) != first
    copied = shutil.copytree(tmp_path, tmp_path / "copied")
    assert fingerprint(Hub(id=str(copied))) == fingerprint(made)
    shutil.rmtree(copied)
    assert said(Hub(id=str(tmp_path), split="dev")).fix == "its splits are train"
    assert "no directory" in said(Hub(id=str(tmp_path / "none"))).message
    (tmp_path / "rows" / "2.jsonl").symlink_to("/etc/passwd")
    assert "leads out of the folder" in said(made).message


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"revision": "main"}, "full hash of a commit"),
        ({"revision": "v1.0"}, "full hash of a commit"),
        ({"revision": COMMIT[:12]}, "full hash of a commit"),
        ({"revision": None}, "revision is required"),
        ({"id": "rows"}, "ORGANISATION/NAME"),
        ({"id": "https://huggingface.co/datasets/org/rows"}, "ORGANISATION/NAME"),
        ({"id": "./rows"}, "a directory has no revision"),
        ({"path": "*.csv", "split": "test"}, "path stands for subset and split"),
        ({"trust_remote_code": True}, "Extra inputs"),
    ],
)
def test_settings_that_pin_nothing_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        source(**settings)
