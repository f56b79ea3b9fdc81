"""Data sets of the Hugging Face hub, at a pinned revision."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field, PositiveInt, field_validator, model_validator

from framework.errors import DataError, Problem
from framework.sources._files import below, printable
from framework.sources._hub_files import Repository, Stream, Whole
from framework.sources._kinds import kind_of, reader
from framework.sources._opened import Readable
from framework.sources._repository import CARD, choose
from framework.sources.base import Bad, Record, Source


class Hub(Source):
    """A data set by id, or a directory that is laid out like one. Its files are read by the sources of their kinds.

    Loading scripts never run: data sets that need one are refused.
    """

    not_content: ClassVar[frozenset[str]] = Source.not_content | {"streaming"}
    kind: Literal["hub"] = "hub"
    id: str = Field(min_length=1)
    """``ORGANISATION/NAME``, or a directory: a path that starts with ``/``, ``./``, ``../`` or ``~``."""
    revision: str | None = None
    """The full hash of a commit; a directory has none."""
    subset: str | None = None
    """A subset that the data set's card declares; where it declares none, a folder."""
    split: str = "train"
    path: str | None = None
    """A pattern of files, instead of subset and split: ``**/*.jsonl.gz``."""
    streaming: bool | None = None
    """Read rows as they come instead of fetching files whole; by default with ``max_rows`` or ``max_tokens``."""
    chunk_chars: PositiveInt = 1200
    """As of ``text``."""

    @field_validator("revision")
    @classmethod
    def _pinned(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"[0-9a-f]{40}", value):
            raise ValueError("must be the full hash of a commit (40 hex digits), since a branch or tag moves")
        return value

    @model_validator(mode="after")
    def _whole(self) -> Hub:
        if self._local and self.revision is not None:
            raise ValueError("a directory has no revision: leave it out")
        if not self._local and self.revision is None:
            raise ValueError("revision is required: the full hash of a commit (40 hex digits)")
        if not self._local and not re.fullmatch(r"[\w.-]+/[\w.-]+", self.id, re.ASCII):
            raise ValueError("id must be ORGANISATION/NAME, or a directory that starts with /, ./, ../ or ~")
        if self.path and (self.subset is not None or "split" in self.model_fields_set):
            raise ValueError("path stands for subset and split: give either")
        return self

    @property
    def _local(self) -> bool:
        return self.id.startswith(("/", "./", "../", "~"))

    def content(self) -> dict[str, Any]:
        """The settings that change the rows; of a directory the content stands for its place."""
        found = super().content()
        return {name: value for name, value in found.items() if name != "id"} if self._local else found

    def files(self) -> list[Path]:
        """The files of a directory; none of a data set on the hub, where the revision stands for the content."""
        return [path for path in self._found().values() if isinstance(path, Path)] if self._local else []

    def records(self) -> Iterator[Record | Bad]:
        """All records, in order of the files' names."""
        for name, file in self._found().items():
            kind = kind_of(name)
            assert kind is not None  # others are not chosen
            yield from reader(kind, chunk_chars=self.chunk_chars).read(file, printable(name))

    def _found(self) -> dict[str, Readable]:
        """The files that hold the rows, by their path in the repository; what is streamed is opened later."""
        return dict(self._in_folder() if self._local else self._on_hub())

    def _in_folder(self) -> Iterator[tuple[str, Path]]:
        try:
            folder = Path(self.id).expanduser()
            if not folder.is_dir():
                raise DataError([Problem("id", f"there is no directory {folder}", "check the path")])
            held = {path.relative_to(folder).as_posix(): path for path in below(folder, lambda name: True)}
            card = held[CARD].read_text(encoding="utf-8", errors="replace") if CARD in held else ""
        except (OSError, ValueError, RuntimeError) as error:
            raise DataError([Problem("id", f"{self.id} cannot be read: {error}", "check the path")]) from error
        for name in choose(list(held), card, self.subset, self.split, self.path):
            yield name, held[name]

    def _on_hub(self) -> Iterator[tuple[str, Readable]]:
        assert self.revision is not None  # the validator has asked
        repository = Repository(self.id, self.revision)
        sizes = repository.paths()
        card = ""
        if CARD in sizes and not self.path:
            card = repository.fetch(CARD).read_text(encoding="utf-8", errors="replace")
        names = choose(list(sizes), card, self.subset, self.split, self.path)
        bounded = self.max_rows is not None or self.max_tokens is not None
        for name in names:
            whole = not bounded if self.streaming is None else not self.streaming
            yield name, Whole(repository, name) if whole else Stream(repository, name, sizes[name])


COMPONENT = Hub
