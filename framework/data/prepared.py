"""What a stage asks of its data, and what it gets: requests, exact counts, and where the packs are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from framework.data.convert import Conversion
from framework.data.encode import RowsKind
from framework.data.fit import Long
from framework.data.load import Dropped
from framework.data.mix import Mix
from framework.data.rows import RowKind
from framework.sources.base import Format, Source


@dataclass(frozen=True, slots=True)
class Request:
    """What a stage trains on."""

    name: str
    """The stage's name, for messages."""
    path: str
    """Dotted path of the stage's data, such as ``data.domain``: sources are named ``PATH.sources.NAME``."""
    rows: RowsKind
    sources: Mapping[str, Source]
    replay: Mapping[str, tuple[Mapping[str, Source], float]]
    """By earlier stage: its sources, and their share of this stage."""
    mix: Mix
    max_length: int
    long: Long
    epochs: float
    max_steps: int | None
    batch_tokens: int
    seed: int
    model_dir: Path
    margins: bool = False
    """Whether it takes the margins of pairs."""


@dataclass(frozen=True, slots=True)
class SourceUse:
    """What a run takes from one source. Counts are of what is trained on, after ``max_steps``."""

    rows: int
    """Rows that could be read."""
    rows_used: int
    """Different rows among those trained on."""
    units: int
    """Sequences or pairs trained on, repetitions included."""
    tokens: int
    supervised_tokens: int
    epochs: float
    """Passes over the trainable part of the source."""
    planned: float
    """Share of the stage that the mix asks for, before caps."""
    weight: float
    """Realised share of the stage, in the mix's unit."""
    fingerprint: str
    dropped: dict[str, Dropped]
    """Rows left out, unreadable ones included, by reason."""
    unreadable: dict[str, Dropped]
    truncated: int
    format: Format
    capped: bool
    kinds: dict[RowKind, int]
    no_target_rows: int
    records: int = 0
    """Rows and unreadable records up to where reading ended."""
    available_tokens: int = 0
    """Tokens of one pass over all that was read and can be trained on."""
    budget_spent: bool = False
    """Whether reading ended at ``max_tokens``, before the end of the source."""
    conversion: Conversion | None = None
    """What the source's converter did, where it has one."""
    margins: int = 0
    """Pairs trained on whose row states a margin, repetitions included; counted where the stage takes them."""
    negative_margins: int = 0
    """Of these, those that say that ``rejected`` is better."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A stage's packs (open ``directory`` with ``Packs.open``) and exact counts."""

    directory: Path
    fingerprint: str
    """Hash of everything that determines the packs."""
    sources: dict[str, SourceUse]
    """By name; a replayed source is ``replay:STAGE/NAME``."""
    steps: int
    packs: int
    packs_per_step: int
    capacity: int
    """Tokens of a pack."""
    tokens: int
    supervised_tokens: int
    packing_efficiency: float
    """Tokens over the packs' capacity."""
    units: int
    """Sequences, or pairs when rows are ``pair``."""
    units_per_step: float
    unproved: dict[str, dict[str, list[str]]]
    """By source and reason: the first row ids whose loss mask could not be proved."""


def parse(directory: Path, key: str) -> Prepared:
    """What preparing wrote into a folder of packs."""
    value: dict[str, Any] = json.loads((directory / "prepared.json").read_text(encoding="utf-8"))
    sources = {name: _use(use) for name, use in value.pop("sources").items()}
    return Prepared(directory=directory, fingerprint=key, sources=sources, **value)


def _use(value: dict[str, Any]) -> SourceUse:
    fields = dict(value)
    for name in ("dropped", "unreadable"):
        fields[name] = {reason: Dropped(**entry) for reason, entry in value[name].items()}
    if fields.get("conversion") is not None:
        fields["conversion"] = Conversion(**fields["conversion"])
    return SourceUse(**fields)
