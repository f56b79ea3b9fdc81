"""Plug-ins: one file, one kind.

A folder of plug-ins (``adapters``, ``objectives``, ``sources``, ``suites``, ...) lists its kinds by file name. A
plug-in module defines one frozen pydantic class, a subclass of the folder's base, with its settings as fields and its
behaviour as methods, and names it ``COMPONENT``. Its ``kind`` field is the file's name. Heavy imports (torch and what
imports it) sit inside methods, so that planning stays free of them.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, dataclass_transform

from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import core_schema

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(Field,))
class _Frozen(type(BaseModel)):
    """Tells type checkers that sections are frozen: plug-ins may narrow ``kind``, and nothing assigns to a field."""


class Section(BaseModel, metaclass=_Frozen):
    """A part of the configuration: frozen, typed, and closed to unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Component(Section):
    """A section whose ``kind`` names the plug-in that reads it."""

    folder: ClassVar[str]
    """Name of the plug-in folder under ``framework/``; set by the folder's base class."""
    kind: str


@cache
def kinds(folder: str) -> tuple[str, ...]:
    """The kinds that a folder of plug-ins offers, by file name; ``base`` and private files are not kinds."""
    path = Path(__file__).parent / folder
    names = (module.name for module in pkgutil.iter_modules([str(path)]))
    return tuple(sorted(name for name in names if name != "base" and not name.startswith("_")))


@cache
def component(folder: str, kind: str) -> type[Component]:
    """The plug-in class of a kind. Raises ``KeyError`` when the folder has no such kind."""
    if kind not in kinds(folder):
        raise KeyError(f"{folder} has no kind {kind!r}; it has {', '.join(kinds(folder))}")
    found: type[Component] = importlib.import_module(f"framework.{folder}.{kind}").COMPONENT
    return found


class Plugin:
    """Annotation that parses a section as whichever plug-in its ``kind`` names.

    ``Annotated[Adapter, Plugin("adapters")]`` becomes a tagged union over the folder's kinds, so that errors inside a
    plug-in's settings carry their full path and are reported with all others. ``optional`` lets ``null`` stand too.
    """

    def __init__(self, folder: str, *, optional: bool = False) -> None:
        self.folder = folder
        self.optional = optional

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        choices = {kind: handler.generate_schema(component(self.folder, kind)) for kind in kinds(self.folder)}
        union = core_schema.tagged_union_schema(choices, discriminator="kind")
        return core_schema.nullable_schema(union) if self.optional else union
