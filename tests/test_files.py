"""Files that are whole or not there."""

from __future__ import annotations

import json
import math
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from framework.files import append_json, manifest, new_folder, read_json, read_lines, sha256, write_json, write_text


def test_writing_replaces_in_one_step(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "a.json"
    write_json(file, {"n": 1, "text": "ü"})
    assert read_json(file) == {"n": 1, "text": "ü"} and "ü" in file.read_text()
    held = file.open()
    write_json(file, {"n": 2})
    assert json.loads(held.read())["n"] == 1, "who reads keeps the old file"
    held.close()
    assert os.stat(file).st_mode & 0o777 == 0o644
    assert [path.name for path in file.parent.iterdir()] == ["a.json"]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a.txt"
    write_text(file, "old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_text(file, "new")
    assert file.read_text() == "old" and list(tmp_path.iterdir()) == [file]


def test_numbers_that_json_does_not_have_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", {"x": math.nan})
    with pytest.raises(ValueError, match="JSON"):
        append_json(tmp_path / "a.jsonl", {"x": math.inf})
    assert not list(tmp_path.iterdir())


def test_lines_that_were_cut_off_are_left_out(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    assert read_lines(file) == []
    for number in range(3):
        append_json(file, {"n": number})
    with file.open("a") as opened:
        opened.write('{"n": 3, "te')
    assert [record["n"] for record in read_lines(file)] == [0, 1, 2]


def test_lines_of_several_writers_do_not_mingle(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: append_json(file, {"n": n, "text": "x" * 500}), range(200)))
    assert sorted(record["n"] for record in read_lines(file)) == list(range(200))


def test_manifests_name_what_changed(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a").write_bytes(b"1")
    (tmp_path / "b").write_bytes(b"2")
    before = manifest(tmp_path)
    assert list(before) == ["b", "deep/a"] and before["b"] == sha256(tmp_path / "b")
    (tmp_path / "deep" / "a").write_bytes(b"3")
    after = manifest(tmp_path)
    assert [name for name in after if after[name] != before[name]] == ["deep/a"]


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "made" / "folder"
    with new_folder(target) as folder:
        (folder / "a").write_text("1")
        assert not target.exists()
    assert (target / "a").read_text() == "1"
    with pytest.raises(FileNotFoundError), new_folder(tmp_path / "made" / "other") as folder:
        (folder / "missing").read_text()
    with new_folder(target) as folder:
        (folder / "a").write_text("second")
    assert (target / "a").read_text() == "1", "the first one stays"
    assert [path.name for path in target.parent.iterdir()] == ["folder"]
