"""A source: where rows are and how they are read."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self, cast

from pydantic import Field, NonNegativeInt, PositiveInt, field_validator, model_validator

from framework.converters.base import Converter
from framework.registry import Component, Plugin

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
    not_content: ClassVar[frozenset[str]] = frozenset({"max_bad_rows"})
    """Settings that do not change the rows: how much damage is borne, and where a file lies whose content is hashed."""
    format: Format = "auto"
    map: dict[str, str] = Field(default_factory=dict)
    """Renames columns before the format looks at them: ``{theirs: ours}``. ``answer.text`` and ``turns.0.value`` name
    fields inside a column, unless a column is called so."""
    max_rows: PositiveInt | None = None
    """Read the first so many records only."""
    max_tokens: PositiveInt | None = None
    """Read no row from the first on with which the stage would have more than so many tokens of this source, counted
    as it trains on them: with its tokenizer, and cut to its length."""
    max_bad_rows: NonNegativeInt = 0
    """More unreadable records than this stop the plan."""
    labels: dict[Literal["task", "topic", "slice"], str] = Field(default_factory=dict)
    """A label for all rows that do not carry their own."""

    convert: Annotated[Converter | None, Plugin("converters", optional=True)] = None
    """Makes rows of plain text into conversations; the name of a converter stands for its section with defaults."""

    @field_validator("map", mode="before")
    @classmethod
    def _flat(cls, value: Any) -> Any:
        """``map.answer.text=response`` on a command line makes a section in a section."""
        return dict(_flattened(cast("dict[Any, Any]", value), "")) if isinstance(value, dict) else value

    @field_validator("convert", mode="before")
    @classmethod
    def _named(cls, value: Any) -> Any:
        return {"kind": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _one_bound(self) -> Self:
        # A converter makes several rows of a record: no record would be the one at which a budget ends.
        if self.convert is not None and self.max_tokens is not None:
            raise ValueError("max_tokens and convert cannot be combined; bound the source with max_rows")
        return self

    def content(self) -> dict[str, Any]:
        """The settings that change the rows, as JSON values."""
        settings = self.model_dump(mode="json", exclude={*self.not_content, "convert"})
        if self.convert is not None:
            settings["convert"] = [self.convert.version, self.convert.model_dump(mode="json")]
        return settings

    @abstractmethod
    def files(self) -> list[Path]:
        """The files that hold the rows, sorted. Raises ``DataError`` naming the path when there are none."""

    @abstractmethod
    def records(self) -> Iterator[Record | Bad]:
        """All records in file order, unreadable ones as ``Bad``; never raises for the content of a file."""


def _flattened(section: dict[Any, Any], before: str) -> Iterator[tuple[str, Any]]:
    for name, value in section.items():
        if isinstance(value, dict):
            yield from _flattened(cast("dict[Any, Any]", value), f"{before}{name}.")
        else:
            yield f"{before}{name}", value
