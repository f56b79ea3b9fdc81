"""Files that are whole or not there: atomic writes, checksums, records appended line by line."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def write_text(path: Path, text: str) -> None:
    """Replace a file in one step, so that a reader sees the old or the new text, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def write_json(path: Path, value: Any) -> None:
    """``write_text`` of indented JSON. Raises ``ValueError`` for NaN and infinities, which JSON does not have."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Parsed JSON."""
    return json.loads(path.read_text(encoding="utf-8"))


def append_json(path: Path, record: dict[str, Any]) -> None:
    """Add a line. A single write to a file opened for appending, so lines of several processes do not mingle.

    A line that a killed process left unfinished is ended first.
    """
    line = (json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n").encode()
    with path.open("a+b", buffering=0) as file:
        end = file.seek(0, os.SEEK_END)
        if end and os.pread(file.fileno(), 1, end - 1) != b"\n":
            line = b"\n" + line
        file.write(line)


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The records of a file of JSON lines; a line that was cut off while being written is left out."""
    if not path.exists():
        return []
    records: list[dict[str, Any]] = []
    for line in path.read_bytes().splitlines():
        try:
            records.append(json.loads(line))
        except ValueError:
            continue
    return records


def sha256(path: Path) -> str:
    """Hex digest of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def manifest(folder: Path) -> dict[str, str]:
    """Digest of every file below a folder, by relative path."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): sha256(path) for path in files}


_STALE_SECONDS = 24 * 3600.0


@contextmanager
def new_folder(path: Path) -> Generator[Path]:
    """A temporary folder beside ``path`` that takes its name when the block ends well and is removed otherwise.

    Safe against a kill at any point. When another process was first, its folder stays and this one is dropped: the
    content of such folders is decided by their name.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _sweep(path.parent)
    temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    temporary.chmod(0o755)
    held = os.open(temporary, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # not every network file system has locks
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield temporary
        for file in [*temporary.rglob("*"), temporary]:
            sync(file)
        try:
            temporary.rename(path)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST) or not path.is_dir():
                raise
        sync(path.parent)
    finally:
        os.close(held)
        shutil.rmtree(temporary, ignore_errors=True)


def sync(path: Path) -> None:
    """Have the operating system write a file or a folder's entries to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sweep(folder: Path) -> None:
    """Remove what killed processes left behind. Its maker's lock keeps one in use safe, whatever the clock says."""
    for entry in folder.glob(".*"):
        with contextlib.suppress(OSError):  # another process swept it, or holds it
            if not entry.is_dir() or time.time() - entry.stat().st_mtime < _STALE_SECONDS:
                continue
            descriptor = os.open(entry, os.O_RDONLY)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(entry, ignore_errors=True)
            finally:
                os.close(descriptor)
