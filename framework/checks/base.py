"""A check: what one code of the catalogue finds in a plan, with its thresholds as settings."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from framework.registry import Component

if TYPE_CHECKING:
    from framework.data.prepare import Prepared
    from framework.profile.access import Profiles
    from framework.schema import Config, Kind

Level = Literal["error", "warning", "info"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check says."""

    code: str
    level: Level
    stage: str
    message: str
    fix: str
    measured: float | None = None
    """The figure that was held against the threshold."""
    examples: tuple[str, ...] = ()
    """Up to three rows: id and excerpt."""

    def public(self) -> dict[str, Any]:
        """As plan.json shows it."""
        return {**asdict(self), "examples": list(self.examples)}


@dataclass(frozen=True, slots=True)
class Subject:
    """What a check looks at."""

    config: Config
    order: list[Kind]
    prepared: Mapping[Kind, Prepared]
    follows_instructions: bool
    """Whether the model that the run starts from is tuned to follow instructions."""
    profiles: Profiles
    """Facts of the rows, by stage and source; made when first asked for."""
    memory: Mapping[Kind, int] = field(default_factory=dict[Any, int])
    """By stage: the estimated bytes of its largest worker."""


class Check(Component):
    """Settings (thresholds, each with the reason for its default) and behaviour of a check.

    The file's name in capitals is the check's code. ``checks.NAME.FIELD=VALUE`` sets a threshold.
    """

    folder: ClassVar[str] = "checks"
    reads_rows: ClassVar[bool] = False
    """Whether it asks for profiles: its findings are then kept until data or thresholds change."""

    @property
    def code(self) -> str:
        """The stable code of its findings."""
        return self.kind.upper()

    @abstractmethod
    def check(self, subject: Subject) -> Iterator[Finding]:
        """Yield what is wrong."""
