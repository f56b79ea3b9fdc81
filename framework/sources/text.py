"""Plain text files, cut into chunks of whole paragraphs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar, Literal

from pydantic import PositiveInt

from framework.sources._files import FileSource
from framework.sources._opened import Readable, UnreadableError, decode, lines
from framework.sources.base import Bad, Record

_SENTENCE_END = re.compile(r"(?<=[.!?。！？])(?:[\"'”’)\]]*)\s+|(?<=[。！？])")
_BREAK = "\n\n"
_PARAGRAPH = 1 << 20
"""Bytes of a paragraph beyond which its next line begins another: a file without blank lines is not held whole."""


class PlainText(FileSource):
    """Paragraphs (set apart by blank lines) joined up to ``chunk_chars`` characters a row.

    A paragraph is cut only when it is longer than that by itself, and then at sentence ends; a single longer
    sentence stays whole. Lines without a blank one among them are one paragraph up to 1 MiB, and then another begins.
    """

    suffixes: ClassVar[tuple[str, ...]] = (".txt", ".md", ".text")
    kind: Literal["text"] = "text"
    chunk_chars: PositiveInt = 1200

    def read(self, file: Readable, name: str) -> Iterator[Record | Bad]:
        """The file's chunks in order."""
        yield from _chunks(_paragraphs(file, name), name, self.chunk_chars)


def _paragraphs(file: Readable, name: str) -> Iterator[tuple[int, str] | Bad]:
    """Paragraphs with the number of their first line; one with an unreadable line is left out as ``Bad``."""
    held: list[str] = []
    start, number, size, spoiled = 1, 0, 0, False
    try:
        for number, line in enumerate(lines(file), start=1):
            text = decode(line, f"{name}:{number}")
            if isinstance(text, Bad):
                yield text
                spoiled = True
                continue
            if text.strip():
                if not held:
                    start = number
                held.append(text.rstrip())
                size += len(line)
            if size > _PARAGRAPH or not text.strip():
                if held and not spoiled:
                    yield start, "\n".join(held)
                held, size, spoiled = [], 0, spoiled and size > _PARAGRAPH
    except UnreadableError as error:
        yield Bad(str(error), f"{name}:{number + 1}")
    if held and not spoiled:
        yield start, "\n".join(held)


def _chunks(paragraphs: Iterator[tuple[int, str] | Bad], name: str, limit: int) -> Iterator[Record | Bad]:
    held, start = "", 1
    for paragraph in paragraphs:
        if isinstance(paragraph, Bad):
            yield paragraph
            continue
        number, text = paragraph
        for piece in [text] if len(text) <= limit else _sentences(text, limit):
            if held and len(held) + len(_BREAK) + len(piece) > limit:
                yield Record({"text": held}, f"{name}:{start}")
                held = ""
            if not held:
                start = number
            held = f"{held}{_BREAK}{piece}" if held else piece
        if len(text) > limit:  # pieces of one paragraph must not be joined to the next by a paragraph break
            yield Record({"text": held}, f"{name}:{start}")
            held = ""
    if held:
        yield Record({"text": held}, f"{name}:{start}")


def _sentences(text: str, limit: int) -> Iterator[str]:
    """Cut one paragraph at sentence ends into pieces within the limit where sentences allow it."""
    begin, end = 0, 0
    for match in _SENTENCE_END.finditer(text):
        if match.end() - begin > limit and end > begin:
            yield text[begin:end].strip()
            begin = end
        end = match.end()
    if len(text) - begin > limit and end > begin:
        yield text[begin:end].strip()
        begin = end
    if text[begin:].strip():
        yield text[begin:].strip()


COMPONENT = PlainText
