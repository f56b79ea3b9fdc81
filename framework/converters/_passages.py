"""Texts cut into passages: whole paragraphs while they fit, then whole sentences, then words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

from framework.converters._language import heading, inline_heading, is_prose, paragraphs, sentences, size

SIZE_A_WORD = 1.5
"""Size (see ``size``) that a passage may have for each of its words; denser text, such as tables, gets fewer words."""
_BREAK = "\n\n"
_CUT = 14
"""Characters that any passage has room for: one is of size two at most."""


@dataclass(frozen=True)
class Passage:
    """Part of a text, as paragraphs."""

    paragraphs: tuple[str, ...]

    @cached_property
    def text(self) -> str:
        """The whole passage."""
        return _BREAK.join(self.paragraphs)

    @cached_property
    def flow(self) -> tuple[tuple[str, ...], ...]:
        """By paragraph: its sentences, prose or not, so that neighbours are neighbours."""
        return tuple(tuple(sentences(paragraph)) for paragraph in self.paragraphs)

    @cached_property
    def prose(self) -> tuple[str, ...]:
        """All sentences that are prose, in order."""
        return tuple(sentence for held in self.flow for sentence in held if is_prose(sentence))

    @cached_property
    def title(self) -> tuple[str, str]:
        """The one heading at the start, and the text that must be hidden to ask for it; empty when there is none."""
        found = [(place, title) for place, part in enumerate(self.paragraphs) if (title := heading(part))]
        inline = [(place, *pair) for place, part in enumerate(self.paragraphs) if (pair := inline_heading(part))[0]]
        if len(found) == 1 and found[0][0] == 0 and not inline:
            return found[0][1], self.paragraphs[0]
        if len(inline) == 1 and inline[0][0] == 0 and not found:
            return inline[0][1], inline[0][2]
        return "", ""


def passages(text: str, words: int) -> Iterator[Passage]:
    """The text as passages of at most ``words`` words and ``SIZE_A_WORD`` times as much in size.

    A heading starts a new passage when the present one is at least half full, and never ends one.
    """
    held: list[str] = []
    room = _Room(words)
    for piece, whole in _pieces(text, words):
        title = whole and bool(heading(piece) or inline_heading(piece)[0])
        if held and (not room.fits(piece) or (title and room.half_full)):
            carried = [held.pop()] if len(held) > 1 and heading(held[-1]) else []
            yield Passage(tuple(held))
            held = carried
            room = _Room(words)
            for part in carried:
                room.add(part)
            if held and not room.fits(piece):
                yield Passage(tuple(held))
                held, room = [], _Room(words)
        held.append(piece)
        room.add(piece)
    if held:
        yield Passage(tuple(held))


class _Room:
    """What a passage still takes."""

    def __init__(self, words: int) -> None:
        self._words, self._size = float(words), words * SIZE_A_WORD
        self._used_words, self._used_size = 0, 0

    @property
    def half_full(self) -> bool:
        return self._used_words * 2 >= self._words or self._used_size * 2 >= self._size

    def fits(self, part: str) -> bool:
        # Two for the paragraph break.
        return (
            self._used_words + len(part.split()) <= self._words
            and self._used_size + (2 if self._used_size else 0) + size(part) <= self._size
        )

    def add(self, part: str) -> None:
        self._used_words += len(part.split())
        self._used_size += (2 if self._used_size else 0) + size(part)


def _pieces(text: str, words: int) -> Iterator[tuple[str, bool]]:
    """Paragraphs, or parts of those that are too long by themselves; and whether it is a whole one."""

    def fits(part: str) -> bool:
        return _Room(words).fits(part)

    for paragraph in paragraphs(text):
        if fits(paragraph):
            yield paragraph, True
            continue
        units: list[str] = []
        for sentence in sentences(paragraph):
            units += [sentence] if fits(sentence) else _broken(sentence, fits)
        for joined in _joined(units, fits):
            yield joined, False


def _joined(units: list[str], fits: Callable[[str], bool]) -> Iterator[str]:
    held = ""
    for unit in units:
        wider = f"{held} {unit}" if held else unit
        if held and not fits(wider):
            yield held
            wider = unit
        held = wider
    if held:
        yield held


def _broken(sentence: str, fits: Callable[[str], bool]) -> list[str]:
    """A sentence that is too long by itself, cut between words; a word that is, cut between letters."""
    units: list[str] = []
    for word in sentence.split():
        step = len(word) if fits(word) else _CUT
        units += [word[begin : begin + step] for begin in range(0, len(word), step)]
    return list(_joined(units, fits))
