"""A skeleton as pieces to tokenise: control tokens, the template's own text, and stretches with contents to put in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from framework.data.rows import Role
from framework.data.template import RefusedError, Skeleton
from framework.data.vocabulary import Vocabulary


@dataclass(frozen=True, slots=True)
class Piece:
    """Tokens of the template itself (``ids``), or one stretch of text (``parts``)."""

    ids: tuple[int, ...] = ()
    parts: tuple[str | int, ...] = ()
    """Literal text, and numbers of the skeleton's places that stand for their values."""
    bare: bool = False
    """Whether the stretch goes on after other text, so that no space belongs before it."""
    supervised: bool = False
    reply: bool = False
    """Whether an assistant turn starts here."""


def layout(
    skeleton: Skeleton, roles: Sequence[Role], vocabulary: Vocabulary, stops: frozenset[int]
) -> tuple[Piece, ...]:
    """The pieces of a rendering, in order. ``stops`` are the tokens that can end a turn which calls tools.

    Raises ``RefusedError`` when an assistant turn has no stop token or does not stand in one place.
    """
    builder = _Builder(vocabulary)
    speaker: int | None = None
    spoken: set[int] = set()
    for index, literal in enumerate(skeleton.literals):
        turn = skeleton.turns[index] if index < len(skeleton.order) else None
        if speaker is not None and turn != speaker:
            literal = builder.stop(literal, stops if speaker in skeleton.calling else None)
            speaker = None
        if speaker is None and turn in skeleton.opening:
            if turn in spoken:
                raise RefusedError("the template takes an assistant turn apart")
            spoken.add(turn)
            speaker = turn
            opening = skeleton.opening[turn]
            lead = opening if literal.endswith(opening) else ""
            builder.literal(literal.removesuffix(lead))
            builder.flush()
            builder.reply(lead)
        else:
            builder.literal(literal)
        if turn is not None:
            builder.parts.append(index)
    builder.flush()
    return tuple(builder.pieces)


class _Builder:
    """Collects parts into stretches; control tokens and assistant turns end a stretch."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.pieces: list[Piece] = []
        self.parts: list[str | int] = []
        self._vocabulary = vocabulary
        self._after: Literal["nothing", "control", "text"] = "nothing"
        self._speaking = False
        self._starting = False

    def literal(self, text: str) -> None:
        """Add the template's own text."""
        for part in self._vocabulary.split(text):
            if isinstance(part, str):
                self.parts.append(part)
            else:
                self._control(part)

    def reply(self, lead: str) -> None:
        """Start an assistant's stretch, with what the model itself writes first."""
        self._speaking = self._starting = True
        self.literal(lead)

    def stop(self, literal: str, stops: frozenset[int] | None) -> str:
        """End an assistant's stretch with its stop token; the rest of the literal after that token.

        That is the first control token, after white space alone; or the first of ``stops``, after whatever closes a
        call.
        """
        found = self._vocabulary.first_control(literal, stops)
        if found is None or (stops is None and literal[: found.start].strip()):
            raise RefusedError("the template puts no stop token after an assistant turn")
        before = literal[: found.start]
        self.literal(before.rstrip() if found.swallows else before)
        self.flush()
        self._control(found.id)
        self._speaking = False
        rest = literal[found.end :]
        return rest.lstrip() if found.strips else rest

    def flush(self) -> None:
        """End the current stretch. The template's own text is tokenised here, once."""
        if not self.parts:
            return
        first = self._after == "nothing"
        bare = self._after == "text" or not self._vocabulary.takes_prefix(first)
        if all(isinstance(part, str) for part in self.parts):
            text = "".join(str(part) for part in self.parts)
            ids = tuple(self._vocabulary.encode([text], bare)[0].tolist())
            self._add(Piece(ids=ids, supervised=self._speaking, reply=self._starting))
        else:
            parts = tuple(self.parts)
            self._add(Piece(parts=parts, bare=bare, supervised=self._speaking, reply=self._starting))
        self.parts = []
        self._after = "text"

    def _control(self, id: int) -> None:
        self.flush()
        self._add(Piece(ids=(id,), supervised=self._speaking, reply=self._starting))
        self._after = "control"

    def _add(self, piece: Piece) -> None:
        self.pieces.append(piece)
        self._starting = False
