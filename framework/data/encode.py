"""A source's rows as tokens, cached by content: another mix over the same sources uses them again."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from framework.data.budget import Budget
from framework.data.chat import ChatTokenizer, Encoded, Unproved, fingerprint
from framework.data.fit import EXAMPLES, Account, Long, Parts, Plain, Unit, fit
from framework.data.load import batches
from framework.data.parallel import in_order
from framework.data.rows import Conversation, Judged, Pair, Row, RowKind, Text, Turn, kind_of, margin_of
from framework.sources.base import Source

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

RowsKind = Literal["sft", "clm", "pair", "judged"]
Layout = tuple[RowsKind, int, Long]
"""What the stage trains on, ``max_length``, and what becomes of longer rows."""
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
FILES = 3
"""Raised when the same tokens are written otherwise."""


class Tokens:
    """A source's tokens on disk, memory-mapped."""

    def __init__(self, directory: Path) -> None:
        import numpy as np

        from framework.data.arrays import Strings, mapped

        self.account = Account.parse(json.loads((directory / "account.json").read_text(encoding="utf-8")))
        self.ids = Strings(directory, "ids")
        self.parts: NDArray[np.int64] = np.load(directory / "parts.npy", mmap_mode="r")
        """int64 [U, 3]: tokens of prompt, chosen and rejected; other rows have the first alone, judged ones two."""
        self.row: NDArray[np.int64] = np.load(directory / "row.npy", mmap_mode="r")
        """int64 [U]: the source's row that a unit comes from."""
        self.targets: NDArray[np.int64] = np.load(directory / "targets.npy", mmap_mode="r")
        """int64 [U]: supervised tokens."""
        self.margin: NDArray[np.float32] = np.load(directory / "margin.npy", mmap_mode="r")
        """float32 [U]: the margin of a pair, NaN where the row states none."""
        self.lengths: NDArray[np.int64] = self.parts.sum(axis=1)
        self.starts: NDArray[np.int64] = np.concatenate([[0], np.cumsum(self.lengths)]).astype(np.int64)
        self.tokens: NDArray[np.int32] = mapped(directory / "tokens.bin", np.int32)
        self.supervised: NDArray[np.bool_] = mapped(directory / "supervised.bin", np.bool_)


@dataclass(frozen=True, slots=True)
class _Encoded:
    """A batch of rows as the bytes of their units; numbers of rows count from the batch's first."""

    tokens: bytes
    supervised: bytes
    ids: list[str]
    parts: list[tuple[int, int, int]]
    targets: list[int]
    row: list[int]
    margin: list[float]
    account: Account

    @property
    def sizes(self) -> list[int]:
        """Tokens of each row of the batch, those that are left out included."""
        sizes = [0] * self.account.rows
        for row, parts in zip(self.row, self.parts, strict=True):
            sizes[row] += sum(parts)
        return sizes


def encode_source(
    directory: Path,
    source: Source,
    path: str,
    layout: Layout,
    model_dir: Path,
    tick: Tick = lambda done: None,
) -> None:
    """Read, tokenise and write a source into an existing folder, batch by batch, on all cores.

    Raises ``DataError`` as ``read`` does, and ``ModelError`` when the model's folder has no usable tokenizer.
    """
    import numpy as np

    from framework.data.arrays import Files

    budget = Budget(source, path)
    account = Account(format=budget.reading.format)
    sent: deque[list[Row]] = deque()
    with (
        Files(directory) as files,
        closing(in_order(partial(_encoder, model_dir, layout), _noted(batches(budget.rows()), sent))) as results,
    ):
        tokens, supervised, ids = files.raw("tokens.bin"), files.raw("supervised.bin"), files.strings("ids")
        parts = files.array("parts", np.int64, 3)
        margin = files.array("margin", np.float32)
        targets, origin = files.array("targets", np.int64), files.array("row", np.int64)
        for found in results:
            batch = sent.popleft()
            kept = budget.take(found.sizes)
            if kept < len(batch):
                found = _encoder(model_dir, layout)(batch[:kept])
            tokens.write(found.tokens)
            supervised.write(found.supervised)
            ids.append(found.ids)
            parts.append(np.array(found.parts, dtype=np.int64).reshape(-1, 3))
            targets.append(found.targets)
            margin.append(found.margin)
            origin.append(np.array(found.row, dtype=np.int64) + account.rows)
            account.add(found.account)
            tick(account.rows)
            if budget.spent:
                break
    account.unreadable, account.records, account.budget_spent = budget.dropped, budget.records, budget.spent
    account.left_out.update(budget.reading.left_out)
    account.conversion = budget.reading.conversion
    budget.check(account.rows)
    (directory / "account.json").write_text(json.dumps(asdict(account)), encoding="utf-8")


def _noted(batches: Iterator[list[Row]], sent: deque[list[Row]]) -> Iterator[list[Row]]:
    """The batches, each noted before it is handed on."""
    for batch in batches:
        sent.append(batch)
        yield batch


def _encoder(model_dir: Path, layout: Layout) -> Callable[[list[Row]], _Encoded]:
    """What a process does with a batch."""
    return partial(_encode_batch, _tokenizer(model_dir, fingerprint(model_dir)), layout)


@lru_cache(maxsize=1)
def _tokenizer(model_dir: Path, key: str) -> ChatTokenizer:
    """Kept from source to source; ``key`` changes with the folder's content."""
    return ChatTokenizer.load(model_dir)


def _encode_batch(tokenizer: ChatTokenizer, layout: Layout, batch: list[Row]) -> _Encoded:
    rows, max_length, long = layout
    account = Account(rows=len(batch))
    units: list[Unit] = []
    origin: list[int] = []
    margin: list[float] = []
    for index, row, found in _encode(batch, rows, tokenizer, account):
        for unit in fit(row.id, found, max_length, _policy(row, long), account):
            units.append(unit)
            origin.append(index)
            margin.append(margin_of(row))
    return _Encoded(
        tokens=b"".join(unit.ids.astype("<i4", copy=False).tobytes() for unit in units),
        supervised=b"".join(unit.supervised.tobytes() for unit in units),
        ids=[unit.id for unit in units],
        parts=[unit.parts for unit in units],
        targets=[int(unit.supervised.sum()) for unit in units],
        row=origin,
        margin=margin,
        account=account,
    )


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
            if len(examples) < EXAMPLES:
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
