"""Rows for people to look at: those that findings name, groups of duplicates, and leaked items."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from framework.checks.base import Finding
from framework.checks.duplicate import Duplicate
from framework.checks.leak import Leak as LeakCheck
from framework.profile.access import Profiles
from framework.profile.columns import Profile
from framework.report.audit_records import AuditFinding, Duplicates, Group, Leak, LeakedItem, Repeated, ShownRow
from framework.suites.base import Suite

_GROUPS = 20
"""Groups of duplicates that are shown."""
_ROWS = 3
"""Rows that are shown of a group."""
_ITEMS = 10
"""Leaked items that are shown of a suite."""


class Rows:
    """The rows of a stage's own sources, to be shown to people."""

    def __init__(self, profiles: dict[str, Profile], show_harmful: bool) -> None:
        self.profiles = profiles
        self._withheld = {name: None if show_harmful else profile.flag("harmful") for name, profile in profiles.items()}

    def shown(self, source: str, row: int) -> ShownRow:
        """A row, without its text where the prompt seems harmful."""
        (sample,) = self.profiles[source].samples([row])
        withheld = self._withheld[source]
        hidden = withheld is not None and bool(withheld[row])
        return ShownRow(row=f"{source} {sample.id}", text=None if hidden else sample.text)

    def withheld(self) -> Iterator[tuple[str, str]]:
        """Excerpts that must not be shown: as findings write them, and what may be said instead."""
        for name, mask in self._withheld.items():
            if mask is not None:
                for sample in self.profiles[name].samples(mask.nonzero()[0].tolist()):
                    yield f"{name} {sample.id}: {sample.text}", f"{name} {sample.id}"


def shown_findings(findings: list[Finding], profiles: Profiles, show_harmful: bool) -> Iterator[AuditFinding]:
    """The findings with their rows; texts are withheld where the prompt seems harmful."""
    withheld: dict[str, dict[str, str]] = {}
    for finding in findings:
        if finding.examples and finding.stage not in withheld:
            withheld[finding.stage] = dict(Rows(profiles.of(finding.stage), show_harmful).withheld())
        examples: list[ShownRow] = []
        for words in finding.examples:
            row = withheld[finding.stage].get(words)
            head, _, text = words.partition(": ")
            examples.append(ShownRow(row=head, text=text) if row is None else ShownRow(row=row, text=None))
        yield AuditFinding.model_validate({**finding.public(), "examples": examples})


def duplicates(rows: Rows, check: Duplicate) -> Duplicates:
    """Repeated rows of a stage by source, and the largest groups of them."""
    found = check.repeats(rows.profiles)
    sizes = np.bincount(found.first, minlength=len(found.places))
    # Largest first, ties in the order of the data.
    order = np.argsort(-sizes, kind="stable")
    groups = order[sizes[order] > 1]
    within: dict[str, Repeated] = {}
    start = 0
    for name, profile in rows.profiles.items():
        part = slice(start, start + profile.rows)
        exact, near = int(found.exact[part].sum()), int(found.near[part].sum())
        within[name] = Repeated(rows=profile.rows, exact=exact, near=near)
        start += profile.rows
    largest: list[Group] = []
    for group in groups[:_GROUPS].tolist():
        members = np.flatnonzero(found.first == group)
        largest.append(
            Group(
                rows=len(members),
                exact=bool(found.exact[members[1:]].all()),
                sources=dict(Counter(found.places[member][0] for member in members.tolist())),
                examples=_some(rows, (found.places[member] for member in members[:_ROWS].tolist())),
            )
        )
    return Duplicates(
        similarity=check.similarity,
        rows=len(found.places),
        exact=int(found.exact.sum()),
        near=int(found.near.sum()),
        across=found.across(found.exact | found.near),
        prompts=int(check.repeated_prompts(rows.profiles).sum()),
        sources=within,
        groups=len(groups),
        largest=largest,
    )


def leaks(rows: Rows, check: LeakCheck, suites: Mapping[str, Suite]) -> Iterator[Leak]:
    """Every suite against the rows of a stage; suites without a leak as well."""
    loaded = {name: suite.load() for name, suite in suites.items()}
    found = check.leaked(loaded, rows.profiles)
    for name, items in loaded.items():
        pairs = found[name]
        first = dict(reversed(pairs))
        yield Leak(
            suite=name,
            items=len(items),
            leaked=len(first),
            rows=len({row for _, row in pairs}),
            examples=[LeakedItem(item=items[item].id, row=rows.shown(*first[item])) for item in sorted(first)[:_ITEMS]],
        )


def _some(rows: Rows, places: Iterable[tuple[str, int]]) -> list[ShownRow]:
    return [rows.shown(*place) for place in places]
