"""A source: where rows are and how they are read."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from framework.registry import Component

Format = Literal[
    "auto",
    "instruction",
    "messages",
    "sharegpt",
    "prompt_completion",
    "text",
    "preference",
    "binary_preference",
]


@dataclass(frozen=True, slots=True)
class Record:
    """A row as it stands in the file, with the place to name when it is bad."""

    fields: dict[str, Any]
    where: str
    """``file:line`` (or ``file:row`` where a format has no lines)."""


@dataclass(frozen=True, slots=True)
class Bad:
    """A row that could not be read: why (a short, countable reason) and where."""

    reason: str
    where: str


class Source(Component):
    """Settings that every kind of source has. Subclasses only read records; formats turn them into rows."""

    folder: ClassVar[str] = "sources"
    format: Format = "auto"
    map: dict[str, str] = Field(default_factory=dict)
    """Renames columns before the format looks at them: ``{theirs: ours}``."""
    max_rows: PositiveInt | None = None
    """Read the first so many records only."""
    max_bad_rows: NonNegativeInt = 0
    """More unreadable records than this stop the plan."""
    labels: dict[Literal["task", "topic", "slice"], str] = Field(default_factory=dict)
    """A label for all rows that do not carry their own."""

    @abstractmethod
    def files(self) -> list[Path]:
        """The files that hold the rows, sorted. Raises ``DataError`` naming the path when there are none."""

    @abstractmethod
    def records(self) -> Iterator[Record | Bad]:
        """All records in file order, unreadable ones as ``Bad``; never raises for the content of a file."""
