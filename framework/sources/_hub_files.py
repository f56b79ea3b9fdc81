"""Files of the Hugging Face hub at a commit: listed once, fetched whole or read as they come."""

from __future__ import annotations

import io
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import IO, Any, Literal
from urllib.parse import urlparse
from urllib.request import getproxies

from framework.errors import DataError, Problem
from framework.files import read_json, write_json
from framework.paths import home

_PATIENCE = 3.0
"""Seconds to wait for the hub to answer."""
_BUFFER = 1 << 18
_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Repository:
    """A data set on the hub at one commit. Its methods raise ``DataError`` with the remedy."""

    id: str
    commit: str

    def paths(self) -> dict[str, int]:
        """Every file with its size in bytes; kept under the home, since a commit does not change."""
        identity = f"{_endpoint()} {self.id} {self.commit}"
        note = home() / "cache" / "hub" / f"{sha256(identity.encode()).hexdigest()[:32]}.json"
        try:
            return {str(path): int(size) for path, size in read_json(note).items()}
        except (OSError, ValueError, TypeError, AttributeError):
            found = self._list()
        write_json(note, found)
        return found

    def fetch(self, path: str) -> Path:
        """A file on this machine, from the cache that all tools of the hub share or fetched into it."""
        from huggingface_hub import hf_hub_download

        where: dict[str, Any] = {"repo_type": "dataset", "revision": self.commit, "endpoint": _endpoint()}
        if found := self.cached(path):
            return found
        self.reach(path)
        try:
            hf_hub_download(self.id, path, etag_timeout=_PATIENCE, **where)
        except Exception as error:  # the library and the one below it raise of many kinds, by version
            raise self.out_of_reach(error) from error
        found = self.cached(path)
        if found is None:  # the library files what it gets under the commit that the hub says it is of
            raise self.out_of_reach(OSError(f"it sends {path} of another commit"))
        return found

    def cached(self, path: str) -> Path | None:
        """A file that was fetched before."""
        from huggingface_hub import try_to_load_from_cache

        try:
            found = try_to_load_from_cache(self.id, path, repo_type="dataset", revision=self.commit)
        except ValueError as error:
            raise self.out_of_reach(error) from error
        # A branch may be called like the hash of a commit: the library would follow it.
        return Path(found) if isinstance(found, str) and self.commit in Path(found).parts else None

    def get(self, path: str, start: int) -> Iterator[bytes]:
        """A file's bytes from a place on. Network errors are raised as they are."""
        from huggingface_hub import hf_hub_url
        from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status

        address = hf_hub_url(self.id, path, repo_type="dataset", revision=self.commit, endpoint=_endpoint())
        headers = {**build_hf_headers(), "Accept-Encoding": "identity", "Range": f"bytes={start}-"}
        with get_session().stream("GET", address, headers=headers, timeout=10 * _PATIENCE) as answer:
            hf_raise_for_status(answer)
            if answer.headers.get("X-Repo-Commit", self.commit) != self.commit:
                raise OSError(f"it sends {path} of another commit")
            if start and answer.status_code != 206:
                raise OSError("the hub sends no part of a file")
            yield from answer.iter_bytes(_BUFFER)

    def _list(self) -> dict[str, int]:
        from huggingface_hub import HfApi
        from huggingface_hub.hf_api import RepoFile

        self.reach(None)
        try:
            tree = HfApi(endpoint=_endpoint()).list_repo_tree(
                self.id, recursive=True, revision=self.commit, repo_type="dataset"
            )
            found = {entry.path: entry.size for entry in tree if isinstance(entry, RepoFile)}
            "".join(found).encode()
        except Exception as error:  # as above, and a name that is no text
            raise self.out_of_reach(error) from error
        return found

    def reach(self, path: str | None) -> None:
        """Say at once that the hub cannot be reached, instead of after the library's retries.

        Behind a proxy nothing is tried, since the hub's name need not resolve there.
        """
        from huggingface_hub import constants

        what = path or "its list of files"
        if constants.HF_HUB_OFFLINE:
            raise self.out_of_reach(OSError(f"{what} is not on this machine, and HF_HUB_OFFLINE is set"))
        host = urlparse(_endpoint())
        if getproxies():
            return
        try:
            port = host.port or (80 if host.scheme == "http" else 443)
            socket.create_connection((host.hostname or "", port), timeout=_PATIENCE).close()
        except OSError as error:
            said = error.strerror or str(error)
            raise self.out_of_reach(OSError(f"{what} is not on this machine, and {_endpoint()}: {said}")) from error

    def out_of_reach(self, error: Exception) -> DataError:
        """What to say of an error."""
        return DataError([_explained(f"{self.id} at {self.commit[:12]}", error)])


@dataclass(frozen=True, slots=True)
class Whole:
    """A file on the hub that is fetched when it is opened."""

    repository: Repository
    path: str

    def open(self, mode: Literal["rb"], /) -> IO[bytes]:
        """A new handle at the start."""
        return self.repository.fetch(self.path).open(mode)


@dataclass(frozen=True, slots=True)
class Stream:
    """A file on the hub that is read as it comes, unless it was fetched before.

    A network that fails is a ``DataError``, never the end of the file.
    """

    repository: Repository
    path: str
    size: int

    def open(self, mode: Literal["rb"], /) -> IO[bytes]:
        """A new handle at the start."""
        found = self.repository.cached(self.path)
        return found.open(mode) if found else io.BufferedReader(_Remote(self), _BUFFER)  # type: ignore[return-value]


class _Remote(io.RawIOBase):
    """Reads on from where it is with one request; seeking elsewhere begins another."""

    def __init__(self, file: Stream) -> None:
        self._file = file
        self._at = 0
        self._coming: Iterator[bytes] | None = None
        self._held = b""
        file.repository.reach(file.path)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._file.size}[whence]
        if start + offset != self._at:
            self._at, self._coming, self._held = max(0, start + offset), None, b""
        return self._at

    def readinto(self, buffer: Any, /) -> int:
        failed = 0
        while not self._held:
            if self._at >= self._file.size:
                return 0
            try:
                self._coming = self._coming or self._file.repository.get(self._file.path, self._at)
                self._held = next(self._coming, b"")
                if not self._held:
                    raise OSError(f"{self._file.path} ends after {self._at} of {self._file.size} bytes")
            except Exception as error:  # see Repository.fetch
                self._coming = None
                failed += 1
                if failed == _ATTEMPTS:
                    raise self._file.repository.out_of_reach(error) from error
        count = min(len(buffer), len(self._held))
        buffer[:count] = self._held[:count]
        self._held = self._held[count:]
        self._at += count
        return count


def _endpoint() -> str:
    from huggingface_hub import constants

    return constants.ENDPOINT


def _explained(what: str, error: Exception) -> Problem:
    from huggingface_hub import errors

    said = " ".join((str(error).strip() or type(error).__name__).split())[:300]
    message = f"{what} cannot be read from the hub: {said}"
    if isinstance(error, errors.GatedRepoError):
        return Problem("id", message, "ask for access on the data set's page, and set HF_TOKEN")
    if isinstance(error, errors.RevisionNotFoundError):
        return Problem("revision", message, "copy the hash of a commit from the data set's page, Files, History")
    if isinstance(error, errors.RepositoryNotFoundError):
        return Problem("id", message, "check the id; for a private data set set HF_TOKEN")
    fix = "check the id and the network (or HF_HUB_OFFLINE); or save the rows to a file and name it: kind: jsonl"
    return Problem("id", message, fix)
