"""Findings, and the checks that make them."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast

from framework.registry import kinds

if TYPE_CHECKING:
    from framework.data.prepare import Prepared
    from framework.models import ModelFiles
    from framework.schema import Config, Kind

Level = Literal["error", "warning", "info"]
_ORDER: dict[Level, int] = {"error": 0, "warning": 1, "info": 2}


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check says."""

    code: str
    level: Level
    stage: str
    message: str
    fix: str

    def public(self) -> dict[str, Any]:
        """As plan.json shows it."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Subject:
    """What a check looks at."""

    config: Config
    order: list[Kind]
    prepared: Mapping[Kind, Prepared]
    follows_instructions: bool
    """Whether the model that the run starts from is tuned to follow instructions."""


class Check(Protocol):
    """A module of ``framework/checks``: its file name is its code in lower case."""

    def check(self, subject: Subject) -> Iterator[Finding]:
        """Yield what is wrong."""
        ...


def codes() -> list[str]:
    """The codes of all checks."""
    return [kind.upper() for kind in kinds("checks")]


def judge(config: Config, model: ModelFiles, prepared: Mapping[Kind, Prepared], order: list[Kind]) -> list[Finding]:
    """All findings, errors first; those that the user allows as warnings."""
    follows = config.model.instruct if config.model.instruct is not None else model.has_template
    subject = Subject(config, order, prepared, follows)
    found: list[Finding] = []
    for kind in kinds("checks"):
        check = cast("Check", importlib.import_module(f"framework.checks.{kind}"))
        found += check.check(subject)
    allowed = set(codes()) if not config.checks.strict else set(config.checks.allow)
    softened = [
        replace(finding, level="warning") if finding.level == "error" and finding.code in allowed else finding
        for finding in found
    ]
    return sorted(softened, key=lambda finding: _ORDER[finding.level])
