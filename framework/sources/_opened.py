"""Opening what holds rows: decompression, lines of bounded length, text, and what to say when it breaks off."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import IO, Any, Literal, Protocol

from framework.errors import DataError, Problem
from framework.sources.base import Bad

MAX_ROW = 64 << 20
"""Bytes of the longest line or row that is read; a longer one is left out and counted, not held in memory."""
_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_BLOCK = 1 << 18
_PIECE = 1 << 9
"""Compressed bytes taken at a time: a Zstandard block of 4 bytes may stand for 128 KiB, so that these are 16 MiB."""
BOM = b"\xef\xbb\xbf"
_WIDE = (b"\xff\xfe", b"\xfe\xff")


class Readable(Protocol):
    """What can be opened and read from its start, such as a path; files on the hub are others."""

    def open(self, mode: Literal["rb"], /) -> IO[bytes]:
        """A new handle at the start."""
        ...


class UnreadableError(Exception):
    """The rest of a file cannot be read; the message is the countable reason."""


def open_bytes(file: Readable) -> IO[bytes]:
    """A file's content, decompressed by what its first bytes say. Raises ``UnreadableError``."""
    try:
        raw = file.open("rb")
        head = raw.read(4)
        raw.seek(0)
    except OSError as error:
        raise UnreadableError(f"cannot be opened ({error.strerror or type(error).__name__})") from error
    if head.startswith(_GZIP):
        return io.BufferedReader(gzip.GzipFile(fileobj=raw), _BLOCK)  # type: ignore[arg-type]
    if head == _ZSTD:
        return io.BufferedReader(_Zstd(raw), _BLOCK)
    return raw


def lines(file: Readable) -> Iterator[bytes]:
    """A file's lines with their ends, without the byte-order mark; ``UnreadableError`` where the file breaks off.

    Of a line over ``MAX_ROW`` bytes the first ``MAX_ROW + 1`` alone are given, which ``decode`` refuses.
    """
    first = True
    with open_bytes(file) as handle, reading():
        while line := handle.readline(MAX_ROW + 1):
            rest = line
            while len(rest) > MAX_ROW and not rest.endswith(b"\n"):
                rest = handle.readline(MAX_ROW + 1)
            if first:
                refuse_wide(line)
                line = line.removeprefix(BOM)
                first = False
            yield line


def refuse_wide(start: bytes) -> None:
    """Raises ``UnreadableError`` for a file that starts with the byte-order mark of UTF-16 or UTF-32."""
    if start.startswith(_WIDE):
        raise UnreadableError("file is UTF-16 or UTF-32, not UTF-8")


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
    """A line's text; ``Bad`` for one that is too long, has a null byte, or is not UTF-8."""
    if len(line) > MAX_ROW:
        return Bad(too_long(), where)
    if b"\0" in line:
        return Bad("null byte", where)
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        return Bad("not UTF-8", where)


def too_long() -> str:
    """The reason for a row that is over the limit."""
    return f"longer than {MAX_ROW >> 20} MiB"


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
        self._waiting = b""
        self._ready = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        while not self._ready:
            self._waiting = self._waiting or self._raw.read(_BLOCK)
            if not self._waiting:
                if self._frame is not None:
                    raise EOFError("truncated")
                return 0
            piece, self._waiting = self._waiting[:_PIECE], self._waiting[_PIECE:]
            self._ready = memoryview(self._feed(piece))
        count = min(len(buffer), len(self._ready))
        buffer[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count

    def _feed(self, piece: bytes) -> bytes:
        if self._frame is None:
            self._frame = self._library.ZstdDecompressor().decompressobj()
        try:
            out: bytes = self._frame.decompress(piece)
        except self._library.ZstdError as error:
            raise UnreadableError("file is damaged") from error
        if self._frame.eof:
            self._waiting = self._frame.unused_data + self._waiting
            self._frame = None
        return out

    def close(self) -> None:
        self._raw.close()
        super().close()
