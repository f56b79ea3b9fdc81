"""Finished stages by key, and evaluations by the key of what was measured: found again instead of made again."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any, cast

from framework.files import manifest, new_folder, read_json, write_json
from framework.paths import home

_MANIFEST = "manifest.json"


class Store:
    """Folders under the home: ``store/stages/KEY`` and ``store/evals``."""

    def __init__(self) -> None:
        self._root = home() / "store"

    def _stage(self, key: str) -> Path:
        return self._root / "stages" / key

    def has(self, key: str) -> bool:
        """Whether a finished stage is there; ``fetch`` verifies it."""
        return (self._stage(key) / _MANIFEST).exists()

    def put(self, key: str, folder: Path) -> None:
        """Keep a finished stage: its ``stage.json``, ``metrics.jsonl`` and ``model/``. Raises ``OSError``."""
        if self.has(key):
            return
        with new_folder(self._stage(key)) as temporary:
            for name in ("stage.json", "metrics.jsonl", "model"):
                _link(folder / name, temporary / name)
            write_json(temporary / _MANIFEST, manifest(temporary))

    def fetch(self, key: str, folder: Path) -> dict[str, Any] | None:
        """Put a finished stage into a run's folder and return its ``stage.json``.

        A stage whose files differ from their checksums is removed from the store, and None is returned. Another run may
        remove it at the same time.
        """
        stored = self._stage(key)
        try:
            expected = cast("dict[str, str]", read_json(stored / _MANIFEST))
            found = manifest(stored)
            found.pop(_MANIFEST)
        except (OSError, ValueError, KeyError):
            expected, found = {}, None
        if found != expected:
            shutil.rmtree(stored, ignore_errors=True)
            return None
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("metrics.jsonl", "model"):
            _link(stored / name, folder / name)
        return cast("dict[str, Any]", read_json(stored / "stage.json"))

    def evals(self, state: str, suites: str) -> dict[str, Any] | None:
        """Earlier results of the suites on the model that ``state`` (a stage key or a model's fingerprint) names."""
        path = self._evals(state, suites)
        try:
            return cast("dict[str, Any]", read_json(path))
        except (OSError, ValueError):  # not there, or damaged: measured again
            return None

    def put_evals(self, state: str, suites: str, results: dict[str, Any]) -> None:
        """Keep the results of suites."""
        write_json(self._evals(state, suites), results)

    def _evals(self, state: str, suites: str) -> Path:
        return self._root / "evals" / f"{state[:24]}-{suites}.json"


def _link(source: Path, to: Path) -> None:
    """The same under another name: weights as hard links where the file system has them, small files as copies."""
    if source.is_dir():
        shutil.rmtree(to, ignore_errors=True)
        shutil.copytree(source, to, copy_function=_link_file)
    else:
        shutil.copyfile(source, to)


def _link_file(source: str | Path, to: str | Path) -> None:
    try:
        os.link(source, to)
    except OSError:
        shutil.copyfile(source, to)
