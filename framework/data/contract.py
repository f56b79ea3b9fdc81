"""What a domain stage must cover: topics that are declared, and a sample of what users will ask."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

from pydantic import Field

from framework.data.cache import file_digest
from framework.errors import DataError, Problem
from framework.paths import resolve
from framework.registry import Section, component
from framework.sources.base import Bad, Source

_KINDS = {".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json", ".csv": "csv", ".parquet": "parquet", ".txt": "text"}
_TEXTS = ("text", "prompt", "question", "instruction")
_CONTEXTS = ("context", "input")
_TOPIC_KEYS = frozenset({"topic", "area", "head", "share", "terms"})


@dataclass(frozen=True, slots=True)
class Topic:
    """A declared topic."""

    name: str
    share: float | None = None
    """Share of what users will ask, where it is declared."""
    tail: bool = False
    """Declared as rare (``head: false``)."""
    terms: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Asked:
    """One input of the deployment sample; the topic is empty where the row has none."""

    text: str
    topic: str


@dataclass(frozen=True, slots=True)
class Declared:
    """Everything that a contract declares."""

    topics: tuple[Topic, ...] = ()
    terms: tuple[str, ...] = ()
    asked: tuple[Asked, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.topics or self.terms or self.asked)


class Contract(Section):
    """What a stage's data is held against; COVERAGE, RELEVANCE, MISUSE and EDGE read it."""

    taxonomy: str | None = None
    """A JSON file ``{"topics": [{"topic", "share", "head", "terms"}], "terms": [...]}``, optional but ``topic``."""
    deployment: str | None = None
    """A sample of what users will ask: rows with ``text``, ``prompt``, ``question`` or ``instruction``, or
    ``messages``; their ``topic`` is read where they have one."""
    topics: dict[str, float] = Field(default_factory=dict)
    """Topics and their shares of what users will ask; they replace the shares of the taxonomy."""
    terms: list[str] = Field(default_factory=list)
    """Words and phrases of the domain, besides the taxonomy's."""

    def read(self) -> Declared:
        """Files and settings put together. Raises ``DataError`` with paths relative to this section."""
        topics, terms = _taxonomy(self.taxonomy, *_stamp("taxonomy", self.taxonomy)) if self.taxonomy else ((), ())
        known = {topic.name: topic for topic in topics}
        given = tuple(replace(known.get(name, Topic(name)), share=share) for name, share in _shares(self.topics))
        asked = _deployment(self.deployment, *_stamp("deployment", self.deployment)) if self.deployment else ()
        merged = (*given, *(topic for topic in topics if topic.name not in self.topics))
        return Declared(merged, (*terms, *self.terms), asked)

    def fingerprint(self) -> list[Any]:
        """Plain values that change when what is declared does."""
        files = [file_digest(resolve(path)) if path else "" for path in (self.taxonomy, self.deployment)]
        return [self.model_dump(mode="json"), files]


def _shares(given: dict[str, float]) -> list[tuple[str, float | None]]:
    """Shares that sum to 1; none when all are 0."""
    wrong = [name for name, share in given.items() if share < 0]
    if wrong:
        raise DataError([Problem(f"topics.{name}", "a share is not negative", "use 0 or more") for name in wrong])
    total = sum(given.values())
    return [(name, share / total if total else None) for name, share in given.items()]


def _stamp(key: str, path: str) -> tuple[str]:
    """The content's digest: what is remembered of a file is forgotten when the file changes."""
    try:
        return (file_digest(resolve(path)),)
    except OSError:
        fix = "give the path of a file; relative ones start at the current folder, then at the project"
        raise DataError([Problem(key, f"there is no readable file {path}", fix)]) from None


@lru_cache(maxsize=8)
def _taxonomy(path: str, digest: str) -> tuple[tuple[Topic, ...], tuple[str, ...]]:
    fix = 'the file holds {"topics": [{"topic": NAME, "share": 0.1, "head": true, "terms": [...]}], "terms": [...]}'
    try:
        value = json.loads(resolve(path).read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise DataError([Problem("taxonomy", f"{path} is not JSON: {error}", fix)]) from None
    wrong = list(_wrong(value))
    if wrong:
        raise DataError([Problem("taxonomy", f"{path}: {message}", fix) for message in wrong])
    topics = tuple(
        Topic(
            entry["topic"],
            float(entry["share"]) if "share" in entry else None,
            entry.get("head") is False,
            tuple(entry.get("terms", ())),
        )
        for entry in value.get("topics", [])
    )
    return topics, tuple(value.get("terms", []))


def _wrong(value: Any) -> Iterator[str]:
    """What is not as a taxonomy should be."""
    if not isinstance(value, dict) or not (value.get("topics") or value.get("terms")):
        yield "there are neither topics nor terms"
        return
    known = cast("dict[str, Any]", value)
    if not _texts(known.get("terms", [])):
        yield "terms is not a list of words"
    topics: Any = known.get("topics", [])
    if not isinstance(topics, list):
        yield "topics is not a list"
        return
    seen: set[str] = set()
    for place, entry in enumerate(cast("list[Any]", topics)):
        at = f"topics[{place}]"
        if not isinstance(entry, dict) or not isinstance(entry.get("topic"), str) or not entry["topic"].strip():
            yield f"{at} has no topic"
            continue
        fields = cast("dict[str, Any]", entry)
        share = fields.get("share", 0)
        if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 <= share <= 1:
            yield f"{at}.share is not a number from 0 to 1"
        if not isinstance(fields.get("head", True), bool):
            yield f"{at}.head is neither true nor false"
        if not _texts(fields.get("terms", [])):
            yield f"{at}.terms is not a list of words"
        if unknown := sorted(fields.keys() - _TOPIC_KEYS):
            yield f"{at} has unknown keys: {', '.join(unknown)}"
        if fields["topic"] in seen:
            yield f"{at} names {fields['topic']!r} again"
        seen.add(fields["topic"])


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(part, str) for part in cast("list[Any]", value))


@lru_cache(maxsize=8)
def _deployment(path: str, digest: str) -> tuple[Asked, ...]:
    found: list[Asked] = []
    wrong: list[str] = []
    for record in _source(path).records():
        text = "" if isinstance(record, Bad) else _asked(record.fields)
        if isinstance(record, Bad) or not text.strip():
            wrong.append(f"{record.where} ({record.reason if isinstance(record, Bad) else 'no text'})")
            continue
        topic = record.fields.get("topic")
        found.append(Asked(text, topic if isinstance(topic, str) else ""))
    fix = f"a row has one of {', '.join(_TEXTS)} or messages, and may have a topic"
    if wrong:
        message = f"{path}: {len(wrong):,} rows cannot be used, the first being {wrong[0]}"
        raise DataError([Problem("deployment", message, fix)])
    if not found:
        raise DataError([Problem("deployment", f"{path} has no rows", fix)])
    return tuple(found)


def _source(path: str) -> Source:
    suffixes = Path(path).suffixes
    while suffixes and suffixes[-1] in (".gz", ".zst"):
        suffixes.pop()
    kind = _KINDS.get(suffixes[-1].lower()) if suffixes else None
    if kind is None:
        fix = f"use a file that ends in {', '.join(_KINDS)}, plain, .gz or .zst"
        raise DataError([Problem("deployment", f"how to read {path} cannot be told from its ending", fix)])
    return cast("Source", component("sources", kind).model_validate({"kind": kind, "path": path}))


def _asked(fields: dict[str, Any]) -> str:
    """What a user asks in a record; empty when there is no such thing."""
    messages = fields.get("messages")
    if isinstance(messages, list):
        said = [turn for turn in cast("list[Any]", messages) if isinstance(turn, dict) and turn.get("role") == "user"]
        content = said[-1].get("content") if said else None
        return content if isinstance(content, str) else ""
    first = next((fields[name] for name in _TEXTS if isinstance(fields.get(name), str)), "")
    more = [fields[name] for name in _CONTEXTS if isinstance(fields.get(name), str)]
    return "\n\n".join(part for part in (first, *more) if part.strip()) if first else ""
