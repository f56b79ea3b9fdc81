"""Making a profile: one pass over a source's rows, cached by the source's content."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from framework.data.arrays import Files
from framework.data.cache import key_of, publish
from framework.data.load import batches, fingerprint, read
from framework.data.parallel import in_order
from framework.data.rows import Conversation, Judged, Pair, Row, Text, Turn, kind_of
from framework.judges import VERSION as JUDGES
from framework.judges.edges import continues, lookalike, unknowable
from framework.judges.refusal import judge
from framework.judges.requests import asks, asks_back, harmful
from framework.judges.style import traits
from framework.judges.tasks import infer_task
from framework.paths import home
from framework.profile.columns import AGREEMENT, COUNTS, FLAGS, HASHES, KINDS, TRAITS, WRITTEN, Profile
from framework.profile.minhash import PERMUTATIONS, signatures
from framework.profile.words import word_numbers
from framework.sources.base import Source

if TYPE_CHECKING:
    from numpy.typing import NDArray

VERSION = 4
"""Raised when the same rows give other facts, or other files."""
_EXCERPT = 240
_TYPES = {
    "kind": np.uint8,
    **dict.fromkeys(FLAGS, np.bool_),
    **dict.fromkeys(TRAITS, np.uint8),
    AGREEMENT: np.int8,
    **dict.fromkeys(WRITTEN, np.int32),
    **dict.fromkeys(COUNTS, np.int32),
    **{f"hash_{name}": np.uint64 for name in HASHES},
}


@dataclass(frozen=True, slots=True)
class _Parts:
    """The texts of a row: what is asked, what is answered, and what is rejected."""

    prompt: str
    response: str
    rejected: str = ""


@dataclass(slots=True)
class _Names:
    """Label values in order of appearance; place 0 is no label."""

    places: dict[str, int] = field(default_factory=lambda: {"": 0})

    def place(self, value: str) -> int:
        return self.places.setdefault(value, len(self.places))

    def moved(self, values: list[str], column: Any) -> Any:
        """A column of places in ``values`` as one of places here."""
        return np.array([self.place(value) for value in values])[column]


@dataclass(frozen=True, slots=True)
class _Facts:
    """A batch of rows as columns; labels are places in the batch's own names."""

    columns: dict[str, NDArray[Any]]
    names: dict[str, list[str]]
    words: NDArray[np.uint32]
    word_counts: NDArray[np.int64]
    signatures: NDArray[np.uint32]
    excerpts: list[str]


def profile(name: str, source: Source, path: str, tick: Callable[[int], None] = lambda done: None) -> Profile:
    """The profile of a source, from the cache when it is there.

    Rows that cannot be read were counted, and refused, when the source was tokenised: here they are passed over.
    """
    key = key_of([VERSION, JUDGES, PERMUTATIONS, fingerprint(source, path)])
    target = home() / "cache" / "profiles" / key

    def build(folder: Path) -> None:
        tolerant = source.model_copy(update={"max_bad_rows": 10**12})
        with closing(in_order(_observer, batches(read(name, tolerant, path).rows))) as found:
            _write(folder, found, tick)

    return Profile(publish(target, build))


def _write(folder: Path, batches: Iterator[_Facts], tick: Callable[[int], None]) -> None:
    names = {label: _Names() for label in WRITTEN}
    done = words_end = 0
    with Files(folder) as files:
        columns = {column: files.array(column, kind) for column, kind in _TYPES.items()}
        signatures = files.array("signatures", np.uint32, PERMUTATIONS)
        words, word_starts, excerpts = (
            files.raw("words.bin"),
            files.array("word_starts", np.int64),
            files.strings("excerpts"),
        )
        word_starts.append([0])
        for found in batches:
            for column, values in found.columns.items():
                columns[column].append(names[column].moved(found.names[column], values) if column in names else values)
            signatures.append(found.signatures)
            words.write(found.words.tobytes())
            word_starts.append(words_end + np.cumsum(found.word_counts))
            words_end += len(found.words)
            excerpts.append(found.excerpts)
            done += len(found.word_counts)
            tick(done)
    listed = {label: list(known.places) for label, known in names.items()}
    (folder / "names.json").write_text(json.dumps(listed), encoding="utf-8")


def _observer() -> Callable[[list[Row]], _Facts]:
    """What a process does with a batch."""
    return _observe


def _observe(batch: list[Row]) -> _Facts:
    names = {label: _Names() for label in WRITTEN}
    columns: dict[str, list[int]] = {column: [] for column in _TYPES}
    texts: list[NDArray[np.uint32]] = []
    excerpts: list[str] = []
    for row in batch:
        parts = _parts(row)
        texts.append(word_numbers(f"{parts.prompt}\n{parts.response}\n{parts.rejected}"))
        excerpts.append(json.dumps([row.id, _excerpt(parts)]))
        _facts(row, parts, names, columns)
    counts = np.array([len(found) for found in texts], dtype=np.int64)
    numbers = np.concatenate(texts)
    return _Facts(
        columns={column: np.array(values, dtype=_TYPES[column]) for column, values in columns.items()},
        names={label: list(known.places) for label, known in names.items()},
        words=numbers,
        word_counts=counts,
        signatures=signatures(numbers, counts),
        excerpts=excerpts,
    )


def texts(name: str, source: Source, path: str, places: NDArray[np.int64]) -> list[str]:
    """What the rows at these places (ascending) say, read again: profiles keep words as numbers alone."""
    wanted = frozenset(places.tolist())
    tolerant = source.model_copy(update={"max_bad_rows": 10**12})
    chosen = (_parts(row) for place, row in enumerate(read(name, tolerant, path).rows) if place in wanted)
    return [f"{parts.prompt}\n{parts.response}".strip() for parts in chosen]


def _parts(row: Row) -> _Parts:
    if isinstance(row, Text):
        return _Parts("", row.text)
    if isinstance(row, Pair):
        return _Parts(_said(row.prompt), row.chosen, row.rejected)
    if isinstance(row, Judged):
        return _Parts(_said(row.prompt), row.completion)
    assert isinstance(row, Conversation)
    return _Parts(_said(row.turns[:-1]), row.turns[-1].said)


def _said(turns: tuple[Turn, ...]) -> str:
    return "\n\n".join(turn.said for turn in turns)


def _facts(row: Row, parts: _Parts, names: dict[str, _Names], into: dict[str, list[int]]) -> None:
    kind = kind_of(row)
    spoken = kind != "text"
    task = row.labels.task or (infer_task(parts.prompt) if spoken else "")
    values = {
        "kind": KINDS.index(kind),
        "refuses": spoken and judge(parts.response),
        "asks_back": spoken and asks_back(parts.response),
        "harmful": spoken and harmful(parts.prompt),
        "asks": spoken and asks(parts.prompt),
        "unknowable": spoken and unknowable(parts.response),
        "lookalike": spoken and lookalike(parts.prompt),
        "continues": spoken and continues(parts.prompt, parts.response),
        "rejected_refuses": kind == "pair" and judge(parts.rejected),
        "traits": traits(parts.response) if spoken else 0,
        "rejected_traits": traits(parts.rejected) if kind == "pair" else 0,
        AGREEMENT: -1 if not isinstance(row, Pair) or row.agreement is None else round(100 * row.agreement),
        "task": names["task"].place(task),
        "topic": names["topic"].place(row.labels.topic),
        "slice": names["slice"].place(row.labels.slice),
        "prompt_words": len(parts.prompt.split()),
        "response_words": len(parts.response.split()),
        "rejected_words": len(parts.rejected.split()),
        "hash_prompt": _hash(parts.prompt),
        "hash_response": _hash(parts.response),
        "hash_rejected": _hash(parts.rejected),
        "hash_whole": _hash(f"{parts.prompt}\0{parts.response}\0{parts.rejected}"),
    }
    for name, value in values.items():
        into[name].append(int(value))


def _hash(text: str) -> int:
    """64 bits; white space at the ends does not count."""
    return int.from_bytes(hashlib.blake2b(text.strip().encode(), digest_size=8).digest(), "little")


def _excerpt(parts: _Parts) -> str:
    shown = f"{parts.prompt} → {parts.response}" if parts.prompt else parts.response
    # Most often so much is more than an excerpt; and so many words are: the rest need not be looked at.
    whole = " ".join(shown[: 2 * _EXCERPT].split())
    if len(whole) <= _EXCERPT < len(shown):
        whole = " ".join(shown.split(maxsplit=_EXCERPT)[:_EXCERPT])
    return whole if len(whole) <= _EXCERPT else whole[: _EXCERPT - 1] + "…"
