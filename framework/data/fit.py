"""Rows cut to the stage's length, and the account of what became of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from framework.data.load import Dropped
from framework.data.rows import RowKind
from framework.sources.base import Format

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Long = Literal["truncate", "split", "drop"]
_PROMPT_SHARE = 4
"""A pair that does not fit keeps at least a quarter of the length for its prompt."""


@dataclass(slots=True)
class Account:
    """What became of a source's rows."""

    rows: int = 0
    format: Format = "auto"
    kinds: dict[RowKind, int] = field(default_factory=dict)
    unreadable: dict[str, Dropped] = field(default_factory=dict)
    left_out: dict[str, Dropped] = field(default_factory=dict)
    """Rows that were read and cannot be trained on."""
    truncated: int = 0
    no_target_rows: int = 0
    unproved: dict[str, list[str]] = field(default_factory=dict)
    """The first few row ids for each reason."""

    def leave_out(self, reason: str, id: str) -> None:
        """Count a row that cannot be trained on."""
        known = self.left_out.get(reason)
        self.left_out[reason] = Dropped(known.count + 1, known.first) if known else Dropped(1, id)

    @classmethod
    def parse(cls, value: dict[str, Any]) -> Account:
        """The inverse of ``dataclasses.asdict``."""
        fields = dict(value)
        for name in ("unreadable", "left_out"):
            fields[name] = {reason: Dropped(**entry) for reason, entry in value[name].items()}
        return cls(**fields)


@dataclass(frozen=True, slots=True)
class Unit:
    """Tokens that stay together: a row, a part of a split one, or a prompt with the replies to it."""

    id: str
    ids: NDArray[np.int32]
    supervised: NDArray[np.bool_]
    parts: tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Parts:
    """A pair's three parts as tokens. A judged reply is the chosen one, or the rejected one, and the other is empty."""

    prompt: NDArray[np.int32]
    chosen: NDArray[np.int32]
    rejected: NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Plain:
    """One sequence with its mask."""

    ids: NDArray[np.int32]
    supervised: NDArray[np.bool_]


def fit(id: str, found: Parts | Plain, limit: int, long: Long, account: Account) -> Iterator[Unit]:
    """The row as units of at most ``limit`` tokens, each with a target."""
    sequences = (found.prompt, found.chosen, found.rejected) if isinstance(found, Parts) else (found.ids,)
    whole = sum(len(sequence) for sequence in sequences)
    if whole > limit and long == "drop":
        account.leave_out("longer than max_length", id)
        return
    if isinstance(found, Parts):
        account.truncated += whole > limit
        yield from _pair(id, found, limit, account)
        return
    account.truncated += whole > limit and long == "truncate"
    stop = whole if long == "split" else min(whole, limit)
    spans = [(begin, min(begin + limit, stop)) for begin in range(0, stop, limit)]
    kept = 0
    for number, (begin, end) in enumerate(spans):
        targets = found.supervised[begin:end].copy()
        targets[:1] = False  # the first token of a sequence has nothing to be predicted from
        if targets.any():
            kept += 1
            name = id if len(spans) == 1 else f"{id}#{number + 1}"
            yield Unit(name, found.ids[begin:end], targets, (end - begin, 0, 0))
    if not kept:
        account.no_target_rows += 1
        account.leave_out("no target token", id)
    elif kept < len(spans):
        account.leave_out("split: some parts have no target token", id)


def _pair(id: str, found: Parts, limit: int, account: Account) -> Iterator[Unit]:
    """A prompt and its replies cut to fit: the prompt from the left first, then the longer reply from the right."""
    import numpy as np

    chosen, rejected = found.chosen, found.rejected
    room = limit - len(chosen) - len(rejected)
    kept = min(len(found.prompt), max(room, limit // _PROMPT_SHARE))
    over = kept + len(chosen) + len(rejected) - limit
    if over > 0:
        half = (limit - kept) // 2
        shorter = min(len(chosen), len(rejected), half)
        longer = limit - kept - shorter
        chosen = chosen[: shorter if len(found.chosen) <= len(found.rejected) else longer]
        rejected = rejected[: longer if len(found.chosen) <= len(found.rejected) else shorter]
    prompt = found.prompt[len(found.prompt) - kept :]
    if not len(prompt) or any(
        len(full) and not len(cut) for full, cut in ((found.chosen, chosen), (found.rejected, rejected))
    ):
        account.no_target_rows += 1
        account.leave_out("no target token", id)
        return
    ids = np.concatenate([prompt, chosen, rejected])
    yield Unit(id, ids, np.arange(len(ids)) >= len(prompt), (len(prompt), len(chosen), len(rejected)))
