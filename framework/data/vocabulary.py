"""A tokenizer taken apart: one that knows its special tokens, and ones for text in which they are only text."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from framework.data.byte_pairs import cuts_words, parts, without_token
from framework.data.pieces import Pieces

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Control:
    """A control token in a template's text, from ``start`` to ``end``."""

    id: int
    start: int
    end: int
    swallows: bool
    """Whether it takes in the white space before it."""
    strips: bool
    """Whether it takes in the white space after it."""


class Vocabulary:
    """The contents of a ``tokenizer.json``. ``template`` is the chat template's source."""

    def __init__(self, text: str, template: str) -> None:
        """Raises ``ValueError`` when the text is no tokenizer."""
        import numpy as np
        from tokenizers import Tokenizer

        settings: dict[str, Any] = json.loads(text)
        settings["truncation"] = settings["padding"] = None
        try:
            full = Tokenizer.from_str(json.dumps(settings))
        except Exception as error:  # the library raises bare Exception
            raise ValueError(str(error)) from error
        self.size: int = full.get_vocab_size(with_added_tokens=True)
        added: list[dict[str, Any]] = settings.get("added_tokens") or []
        control = [token for token in added if token["special"] or token["content"] in template]
        self._control = {str(token["content"]): token for token in control}
        self.control_ids = frozenset(int(token["id"]) for token in control)
        self._pattern = (
            re.compile("|".join(re.escape(name) for name in sorted(self._control, key=len, reverse=True)))
            if control
            else None
        )
        bare = without_control(settings, control)
        self._plain = Tokenizer.from_str(json.dumps(bare))
        unprefixed, self._prefix_once = without_prefix(bare)
        self._bare = self._plain if unprefixed == bare else Tokenizer.from_str(json.dumps(unprefixed))
        self._tokenless = without_token(bare)
        self._around = _around(self._plain)
        self._pieces: Pieces | None = None
        if cuts_words(bare) and self._around is not None:
            self._pieces = Pieces(self._plain, [token["content"] for token in bare["added_tokens"]])
        self._is_control = np.zeros(max([self.size, *self.control_ids]) + 1, dtype=np.bool_)
        self._is_control[list(self.control_ids)] = True
        self._full = full
        kept = [token for token in added if token["content"] not in self._control]
        moved = [token["content"] for token in kept if self._plain.token_to_id(token["content"]) != token["id"]]
        if moved or self._plain.get_vocab_size() > full.get_vocab_size():
            raise ValueError(f"token ids move when special tokens are taken out: {moved[:3]}")

    def id_of(self, token: str) -> int | None:
        """The id of a token by its text, or ``None``."""
        return self._full.token_to_id(token)

    def split(self, literal: str) -> list[int | str]:
        """A template's own text as control token ids and the text between them.

        A token that swallows white space beside it does so here as at inference.
        """
        parts: list[int | str] = []
        at, strips = 0, False
        for token in self._controls(literal):
            between = literal[at : token.start]
            between = between.lstrip() if strips else between
            between = between.rstrip() if token.swallows else between
            parts += [between, token.id] if between else [token.id]
            at, strips = token.end, token.strips
        rest = literal[at:].lstrip() if strips else literal[at:]
        return [*parts, rest] if rest else parts

    def first_control(self, literal: str, among: frozenset[int] | None = None) -> Control | None:
        """The first control token in a template's own text, ``among`` some where they are given."""
        return next((token for token in self._controls(literal) if among is None or token.id in among), None)

    def encode(self, texts: Sequence[str], bare: bool = False, specials: bool = False) -> list[NDArray[np.int32]]:
        """Ids of each text, in which special tokens are only text.

        ``bare`` leaves out the space that some tokenizers put before a text, for text that goes on after other text.
        ``specials`` puts the tokenizer's own special tokens around each text.
        """
        import numpy as np

        if self._pieces is not None and self._around is not None:
            found = self._pieces.encode(texts)
            before, after = self._around
            return [flat([before, ids, after]) for ids in found] if specials and (before or after) else found
        tokenizer = self._bare if bare else self._plain
        encoded = tokenizer.encode_batch_fast(list(texts), add_special_tokens=specials)
        return [np.array(one.ids, dtype=np.int32) for one in encoded]

    def takes_prefix(self, first: bool) -> bool:
        """Whether a stretch after a control token is tokenised as the start of a text is."""
        return first or not self._prefix_once

    def faithful(self, ids: Sequence[NDArray[np.int32]], texts: Sequence[str]) -> list[str]:
        """For each stretch why its ids do not stand for its text; empty when they do.

        They are decoded to prove it, unless the tokenizer is such that the text cannot be changed.
        """
        decoded = list(texts)
        doubtful = [place for place, text in enumerate(texts) if not self._comes_back(text)]
        back = self._plain.decode_batch([ids[place].tolist() for place in doubtful], skip_special_tokens=False)
        for place, text in zip(doubtful, back, strict=True):
            decoded[place] = text
        return [self._fault(stretch, text, back) for stretch, text, back in zip(ids, texts, decoded, strict=True)]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids, special tokens included."""
        return self._full.decode(list(ids), skip_special_tokens=False)

    def _controls(self, literal: str) -> Iterator[Control]:
        for match in self._pattern.finditer(literal) if self._pattern else ():
            token = self._control[match.group()]
            yield Control(int(token["id"]), match.start(), match.end(), bool(token["lstrip"]), bool(token["rstrip"]))

    def _comes_back(self, text: str) -> bool:
        """Whether the ids of a text decode to it in any case."""
        if self._tokenless is None:
            return False
        said = text.encode()
        return len(said.translate(None, self._tokenless)) == len(said)

    def _fault(self, ids: NDArray[np.int32], text: str, back: str) -> str:
        if self._is_control[ids].any():
            return "the content makes a control token"
        if back == text:
            return ""
        normalizer = self._plain.normalizer
        if normalizer is not None:
            text = normalizer.normalize_str(text).replace("\u2581", " ")
        # A leading space that the tokenizer adds is taken off by its decoder, and so may a real one be.
        return "" if back.lstrip(" ") == text.lstrip(" ") else "the tokenizer cannot represent the content"


def without_control(settings: dict[str, Any], control: list[dict[str, Any]]) -> dict[str, Any]:
    """The tokenizer's settings with the control tokens no longer recognised and every id as it was.

    A control token that the model's own vocabulary holds is dropped, and renamed there where the model could take a
    text for it (Unigram, or BPE that ignores merges). One that only stands among the added tokens keeps its place,
    since ids are given in order. New names are such as no text contains.
    """
    vocabulary = settings["model"].get("vocab", {})
    own = set(vocabulary) if isinstance(vocabulary, dict) else {entry[0] for entry in vocabulary}
    names = {token["content"] for token in control}
    changed: dict[str, Any] = {**settings, "added_tokens": [], "model": _renamed(settings["model"], control)}
    for token in settings.get("added_tokens") or []:
        if token["content"] not in names:
            changed["added_tokens"].append(token)
        elif token["content"] not in own:
            changed["added_tokens"].append({**token, "content": _hidden(token), "lstrip": False, "rstrip": False})
    return changed


def _hidden(token: dict[str, Any]) -> str:
    return f"\ue000control\ue001{token['id']}\ue000token\ue001"


def _renamed(model: dict[str, Any], control: list[dict[str, Any]]) -> dict[str, Any]:
    """The model with the control tokens' pieces renamed, but the one for what is not known."""
    hidden = {str(token["content"]): _hidden(token) for token in control}
    vocabulary = model.get("vocab", {})
    if isinstance(vocabulary, list):
        unknown = model.get("unk_id")
        pieces = [
            [piece if at == unknown else hidden.get(piece, piece), score]
            for at, (piece, score) in enumerate(vocabulary)
        ]
        return {**model, "vocab": pieces}
    if model.get("ignore_merges"):
        hidden.pop(str(model.get("unk_token")), None)
        return {**model, "vocab": {hidden.get(piece, piece): id for piece, id in vocabulary.items()}}
    return model


def without_prefix(settings: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """The settings without the space put before a text, and whether that space comes at the start of a text alone."""
    changed = copy.deepcopy({name: settings[name] for name in ("normalizer", "pre_tokenizer")})
    once = False
    for part in parts(changed["pre_tokenizer"], "pretokenizers"):
        if part["type"] == "Metaspace":
            once = once or part.get("prepend_scheme") == "first"
            part["prepend_scheme"] = "never"
            part.pop("add_prefix_space", None)
        elif part["type"] == "ByteLevel":
            part["add_prefix_space"] = False
    normalizer = changed["normalizer"]
    if normalizer and normalizer["type"] == "Sequence":
        normalizer["normalizers"] = [part for part in normalizer["normalizers"] if part["type"] != "Prepend"]
    elif normalizer and normalizer["type"] == "Prepend":
        changed["normalizer"] = None
    return {**settings, **changed}, once


def _around(tokenizer: Any) -> tuple[list[int], list[int]] | None:
    """The special tokens that a tokenizer puts before and after a text; ``None`` when that cannot be told."""
    core, whole = (tokenizer.encode("a", add_special_tokens=specials).ids for specials in (False, True))
    places = [at for at in range(len(whole)) if core and whole[at : at + len(core)] == core]
    return (whole[: places[0]], whole[places[0] + len(core) :]) if len(places) == 1 else None


def flat(stretches: Sequence[Sequence[int] | NDArray[np.int32]]) -> NDArray[np.int32]:
    """Token ids one after the other."""
    import numpy as np

    return np.concatenate([np.asarray(stretch, dtype=np.int32) for stretch in stretches])
