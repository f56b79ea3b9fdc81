"""audit.json as typed records: what ``do=audit`` writes and ``audit.html`` shows. docs/audit.md explains the fields."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from framework.report.records import Amount, Count, Finding, Record

VERSION = 1
"""Raised when a field changes its meaning or goes; new fields leave it as it is."""


class ShownRow(Record):
    """A row for people to look at."""

    row: str
    """Source and id."""
    text: str | None
    """An excerpt; null when it is withheld because the row's prompt seems harmful."""


class AuditFinding(Finding):
    """A finding with its figure and rows."""

    measured: float | None = None
    examples: list[ShownRow] = Field(default_factory=list[ShownRow])


class Left(Record):
    """Rows left out for one reason."""

    count: Count
    first: str
    """``file:line`` or id of the first."""


class Lengths(Record):
    """Tokens of a source's sequences."""

    median: Count
    p95: Count
    longest: Count


class Histogram(Record):
    """Sequences by length: ``counts[i]`` have more than ``edges[i]`` and at most ``edges[i + 1]`` tokens."""

    edges: list[Count]
    counts: list[Count]
    at_limit: Count
    """Sequences of exactly ``max_length`` tokens."""


class SourceAudit(Record):
    """One source of a stage."""

    kind: str
    location: str
    replayed: bool = False
    """Whether it is an earlier stage's source."""
    format: str
    records: Count
    """Readable or not."""
    rows: Count
    """Readable."""
    dropped: dict[str, Left]
    """Rows left out, unreadable ones included, by reason."""
    truncated: Count
    rows_used: Count
    """Different rows trained on."""
    sequences: Count
    """Sequences or pairs trained on, repetitions included."""
    tokens: Count
    supervised_tokens: Count
    epochs: Amount
    planned: Amount
    realised: Amount
    lengths: Lengths | None = None


class Valued(Record):
    """Rows that carry one value of a label."""

    value: str
    rows: Count
    share: Amount
    """Of the rows that have a value."""
    target: Amount | None = None
    """The share that the stage's contract asks for."""


class Values(Record):
    """Rows of a stage by a label."""

    rows: Count
    without: Count
    """Rows that have no value."""
    effective: Amount
    """The exponential of the entropy of the shares."""
    values: list[Valued]
    """The most frequent, and those with a target."""
    unlisted: Count
    """Further values."""
    unlisted_rows: Count


class Manners(Record):
    """How the replies of a source behave."""

    rows: Count
    spoken: Count
    """Rows with a reply."""
    refuses: Count
    asks_back: Count
    harmful: Count
    """Rows whose prompt seems harmful."""
    answered: Count
    """Of these, the ones whose reply does not refuse."""


class Repeated(Record):
    """Repeated rows of a source."""

    rows: Count
    exact: Count
    near: Count


class Group(Record):
    """Rows that repeat one another."""

    rows: Count
    exact: bool
    """Whether all are the same to the letter."""
    sources: dict[str, Count]
    examples: list[ShownRow]


class Duplicates(Record):
    """Repeated rows of a stage."""

    similarity: Amount
    """From which two rows count as near duplicates."""
    rows: Count
    exact: Count
    near: Count
    across: Count
    """Repeated rows whose first stands in another source."""
    prompts: Count
    """Rows that repeat an earlier row's prompt."""
    sources: dict[str, Repeated]
    groups: Count
    largest: list[Group]


class LeakedItem(Record):
    """An item of a suite and a row that holds it."""

    item: str
    row: ShownRow


class Leak(Record):
    """A suite against the rows of a stage."""

    suite: str
    items: Count
    leaked: Count
    rows: Count
    """Rows that hold a leaked item."""
    examples: list[LeakedItem]


class StageAudit(Record):
    """One stage."""

    name: str
    kind: str
    steps: Count
    tokens: Count
    supervised_tokens: Count
    max_length: Count
    unit: Literal["tokens", "examples"]
    """What shares are counted in."""
    sources: dict[str, SourceAudit]
    lengths: Histogram | None = None
    tasks: Values
    topics: Values
    manners: dict[str, Manners]
    duplicates: Duplicates
    leaks: list[Leak]


class AuditFile(Record):
    """audit.json."""

    version: int = VERSION
    name: str
    model: str
    seed: int
    plan_key: str
    created: Amount
    """Seconds since 1970."""
    command: str
    shows_harmful: bool
    checks: list[str]
    """Codes of all checks that were asked."""
    findings: list[AuditFinding]
    stages: list[StageAudit]
