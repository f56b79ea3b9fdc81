"""A hub on this machine: enough of its HTTP interface for listing a data set's files and fetching them."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha1
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlparse

import pytest

COMMIT = "e6281661ce1c48d982bc483cf8a173c1bbeb5d31"


@dataclass
class FakeHub:
    """What the hub holds, how it misbehaves, and what it was asked."""

    address: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    gated: bool = False
    token: str = ""
    """Who sends this may read what is gated."""
    page: int = 2
    """Files a page of the listing."""
    cut: int = 0
    """So many answers with content break off in the middle."""
    asked: list[str] = field(default_factory=list)
    commit: str = COMMIT
    """What it says that its files are of."""
    sent: int = 0
    """Bytes of content."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: FakeHub

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        address = urlparse(self.path)
        self.hub.asked.append(f"{self.command} {address.path}")
        parts = unquote(address.path).strip("/").split("/")
        if parts[:2] == ["api", "datasets"] and parts[4] == "tree":
            self._checked(parts[2:4], parts[5], lambda: self._tree(address.query, address.path))
        elif parts[0] == "datasets" and parts[3] == "resolve":
            self._checked(parts[1:3], parts[4], lambda: self._file("/".join(parts[5:])), content=True)
        else:
            self._refuse(404, "RepoNotFound")

    def _checked(self, name: list[str], revision: str, serve: object, content: bool = False) -> None:
        allowed = self.hub.token and self.headers.get("Authorization") == f"Bearer {self.hub.token}"
        if name != ["org", "rows"]:
            self._refuse(401, "RepoNotFound")
        elif revision != COMMIT:
            self._refuse(404, "RevisionNotFound")
        elif content and self.hub.gated and not allowed:
            self._refuse(401, "GatedRepo")
        else:
            serve()  # type: ignore[operator]

    def _refuse(self, status: int, code: str) -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("X-Error-Message", f"{code}: no")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _tree(self, query: str, path: str) -> None:
        start = int(parse_qs(query).get("cursor", ["0"])[0])
        names = sorted(self.hub.files)
        entries = [
            {
                "type": "file",
                "path": name,
                "size": len(self.hub.files[name]),
                "oid": sha1(self.hub.files[name]).hexdigest(),
            }
            for name in names[start : start + self.hub.page]
        ]
        folders = sorted({name.rpartition("/")[0] for name in names} - {""}) if not start else []
        entries += [{"type": "directory", "path": folder, "size": 0, "oid": "0" * 40} for folder in folders]
        body = json.dumps(entries).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if start + self.hub.page < len(names):
            following = f"{self.hub.address}{path}?recursive=true&cursor={start + self.hub.page}"
            self.send_header("Link", f'<{following}>; rel="next"')
        self.end_headers()
        self.wfile.write(body)

    def _file(self, name: str) -> None:
        if name not in self.hub.files:
            return self._refuse(404, "EntryNotFound")
        content = self.hub.files[name]
        first, _, last = self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")
        begin, end = int(first), int(last) + 1 if last else len(content)
        self.send_response(206 if "Range" in self.headers else 200)
        self.send_header("ETag", f'"{sha1(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", self.hub.commit)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Range", f"bytes {begin}-{end - 1}/{len(content)}")
        self.send_header("Content-Length", str(end - begin))
        self.end_headers()
        if self.command == "HEAD":
            return None
        part = content[begin:end]
        if self.hub.cut:
            self.hub.cut -= 1
            self.wfile.write(part[: len(part) // 2])
            self.wfile.flush()
            self.connection.close()
            self.close_connection = True
            return None
        for place in range(0, len(part), 1 << 14):
            try:
                self.wfile.write(part[place : place + (1 << 14)])
            except OSError:  # the reader has enough
                self.close_connection = True
                return None
            self.hub.sent += len(part[place : place + (1 << 14)])
        return None


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Caches of a test are its own."""
    monkeypatch.setenv("TRIPTYCH_HOME", str(tmp_path / "home"))


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    """A running hub, which the library takes for the real one; its cache is empty."""
    from huggingface_hub import constants

    made = FakeHub()
    handler = type("Handler", (_Handler,), {"hub": made})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    made.address = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(constants, "ENDPOINT", made.address)
    template = made.address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub-cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    yield made
    server.shutdown()
    server.server_close()
