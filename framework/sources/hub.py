"""Data sets of the Hugging Face hub, at a pinned revision."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlparse
from urllib.request import getproxies

from pydantic import Field, field_validator

from framework.errors import DataError, Problem
from framework.sources.base import Bad, Record, Source

_PATIENCE = 3.0
"""Seconds to wait for the hub to answer."""
_BRANCHES = ("main", "master", "HEAD")


class Hub(Source):
    """A data set by id. Loading scripts never run: data sets that need one are refused."""

    kind: Literal["hub"] = "hub"
    id: str = Field(min_length=1)
    revision: str = Field(pattern=r"^[0-9a-f]{40}$")
    """The full hash of a commit. A branch or tag moves, and the same plan would train on other data tomorrow."""
    subset: str | None = None
    split: str = "train"
    streaming: bool | None = None
    """Read rows as they come instead of fetching all files; the default does so when ``max_rows`` is set."""

    @field_validator("revision")
    @classmethod
    def _pinned(cls, value: str) -> str:
        if value in _BRANCHES:
            raise ValueError(f"{value!r} moves; give a commit or a tag")
        return value

    def files(self) -> list[Path]:
        """None on this machine: the revision stands for the content."""
        return []

    def records(self) -> Iterator[Record | Bad]:
        """All records in order."""
        rows = islice(self._open(), self.max_rows)
        number = 0
        while True:
            number += 1
            try:
                row = next(rows, None)
            except (OSError, ValueError, RuntimeError) as error:
                raise self._out_of_reach(error) from error
            if row is None:
                return
            yield Record(dict(row), f"{self.id}:{number}")

    def _open(self) -> Iterator[Any]:
        try:
            import datasets
        except ImportError as error:
            fix = "pip install datasets"
            raise DataError([Problem("kind", "reading from the hub needs the package datasets", fix)]) from error
        streaming = self.max_rows is not None if self.streaming is None else self.streaming
        _offline_when_unreachable(datasets)
        patience = {} if streaming else {"download_config": datasets.DownloadConfig(max_retries=1)}
        load: Any = datasets.load_dataset
        where = {"split": self.split, "revision": self.revision, "streaming": streaming}
        try:
            return iter(load(self.id, self.subset, **where, **patience))
        except (OSError, ValueError, RuntimeError) as error:
            raise self._out_of_reach(error) from error

    def _out_of_reach(self, error: Exception) -> DataError:
        said = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        fix = (
            "check id, subset, split and revision, and the network (or HF_HUB_OFFLINE); "
            "or save the rows to a file and use kind: jsonl"
        )
        return DataError([Problem("id", f"{self.id} at {self.revision} cannot be read from the hub: {said}", fix)])


def _offline_when_unreachable(datasets: Any) -> None:
    """Go offline at once where the hub cannot be reached: a cached data set still loads, others fail without retries.

    Behind a proxy nothing is tried, since the hub's name need not resolve there.
    """
    if getproxies() or datasets.config.HF_HUB_OFFLINE:
        return
    host = urlparse(datasets.config.HF_ENDPOINT)
    try:
        socket.create_connection((host.hostname or "", host.port or 443), timeout=_PATIENCE).close()
    except OSError:
        import huggingface_hub

        datasets.config.HF_HUB_OFFLINE = True
        huggingface_hub.constants.HF_HUB_OFFLINE = True


COMPONENT = Hub
