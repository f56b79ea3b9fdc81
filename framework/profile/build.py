"""Making a profile: one pass over a source's rows, cached by the source's content."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np

from framework.data.cache import key_of, publish
from framework.data.load import fingerprint, read
from framework.data.rows import Conversation, Judged, Pair, Row, Text, Turn, kind_of
from framework.judges import VERSION as JUDGES
from framework.judges.refusal import judge
from framework.judges.requests import asks, asks_back, harmful
from framework.judges.tasks import infer_task
from framework.paths import home
from framework.profile.columns import COUNTS, FLAGS, HASHES, KINDS, WRITTEN, Profile
from framework.profile.minhash import PERMUTATIONS, signature
from framework.profile.words import hashed, words
from framework.sources.base import Source

VERSION = 2
"""Raised when the same rows give other facts."""
_BATCH = 4096
_EXCERPT = 240
_TYPES = {
    "kind": np.uint8,
    **dict.fromkeys(FLAGS, np.bool_),
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


def profile(name: str, source: Source, path: str, tick: Callable[[int], None] = lambda done: None) -> Profile:
    """The profile of a source, from the cache when it is there.

    Rows that cannot be read were counted, and refused, when the source was tokenised: here they are passed over.
    """
    key = key_of([VERSION, JUDGES, PERMUTATIONS, fingerprint(source, path)])
    target = home() / "cache" / "profiles" / key

    def build(folder: Path) -> None:
        tolerant = source.model_copy(update={"max_bad_rows": 10**12})
        _write(folder, read(name, tolerant, path).rows, tick)

    return Profile(publish(target, build))


def _write(folder: Path, rows: Iterator[Row], tick: Callable[[int], None]) -> None:
    names = {label: _Names() for label in WRITTEN}
    chunks: dict[str, list[np.ndarray]] = {column: [] for column in _TYPES}
    signatures: list[np.ndarray] = []
    word_starts, excerpt_starts, done = [0], [0], 0
    with (folder / "words.bin").open("wb") as word_file, (folder / "excerpts.bin").open("wb") as excerpts:
        while batch := list(islice(rows, _BATCH)):
            found: dict[str, list[int]] = {column: [] for column in _TYPES}
            signed: list[np.ndarray] = []
            for row in batch:
                parts = _parts(row)
                numbers = hashed(words(f"{parts.prompt}\n{parts.response}\n{parts.rejected}"))
                _facts(row, parts, names, found)
                signed.append(signature(numbers))
                word_starts.append(word_starts[-1] + len(numbers))
                word_file.write(numbers.tobytes())
                shown = json.dumps([row.id, _excerpt(parts)]).encode()
                excerpt_starts.append(excerpt_starts[-1] + len(shown))
                excerpts.write(shown)
            for column, values in found.items():
                chunks[column].append(np.array(values, dtype=_TYPES[column]))
            signatures.append(np.stack(signed))
            done += len(batch)
            tick(done)
    for column, values in chunks.items():
        np.save(folder / f"{column}.npy", np.concatenate([np.zeros(0, dtype=_TYPES[column]), *values]))
    np.save(folder / "signatures.npy", np.concatenate([np.zeros((0, PERMUTATIONS), dtype=np.uint32), *signatures]))
    np.save(folder / "word_starts.npy", np.array(word_starts, dtype=np.int64))
    np.save(folder / "excerpt_starts.npy", np.array(excerpt_starts, dtype=np.int64))
    listed = {label: list(known.places) for label, known in names.items()}
    (folder / "names.json").write_text(json.dumps(listed), encoding="utf-8")


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
    whole = " ".join(f"{parts.prompt} → {parts.response}".split() if parts.prompt else parts.response.split())
    return whole if len(whole) <= _EXCERPT else whole[: _EXCERPT - 1] + "…"
