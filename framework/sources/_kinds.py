"""Which kind of file source reads a file, by its name."""

from __future__ import annotations

from typing import Any

from framework.registry import component, kinds
from framework.sources._files import FileSource, plain_name


def kind_of(name: str) -> str | None:
    """The kind whose endings a file's name has, compression apart; ``None`` when there is none."""
    ending = plain_name(name)
    return next((kind for kind, suffixes in _endings() if ending.endswith(suffixes)), None)


def endings() -> str:
    """The endings that files can have, for messages."""
    return ", ".join(suffix for _, suffixes in _endings() for suffix in suffixes)


def reader(kind: str, **settings: Any) -> FileSource:
    """A source of a kind that reads the files it is handed; settings that it does not have are left out."""
    found = component("sources", kind)
    known = {name: value for name, value in settings.items() if name in found.model_fields}
    made = found.model_validate({"kind": kind, "path": "-", **known})
    assert isinstance(made, FileSource)
    return made


def _endings() -> list[tuple[str, tuple[str, ...]]]:
    found = ((kind, component("sources", kind)) for kind in kinds("sources"))
    return [(kind, made.suffixes) for kind, made in found if issubclass(made, FileSource)]
