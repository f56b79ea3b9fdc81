"""A source's rows as tokens, cached by content: another mix over the same sources uses them again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal

from framework.data.chat import ChatTokenizer, Encoded, Unproved
from framework.data.fit import Account, Long, Parts, Plain, Unit, fit
from framework.data.load import read
from framework.data.rows import Conversation, Judged, Pair, Row, RowKind, Text, Turn, kind_of
from framework.sources.base import Source

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

RowsKind = Literal["sft", "clm", "pair", "judged"]
Tick = Callable[[int], None]
"""Told how many rows are through."""
TRAINABLE: dict[RowsKind, frozenset[RowKind]] = {
    "sft": frozenset({"conversation"}),
    "clm": frozenset({"text", "conversation"}),
    "pair": frozenset({"pair"}),
    "judged": frozenset({"judged", "pair"}),
}
VERSION = 2
"""Raised when the same rows give other tokens."""
_BATCH = 2048
_EXAMPLES = 3


class Tokens:
    """A source's tokens on disk, memory-mapped."""

    def __init__(self, directory: Path) -> None:
        import numpy as np

        self.account = Account.parse(json.loads((directory / "account.json").read_text(encoding="utf-8")))
        self.ids: list[str] = json.loads((directory / "ids.json").read_text(encoding="utf-8"))
        self.parts: NDArray[np.int64] = np.load(directory / "parts.npy")
        """int64 [U, 3]: tokens of prompt, chosen and rejected; other rows have the first alone, judged ones two."""
        self.row: NDArray[np.int64] = np.load(directory / "row.npy")
        """int64 [U]: the source's row that a unit comes from."""
        self.lengths: NDArray[np.int64] = self.parts.sum(axis=1)
        self.starts: NDArray[np.int64] = np.concatenate([[0], np.cumsum(self.lengths)]).astype(np.int64)
        self.tokens = _mapped(directory / "tokens.bin", np.dtype(np.int32))
        self.supervised = _mapped(directory / "supervised.bin", np.dtype(np.bool_))


def encode_source(
    directory: Path,
    source: Source,
    path: str,
    layout: tuple[RowsKind, int, Long],
    tokenizer: ChatTokenizer,
    tick: Tick = lambda done: None,
) -> None:
    """Read, tokenise and write a source into an existing folder, batch by batch."""
    import numpy as np

    rows, max_length, long = layout
    reading = read(path, source, path)
    account = Account(format=reading.format)
    ids: list[str] = []
    parts: list[tuple[int, int, int]] = []
    origin: list[int] = []
    with (
        (directory / "tokens.bin").open("wb") as tokens,
        (directory / "supervised.bin").open("wb") as supervised,
    ):
        while batch := list(islice(reading.rows, _BATCH)):
            encoded = _encode(batch, rows, tokenizer, account)
            for index, row, found in encoded:
                for unit in fit(row.id, found, max_length, _policy(row, long), account):
                    _append(unit, tokens, supervised)
                    ids.append(unit.id)
                    parts.append(unit.parts)
                    origin.append(account.rows + index)
            account.rows += len(batch)
            tick(account.rows)
    account.unreadable = reading.dropped
    np.save(directory / "parts.npy", np.array(parts, dtype=np.int64).reshape(-1, 3))
    np.save(directory / "row.npy", np.array(origin, dtype=np.int64))
    (directory / "ids.json").write_text(json.dumps(ids), encoding="utf-8")
    (directory / "account.json").write_text(json.dumps(asdict(account)), encoding="utf-8")


def _encode(
    batch: Sequence[Row], rows: RowsKind, tokenizer: ChatTokenizer, account: Account
) -> Iterator[tuple[int, Row, Parts | Plain]]:
    """The batch's rows as tokens, in order; the others are counted."""
    wanted: list[tuple[int, Row]] = []
    for index, row in enumerate(batch):
        kind = kind_of(row)
        account.kinds[kind] = account.kinds.get(kind, 0) + 1
        if kind in TRAINABLE[rows]:
            wanted.append((index, row))
        else:
            account.leave_out(f"wrong kind: {kind}", row.id)
    texts = iter(tokenizer.encode_texts([row.text for _, row in wanted if isinstance(row, Text)]))
    spoken = [conversation for _, row in wanted for conversation in _conversations(row)]
    conversations = iter(tokenizer.encode_conversations(spoken))
    for index, row in wanted:
        found = _plain_text(next(texts)) if isinstance(row, Text) else _spoken(row, conversations)
        if isinstance(found, Unproved):
            account.leave_out(f"mask not proved: {found.reason}", row.id)
            examples = account.unproved.setdefault(found.reason, [])
            if len(examples) < _EXAMPLES:
                examples.append(row.id)
        else:
            yield index, row, found


def _conversations(row: Row) -> list[Conversation]:
    if isinstance(row, Conversation):
        return [row]
    if isinstance(row, Pair):
        return [_answered(row, row.chosen), _answered(row, row.rejected)]
    return [_answered(row, row.completion)] if isinstance(row, Judged) else []


def _answered(row: Pair | Judged, reply: str) -> Conversation:
    return Conversation(id=row.id, turns=(*row.prompt, Turn("assistant", reply)))


def _policy(row: Row, long: Long) -> Long:
    """A part of a conversation from its middle on would answer what is not there: texts alone are split."""
    return "truncate" if long == "split" and not isinstance(row, Text) else long


def _plain_text(ids: NDArray[np.int32]) -> Plain:
    import numpy as np

    return Plain(ids, np.ones(len(ids), dtype=np.bool_))


def _spoken(row: Row, conversations: Iterator[Encoded | Unproved]) -> Plain | Parts | Unproved:
    first = next(conversations)
    second = next(conversations) if isinstance(row, Pair) else None
    for found in (first, second):
        if isinstance(found, Unproved):
            return found
    assert isinstance(first, Encoded)
    end = _end(first)
    prompt = first.ids[: first.reply]
    if isinstance(row, Judged):
        said, nothing = first.ids[first.reply : end], first.ids[:0]
        return Parts(prompt, said, nothing) if row.desirable else Parts(prompt, nothing, said)
    if not isinstance(second, Encoded):
        return Plain(first.ids[:end], first.supervised[:end])
    if first.reply != second.reply or not (prompt == second.ids[: second.reply]).all():
        return Unproved("the template writes the prompt differently for chosen and rejected")
    return Parts(prompt, first.ids[first.reply : end], second.ids[second.reply : _end(second)])


def _end(encoded: Encoded) -> int:
    """After the last target: what follows it can change no loss."""
    import numpy as np

    found = np.flatnonzero(encoded.supervised)
    return int(found[-1]) + 1 if len(found) else 0


def _append(unit: Unit, tokens: IO[bytes], supervised: IO[bytes]) -> None:
    tokens.write(unit.ids.astype("<i4", copy=False).tobytes())
    supervised.write(unit.supervised.tobytes())


def _mapped(path: Path, kind: np.dtype[Any]) -> NDArray[Any]:
    """An empty file cannot be mapped."""
    import numpy as np

    return np.memmap(path, dtype=kind, mode="r") if path.stat().st_size else np.zeros(0, dtype=kind)
