"""Conversations to tokens, with a loss mask that is proved on every row.

A template's own text for a sequence of roles is found once (its skeleton). Control tokens are recognised in that text
alone; contents are tokenised as plain text, so that a row cannot forge a turn. An assistant's turn starts a stretch
of its own where the generation prompt ends, exactly as it does when the model replies. What is supervised is the
assistant's content and the stop token after it. A row whose rendering is not the skeleton with its contents put in,
or whose tokens do not decode to it, is ``Unproved``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from framework.data.layout import Piece, layout
from framework.data.model_files import ModelFiles, fingerprint, read_model
from framework.data.rows import Conversation, Role, Turn
from framework.data.shape import plain
from framework.data.template import RefusedError, Skeleton, Template
from framework.data.vocabulary import Vocabulary, flat
from framework.errors import ModelError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


__all__ = ["ChatTokenizer", "Encoded", "Unproved", "fingerprint"]


@dataclass(frozen=True, slots=True)
class Encoded:
    """Tokens of a conversation. ``supervised`` marks assistant contents and their stop tokens."""

    ids: NDArray[np.int32]
    supervised: NDArray[np.bool_]
    reply: int
    """Where the last assistant turn's tokens start."""


@dataclass(frozen=True, slots=True)
class Unproved:
    """A conversation whose tokens or mask cannot be vouched for, and why."""

    reason: str


class ChatTokenizer:
    """A model's tokenizer and chat template. Needs ``tokenizers`` and ``jinja2`` alone."""

    def __init__(self, text: str, files: ModelFiles) -> None:
        """Use ``load``. Raises ``ValueError`` for a damaged tokenizer and ``RefusedError`` for a damaged template."""
        self._vocabulary = Vocabulary(text, files.template)
        self._template = Template(files.template, files.named) if files.template else None
        self._layouts: dict[tuple[tuple[Role, ...], bool], tuple[Piece, ...] | RefusedError] = {}
        self.has_template = bool(files.template)
        self.fingerprint = files.fingerprint
        self.vocab_size = self._vocabulary.size
        self._eos = self._vocabulary.id_of(files.named.get("eos_token", ""))
        own = () if self._eos is None else (self._eos,)
        self.eos_ids: frozenset[int] = frozenset((*files.eos, *own))
        self._frame = self._reply_frame()
        self.eos_ids |= frozenset(self._frame.stop)
        pad = self._vocabulary.id_of(files.named.get("pad_token", ""))
        self.pad_id: int = next((id for id in (pad, self._eos, *sorted(self.eos_ids)) if id is not None), 0)

    @classmethod
    def load(cls, model_dir: Path) -> ChatTokenizer:
        """The tokenizer in a model's folder. Raises ``ModelError`` when it is missing or damaged."""
        files = read_model(model_dir)
        try:
            return cls((model_dir / "tokenizer.json").read_text(encoding="utf-8"), files)
        except (ValueError, KeyError, TypeError, RefusedError) as error:
            raise ModelError(f"the tokenizer or chat template in {model_dir} cannot be used: {error}") from error

    def render(self, turns: Sequence[Turn], generation_prompt: bool = False) -> str:
        """The conversation as the template writes it. Raises ``ModelError`` when there is none or it refuses."""
        try:
            return self._rendering(turns, (), generation_prompt)
        except RefusedError as error:
            raise ModelError(str(error)) from error

    def encode_texts(self, texts: Sequence[str]) -> list[NDArray[np.int32]]:
        """Each text within the tokenizer's own special tokens, the end token after it; specials inside stay text."""
        end = [] if self._eos is None else [self._eos]
        found = self._vocabulary.encode(texts, specials=True)
        return [flat([ids, [] if ids[-1:].tolist() == end else end]) for ids in found]

    def encode_prompts(self, prompts: Sequence[Sequence[Turn]]) -> list[NDArray[np.int32]]:
        """Each prompt up to where the model replies. Raises ``ModelError`` when the template refuses one."""
        found: list[NDArray[np.int32]] = []
        for encoded in self._encode([(turns, ()) for turns in prompts], generation_prompt=True):
            if isinstance(encoded, Unproved):
                raise ModelError(f"a prompt cannot be encoded: {encoded.reason}")
            found.append(encoded.ids)
        return found

    def encode_replies(self, texts: Sequence[str], stop: bool) -> list[NDArray[np.int32]]:
        """Each text as the assistant's reply to an encoded prompt; ``stop`` adds what ends the turn."""
        after, end = (self._frame.tail, self._frame.stop) if stop else ("", ())
        whole = [f"{self._frame.lead}{text}{after}" for text in texts]
        return [flat([ids, end]) for ids in self._vocabulary.encode(whole, self._frame.bare)]

    def encode_conversations(self, rows: Sequence[Conversation]) -> list[Encoded | Unproved]:
        """Tokens and mask of each conversation, or why they cannot be proved."""
        return self._encode([(row.turns, row.tools) for row in rows], generation_prompt=False)

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids, special tokens included."""
        return self._vocabulary.decode([int(id) for id in ids])

    def _rendering(self, turns: Sequence[Turn], tools: Sequence[str], generation_prompt: bool) -> str:
        if self._template is None:
            raise RefusedError("the model has no chat template")
        return self._template.render(turns, tools, generation_prompt)

    def _encode(
        self, rows: Sequence[tuple[Sequence[Turn], Sequence[str]]], generation_prompt: bool
    ) -> list[Encoded | Unproved]:
        outlines: list[_Outline | Unproved] = []
        texts: dict[bool, list[str]] = {False: [], True: []}
        for turns, tools in rows:
            try:
                outlines.append(self._outline(turns, tools, generation_prompt, texts))
            except RefusedError as error:
                outlines.append(Unproved(str(error)))
        ids = {bare: self._vocabulary.encode(texts[bare], bare) if texts[bare] else [] for bare in texts}
        faults = {bare: self._vocabulary.faithful(ids[bare], texts[bare]) if texts[bare] else [] for bare in texts}
        return [outline if isinstance(outline, Unproved) else _assemble(outline, ids, faults) for outline in outlines]

    def _outline(
        self, turns: Sequence[Turn], tools: Sequence[str], generation_prompt: bool, texts: dict[bool, list[str]]
    ) -> _Outline:
        """Prove a conversation's rendering; queue its stretches in ``texts``."""
        text = self._rendering(turns, tools, generation_prompt)
        assert self._template is not None
        roles: tuple[Role, ...] = tuple(turn.role for turn in turns)
        skeleton, values = self._template.skeleton(turns, tools, generation_prompt)
        if plain(turns, tools):
            pieces = self._layout(roles, skeleton, generation_prompt)
        else:
            pieces = layout(skeleton, roles, self._vocabulary, self.eos_ids)
        found = skeleton.found(text, values)
        slots: list[tuple[bool, int]] = []
        for piece in pieces:
            if piece.parts:
                queue = texts[piece.bare]
                slots.append((piece.bare, len(queue)))
                queue.append("".join(part if isinstance(part, str) else found[part] for part in piece.parts))
        return _Outline(pieces, slots)

    def _layout(self, roles: tuple[Role, ...], skeleton: Skeleton, generation_prompt: bool) -> tuple[Piece, ...]:
        key = (roles, generation_prompt)
        if key not in self._layouts:
            try:
                self._layouts[key] = layout(skeleton, roles, self._vocabulary, self.eos_ids)
            except RefusedError as error:
                self._layouts[key] = error
        found = self._layouts[key]
        if isinstance(found, RefusedError):
            raise RefusedError(str(found))
        return found

    def _reply_frame(self) -> _Frame:
        """What surrounds a reply to a user's turn; nothing when the template has no such reply."""
        roles: tuple[Role, ...] = ("user", "assistant")
        try:
            if self._template is None:
                return _Frame()
            skeleton, _ = self._template.skeleton((Turn("user", ""), Turn("assistant", "")), (), False)
            pieces = self._layout(roles, skeleton, False)
        except RefusedError:
            return _Frame()
        at = next(index for index, piece in enumerate(pieces) if piece.reply)
        content = pieces[at].parts.index(skeleton.order.index(1))
        lead, tail = (
            "".join(str(part) for part in parts)
            for parts in (pieces[at].parts[:content], pieces[at].parts[content + 1 :])
        )
        return _Frame(lead, tail, pieces[at + 1].ids, pieces[at].bare)


@dataclass(frozen=True, slots=True)
class _Frame:
    """Text the model writes before and after a reply, the stop token, and how the reply is tokenised."""

    lead: str = ""
    tail: str = ""
    stop: tuple[int, ...] = ()
    bare: bool = False


@dataclass(frozen=True, slots=True)
class _Outline:
    """A proved rendering: its pieces, and where in the queues each stretch waits to be tokenised."""

    pieces: tuple[Piece, ...]
    slots: list[tuple[bool, int]]


def _assemble(
    outline: _Outline, ids: dict[bool, list[NDArray[np.int32]]], faults: dict[bool, list[str]]
) -> Encoded | Unproved:
    import numpy as np

    stretches: list[Sequence[int] | NDArray[np.int32]] = []
    supervised: list[bool] = []
    slots = iter(outline.slots)
    reply, total = 0, 0
    for piece in outline.pieces:
        stretch: Sequence[int] | NDArray[np.int32] = piece.ids
        if piece.parts:
            bare, index = next(slots)
            if faults[bare][index]:
                return Unproved(faults[bare][index])
            stretch = ids[bare][index]
        if piece.reply:
            reply = total
        stretches.append(stretch)
        supervised.append(piece.supervised)
        total += len(stretch)
    lengths = [len(stretch) for stretch in stretches]
    return Encoded(flat(stretches), np.repeat(np.array(supervised, dtype=np.bool_), lengths), reply)
