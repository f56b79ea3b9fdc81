"""Content-addressed folders under the home, written atomically, and digests of files that are read once.

Light on purpose: a plan whose data is cached imports nothing heavier than this.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from framework.files import new_folder, sha256, write_text
from framework.paths import home

_RACY_SECONDS = 2.0
"""A file younger than this may change again within one tick of its time stamp: its digest is not remembered."""


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
    digest = sha256(path)
    if time.time() - stat.st_mtime > _RACY_SECONDS:
        write_text(note, json.dumps({"stamp": stamp, "sha256": digest}))
    return digest


def publish(target: Path, build: Callable[[Path], None]) -> Path:
    """Build a folder beside ``target`` and rename it there; an existing ``target`` is left alone and used."""
    if not target.is_dir():
        with new_folder(target) as folder:
            build(folder)
    return target
