"""The record of an audit, put together from a plan."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from typing import TypeVar

from framework.audit.counts import histogram, lengths, source_audit, values
from framework.audit.rows import Rows, duplicates, leaks, shown_findings
from framework.checks.base import Check
from framework.checks.coverage import Coverage
from framework.checks.duplicate import Duplicate
from framework.checks.leak import Leak
from framework.findings import codes
from framework.plan import Plan, StagePlan
from framework.profile.access import Profiles
from framework.profile.summary import Labelled, labelled, manners
from framework.report.audit_records import AuditFile, Manners, StageAudit, Values

Progress = Callable[[str, int, int], None]
_C = TypeVar("_C", bound=Check)


def audit(plan: Plan, command: str, progress: Progress) -> AuditFile:
    """Look at the data of every stage of a plan.

    Raises ``DataError`` when a source can no longer be read.
    """
    config = plan.config
    profiles = Profiles({stage.kind: config.data.of(stage.kind).sources for stage in plan.stages}, progress)
    show = config.audit.show_harmful
    stages: list[StageAudit] = []
    for stage in plan.stages:
        progress(f"{stage.kind}: duplicates and leaks", 0, 0)
        stages.append(_stage(plan, stage, Rows(profiles.of(stage.kind), show), profiles))
    return AuditFile(
        name=config.name,
        model=config.model.name or config.model.path,
        seed=config.seed,
        plan_key=plan.key,
        created=time.time(),
        command=command,
        shows_harmful=show,
        checks=codes(),
        findings=list(shown_findings(plan.findings, profiles, show)),
        stages=stages,
    )


def _stage(plan: Plan, stage: StagePlan, rows: Rows, access: Profiles) -> StageAudit:
    config, profiles, prepared = plan.config, rows.profiles, stage.prepared
    found = lengths(stage)
    return StageAudit(
        name=stage.label,
        kind=stage.kind,
        steps=prepared.steps,
        tokens=prepared.tokens,
        supervised_tokens=prepared.supervised_tokens,
        max_length=stage.settings.max_length,
        unit=config.data.of(stage.kind).mix.unit,
        sources={name: source_audit(config.data, stage, name, found.get(name)) for name in prepared.sources},
        lengths=histogram(found, stage.settings.max_length),
        tasks=values(labelled(profiles, "task"), {}),
        topics=_topics(plan, stage, rows, access),
        manners={name: Manners(**asdict(manners(profile))) for name, profile in profiles.items()},
        duplicates=duplicates(rows, _check(plan, Duplicate)),
        leaks=list(leaks(rows, _check(plan, Leak), config.eval.suites)),
    )


def _topics(plan: Plan, stage: StagePlan, rows: Rows, access: Profiles) -> Values:
    """Topics as COVERAGE sees them where topics are declared, else those that rows carry."""
    declared = plan.config.data.of(stage.kind).contract.read()
    if not (declared.topics or any(asked.topic for asked in declared.asked)):
        return values(labelled(rows.profiles, "topic"), {})
    found = _check(plan, Coverage).compared(declared, access)
    return values(Labelled(found.held.total() + found.unknown, found.unknown, found.held), found.asked)


def _check(plan: Plan, kind: type[_C]) -> _C:
    """A check with this run's thresholds."""
    return next(check for check in plan.config.checks.all() if isinstance(check, kind))
