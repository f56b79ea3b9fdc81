"""Texts tokenised by pieces, each different piece once: words repeat, and looking one up takes less time.

A text is cut where a tokenizer of which ``byte_pairs.cuts_words`` holds cuts it too: before a space that comes after
something else than white space, and after a run of ASCII letters and digits that another ASCII character follows.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from framework.data.byte_pairs import SPACE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# White space, and marks that are or were that for some: after what may be white space nothing is cut.
_SPACE = r"\s\u180e\u200b\ufeff"
_RUN = r"[A-Za-z0-9]++"
_PIECE = re.compile(
    rf"[{_SPACE}]*+(?:{_RUN}(?![^\x00-\x7f])"
    rf"|(?:[^A-Za-z0-9{_SPACE}]++|{_RUN}(?=[^\x00-\x7f])|(?! )[{_SPACE}]++)+(?:{_RUN}(?![^\x00-\x7f]))?)"
    rf"|[{_SPACE}]+"
)
_UNEVEN = re.compile(rf"[{_SPACE}] ")
_REMEMBERED = 1 << 18
"""Entries of a table, about 40 MB of them; then all are forgotten."""
_LONG = 64
"""Characters of what is not kept: it hardly repeats."""


def pieces(text: str) -> list[str]:
    """The text cut at all these places."""
    return _PIECE.findall(text)


class Pieces:
    """Ids of texts, without special tokens around them. ``whole`` are texts that must not be cut through."""

    def __init__(self, tokenizer: Any, whole: Sequence[str] = ()) -> None:
        """``tokenizer`` is a ``tokenizers.Tokenizer``."""
        self._tokenizer = tokenizer
        self._whole = tuple(whole)
        self._pieces = _Pieces(tokenizer)
        self._words = _Words(self._pieces)

    def encode(self, texts: Sequence[str]) -> list[NDArray[np.int32]]:
        """Ids of each text."""
        return [self._ids(text) for text in texts]

    def _ids(self, text: str) -> NDArray[np.int32]:
        import numpy as np

        for whole in self._whole:
            if whole in text:
                return np.array(self._tokenizer.encode(text, add_special_tokens=False).ids, dtype=np.int32)
        rest: list[str] = []
        if _UNEVEN.search(text) is None:
            text, *rest = text.split(" ")
        first = map(self._pieces.__getitem__, pieces(text))
        return np.frombuffer(b"".join([*first, *map(self._words.__getitem__, rest)]), dtype=np.int32)


class _Kept(dict[str, bytes]):
    """Ids by text, as the bytes of int32."""

    def keep(self, text: str, ids: bytes) -> bytes:
        """Note the ids and hand them back."""
        if len(text) <= _LONG:
            if len(self) >= _REMEMBERED:
                self.clear()
            self[text] = ids
        return ids


class _Pieces(_Kept):
    """Ids of what ``pieces`` gives."""

    def __init__(self, tokenizer: Any) -> None:
        super().__init__()
        self._tokenizer = tokenizer
        self._model = tokenizer.model

    def __missing__(self, piece: str) -> bytes:
        import numpy as np

        if piece.isascii() and piece.removeprefix(" ").isalpha():
            # One stretch for the model, whatever the cut: the rest of the library takes more time than it.
            ids = [token.id for token in self._model.tokenize(piece.replace(" ", SPACE))]
        else:
            ids = self._tokenizer.encode(piece, add_special_tokens=False).ids
        return self.keep(piece, np.array(ids, dtype=np.int32).tobytes())


class _Words(_Kept):
    """Ids of what stands between two spaces, with the one before it."""

    def __init__(self, known: _Pieces) -> None:
        super().__init__()
        self._known = known

    def __missing__(self, word: str) -> bytes:
        return self.keep(word, b"".join(map(self._known.__getitem__, pieces(f" {word}"))))
