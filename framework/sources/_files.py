"""What file sources share: finding files, opening them whatever their compression, naming places in them."""

from __future__ import annotations

import difflib
import gzip
import io
import os
import zlib
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, ClassVar

from framework.errors import DataError, Problem
from framework.paths import resolve
from framework.sources.base import Bad, Source

_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_PACKED = (".gz", ".zst")
_BLOCK = 1 << 18
BOM = b"\xef\xbb\xbf"


class UnreadableError(Exception):
    """The rest of a file cannot be read; the message is the countable reason."""


class FileSource(Source):
    """A source whose rows are in files: one file, a folder (all files of the kind below it), or a glob."""

    suffixes: ClassVar[tuple[str, ...]]
    """File names that count in a folder, before ``.gz`` or ``.zst``."""
    path: str

    def files(self) -> list[Path]:
        """The files, sorted. Raises ``DataError`` that names the path and what is near it."""
        if not self.path:
            raise DataError([Problem("path", "no path is given", "set it to a file, a folder or a glob")])
        given = resolve(self.path)
        if given.is_file():
            return [given]
        if given.is_dir():
            found = sorted(path for path in given.rglob("*") if path.is_file() and self._counts(path))
            if not found:
                wanted = ", ".join(self.suffixes)
                raise DataError([Problem("path", f"the folder {given} holds no {wanted} file (plain, .gz or .zst)")])
            return found
        found = _glob(self.path)
        if not found:
            raise DataError([_missing(given)])
        return found

    def places(self) -> list[tuple[Path, str]]:
        """Every file with the short name that rows and messages give it: its path below what all files share."""
        files = self.files()
        if len(files) == 1:
            return [(files[0], files[0].name)]
        root = resolve(self.path)
        if not root.is_dir():
            root = common_folder(files)
        return [(path, path.relative_to(root).as_posix()) for path in files]

    def _counts(self, path: Path) -> bool:
        name = path.name.lower()
        for packed in _PACKED:
            name = name.removesuffix(packed)
        return name.endswith(self.suffixes) and not path.name.startswith(".")


def common_folder(files: Sequence[Path]) -> Path:
    """The deepest folder that all files share; the empty path for no file."""
    return Path(os.path.commonpath([file.parent for file in files])) if files else Path()


def open_bytes(path: Path) -> IO[bytes]:
    """A file's content, decompressed by what its first bytes say. Raises ``UnreadableError``."""
    try:
        raw = path.open("rb")
        head = raw.read(4)
        raw.seek(0)
    except OSError as error:
        raise UnreadableError(f"cannot be opened ({error.strerror})") from error
    if head.startswith(_GZIP):
        return io.BufferedReader(gzip.GzipFile(fileobj=raw), _BLOCK)  # type: ignore[arg-type]
    if head == _ZSTD:
        return io.BufferedReader(_Zstd(raw), _BLOCK)
    return raw


def lines(path: Path) -> Iterator[bytes]:
    """A file's lines with their ends, without the byte-order mark; ``UnreadableError`` where the file breaks off."""
    first = True
    with open_bytes(path) as handle:
        iterator = iter(handle)
        while True:
            with reading():
                line = next(iterator, None)
            if line is None:
                return
            yield line.removeprefix(BOM) if first else line
            first = False


@contextmanager
def reading() -> Generator[None]:
    """Turns what decompressors and disks raise into ``UnreadableError``."""
    try:
        yield
    except EOFError as error:
        raise UnreadableError("file is truncated") from error
    except (zlib.error, gzip.BadGzipFile) as error:
        raise UnreadableError("file is damaged") from error
    except OSError as error:
        raise UnreadableError(f"cannot be read ({error.strerror or error})") from error


def decode(line: bytes, where: str) -> str | Bad:
    """A line's text; ``Bad`` for a null byte or bytes that are not UTF-8."""
    if b"\0" in line:
        return Bad("null byte", where)
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        return Bad("not UTF-8", where)


class _Zstd(io.RawIOBase):
    """Decompresses Zstandard frames; unlike the library's own reader it notices a truncated file."""

    def __init__(self, raw: IO[bytes]) -> None:
        try:
            import zstandard
        except ImportError as error:
            raise DataError(
                [Problem("path", "reading .zst files needs the package zstandard", "pip install zstandard")]
            ) from error
        self._raw = raw
        self._library = zstandard
        self._frame: Any = None
        self._ready = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        while not self._ready:
            block = self._raw.read(_BLOCK)
            if not block:
                if self._frame is not None:
                    raise EOFError("truncated")
                return 0
            self._ready = self._feed(block)
        count = min(len(buffer), len(self._ready))
        buffer[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count

    def _feed(self, block: bytes) -> bytes:
        out: list[bytes] = []
        while block:
            if self._frame is None:
                self._frame = self._library.ZstdDecompressor().decompressobj()
            try:
                out.append(self._frame.decompress(block))
            except self._library.ZstdError as error:
                raise UnreadableError("file is damaged") from error
            block = b""
            if self._frame.eof:
                block = self._frame.unused_data
                self._frame = None
        return b"".join(out)

    def close(self) -> None:
        self._raw.close()
        super().close()


def _glob(pattern: str) -> list[Path]:
    given = Path(pattern).expanduser()
    for index, part in enumerate(given.parts):
        if any(mark in part for mark in "*?["):
            base = resolve(str(Path(*given.parts[:index]))) if index else Path.cwd()
            rest = str(Path(*given.parts[index:]))
            return sorted(path for path in base.glob(rest) if path.is_file())
    return []


def _missing(given: Path) -> Problem:
    if any(mark in str(given) for mark in "*?["):
        return Problem("path", f"no file matches {given}", "check the pattern")
    folder = given.parent
    if not folder.is_dir():
        return Problem("path", f"there is no file {given}: its folder does not exist", "check the path")
    near = difflib.get_close_matches(given.name, [entry.name for entry in folder.iterdir()], n=1, cutoff=0.5)
    fix = f"did you mean {near[0]!r} in the same folder?" if near else "check the path"
    return Problem("path", f"there is no file {given}", fix)
