"""Content-addressed folders under the home, written atomically, and digests of files that are read once.

Light on purpose: a plan whose data is cached imports nothing heavier than this.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from framework.paths import home

_BLOCK = 1 << 20
_RACY_SECONDS = 2.0
"""A file younger than this may change again within one tick of its time stamp: its digest is not remembered."""
_STALE_SECONDS = 24 * 3600.0


def key_of(value: Any) -> str:
    """A hash of a value made of JSON types, the same in every process."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def file_digest(path: Path) -> str:
    """SHA-256 of a file's content, remembered by path, size, modification time and inode."""
    stat = path.stat()
    stamp = [str(path), stat.st_size, stat.st_mtime_ns, stat.st_ino]
    note = home() / "cache" / "digests" / key_of(str(path))
    try:
        known = json.loads(note.read_text(encoding="utf-8"))
        if known["stamp"] == stamp:
            return str(known["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        pass  # unknown or damaged: read the file again
    digest = hashlib.sha256()
    with path.open("rb") as handle:
        while block := handle.read(_BLOCK):
            digest.update(block)
    if time.time() - stat.st_mtime > _RACY_SECONDS:
        write_text(note, json.dumps({"stamp": stamp, "sha256": digest.hexdigest()}))
    return digest.hexdigest()


def write_text(path: Path, text: str) -> None:
    """Write a small file so that readers see the old content or the new, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    beside.write_text(text, encoding="utf-8")
    os.replace(beside, path)


def publish(target: Path, build: Callable[[Path], None]) -> Path:
    """Build a folder beside ``target`` and rename it there; an existing ``target`` is left alone and used.

    Safe against a kill at any point and against others that build the same folder at the same time: the first rename
    wins, the others throw their own work away.
    """
    if target.is_dir():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    _sweep(target.parent)
    beside = target.parent / f".{target.name}.{uuid.uuid4().hex}"
    beside.mkdir()
    try:
        build(beside)
        for path in beside.iterdir():
            _fsync(path)
        _fsync(beside)
        os.rename(beside, target)
    except OSError as error:
        shutil.rmtree(beside, ignore_errors=True)
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST) or not target.is_dir():
            raise
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    else:
        _fsync(target.parent)
    return target


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sweep(folder: Path) -> None:
    """Remove what killed processes left behind more than a day ago."""
    for entry in folder.glob(".*"):
        try:
            if time.time() - entry.stat().st_mtime > _STALE_SECONDS:
                shutil.rmtree(entry, ignore_errors=True)
        except OSError:
            continue  # another process swept it
