"""All findings of a plan: every check asked, and errors softened where the user allows it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from framework.checks.base import Check, Finding, Level, Subject
from framework.data.cache import key_of
from framework.data.load import bounded
from framework.files import read_json, write_json
from framework.paths import home
from framework.profile.access import Profiles
from framework.registry import kinds
from framework.sources.base import Source

if TYPE_CHECKING:
    from framework.data.prepare import Prepared
    from framework.models import ModelFiles
    from framework.schema import Config, Kind

_ORDER: dict[Level, int] = {"error": 0, "warning": 1, "info": 2}
_VERSION = 3
"""Raised when the same rows and thresholds give other findings."""


def codes() -> list[str]:
    """The codes of all checks."""
    return [kind.upper() for kind in kinds("checks")]


def judge(
    config: Config,
    model: ModelFiles,
    prepared: Mapping[Kind, Prepared],
    order: list[Kind],
    evaluations: str = "",
    progress: Callable[[str, int, int], None] = lambda message, done, total: None,
    memory: Mapping[Kind, int] | None = None,
) -> list[Finding]:
    """All findings, errors first; those that the user allows as warnings.

    ``evaluations`` is a key of the suites and their items: findings on rows are kept for as long as it stays the same.
    ``memory`` holds the estimated bytes of the largest worker of each stage.
    """
    follows = config.model.instruct if config.model.instruct is not None else model.has_template
    sources = {kind: _as_read(config.data.of(kind).sources, prepared.get(kind)) for kind in order}
    profiles = Profiles(sources, progress)
    subject = Subject(config, order, prepared, follows, profiles, memory or {})
    found: list[Finding] = []
    for check in config.checks.all():
        found += _kept(check, subject, evaluations) if check.reads_rows else check.check(subject)
    allowed = set(codes()) if not config.checks.strict else set(config.checks.allow)
    softened = [
        replace(finding, level="warning") if finding.level == "error" and finding.code in allowed else finding
        for finding in found
    ]
    return sorted(softened, key=lambda finding: _ORDER[finding.level])


def _as_read(sources: Mapping[str, Source], prepared: Prepared | None) -> dict[str, Source]:
    """Sources whose budget of tokens is spent, as ones that end where reading them for the stage ended."""
    uses = prepared.sources if prepared else {}
    return {name: bounded(source, uses[name].records) if name in uses else source for name, source in sources.items()}


def _kept(check: Check, subject: Subject, evaluations: str) -> list[Finding]:
    """What a check of rows found, remembered by thresholds, evaluations and the content of the data."""
    sources = {
        kind: {name: [use.fingerprint, use.weight] for name, use in prepared.sources.items()}
        for kind, prepared in subject.prepared.items()
    }
    declared = {kind: subject.config.data.of(kind).contract.fingerprint() for kind in subject.prepared}
    parts: list[Any] = [_VERSION, check.model_dump(mode="json"), sources, declared, evaluations]
    file = home() / "cache" / "findings" / f"{key_of(parts)}.json"
    try:
        return [_parsed(record) for record in read_json(file)]
    except (OSError, ValueError, TypeError, KeyError):
        found = list(check.check(subject))
        write_json(file, [finding.public() for finding in found])
        return found


def _parsed(record: dict[str, Any]) -> Finding:
    examples = tuple(record.pop("examples"))
    return Finding(**record, examples=examples)
