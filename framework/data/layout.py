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
    """Literal text, and turn numbers that stand for their contents."""
    bare: bool = False
    """Whether the stretch goes on after other text, so that no space belongs before it."""
    supervised: bool = False
    reply: bool = False
    """Whether an assistant turn starts here."""


def layout(skeleton: Skeleton, roles: Sequence[Role], vocabulary: Vocabulary) -> tuple[Piece, ...]:
    """The pieces of a rendering, in order. Raises ``RefusedError`` when an assistant turn has no stop token."""
    builder = _Builder(vocabulary)
    spoken = False
    for index, literal in enumerate(skeleton.literals):
        if spoken:
            literal = builder.stop(literal)
        turn = skeleton.order[index] if index < len(skeleton.order) else None
        spoken = turn is not None and roles[turn] == "assistant"
        opening = skeleton.opening.get(turn, "") if turn is not None else ""
        lead = opening if spoken and not opening.strip() and literal.endswith(opening) else ""
        builder.literal(literal.removesuffix(lead))
        if turn is None:
            break
        if spoken:
            builder.flush()
            builder.reply(lead)
        builder.parts.append(turn)
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

    def literal(self, text: str) -> None:
        """Add the template's own text."""
        for part in self._vocabulary.split(text):
            if isinstance(part, str):
                self.parts.append(part)
            else:
                self._control(part)

    def reply(self, lead: str) -> None:
        """Start an assistant's stretch, with the white space that the model itself writes first."""
        self._speaking = True
        if lead:
            self.parts.append(lead)

    def stop(self, literal: str) -> str:
        """End an assistant's stretch with its stop token; the rest of the literal after that token."""
        found = self._vocabulary.first_control(literal)
        if found is None or literal[: found.start].strip():
            raise RefusedError("the template puts no stop token after an assistant turn")
        if found.start and not found.swallows:
            self.parts.append(literal[: found.start])
        self.flush()
        self._control(found.id, supervised=True)
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
            self.pieces.append(Piece(ids=tuple(self._vocabulary.encode([text], bare)[0])))
        else:
            speaking = self._speaking
            self.pieces.append(Piece(parts=tuple(self.parts), bare=bare, supervised=speaking, reply=speaking))
        self.parts = []
        self._after = "text"
        self._speaking = False

    def _control(self, id: int, supervised: bool = False) -> None:
        self.flush()
        self.pieces.append(Piece(ids=(id,), supervised=supervised))
        self._after = "control"
