"""EDGE: data of easy cases alone: nothing ambiguous or unanswerable, no exceptions, tail slices with hardly a row.

A model that never saw a question back answers every ambiguous one with a guess (Min et al. 2020, AmbigQA,
arXiv:2004.10645), and one that never saw an unanswerable one makes something up (Rajpurkar et al. 2018, SQuAD 2.0,
arXiv:1806.03822). Rare topics are learnt in proportion to the rows that name them (Kandpal et al. 2023,
arXiv:2211.08411).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from framework.checks._rows import asked, examples, labelled, where
from framework.checks.base import Check, Finding, Subject

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from framework.profile.columns import Profile

_EDGES = frozenset({"ambiguous", "underspecified", "clarification", "unanswerable", "edge"})
"""Values of ``slice`` or ``task`` that say that a row is such a case."""
_EXCEPTIONS = (
    "unless except excepted exception exceptions exempt exempts exempted exemption notwithstanding "
    "however although otherwise nevertheless contraindicated provided regardless"
)
_SHORT = 60
"""Words up to which a prompt may be underspecified."""


class Edge(Check):
    """Labels ``slice``, ``task`` and ``topic`` where rows carry them, else rules over English replies and texts."""

    kind: Literal["edge"] = "edge"
    reads_rows: ClassVar[bool] = True
    min_ambiguous: float = Field(default=0.005, ge=0, le=1)
    """Share of instruct rows that ask back or say that the answer cannot be known: as many as REFUSAL asks for, 100 in
    20,000, since both are habits of declining to answer."""
    long: int = Field(default=128, ge=1)
    """Words from which a prompt is a long one: about a page's third. Where suites measure instruct, no more than their
    longest prompt has."""
    min_exceptions: float = Field(default=0.02, ge=0, le=1)
    """Share of domain rows that state an exception or a condition; one in fifty."""
    min_slice: int = Field(default=5, ge=1)
    """Rows of a slice, or of a topic declared as rare, below which it is not taught."""
    min_rows: int = Field(default=50, ge=1)
    """Fewer rows say nothing about shares."""

    def check(self, subject: Subject) -> Iterator[Finding]:
        """Of instruct: ambiguous cases, long prompts; of domain: exceptions, rare topics; of both: thin slices."""
        for stage in ("instruct", "domain"):
            if stage not in subject.prepared:
                continue
            profiles = subject.profiles.of(stage)
            if sum(profile.rows for profile in profiles.values()) < self.min_rows:
                continue
            yield from self._instruct(subject, profiles) if stage == "instruct" else self._domain(subject, profiles)
            yield from self._slices(stage, profiles)

    def _instruct(self, subject: Subject, profiles: dict[str, Profile]) -> Iterator[Finding]:
        total = sum(profile.rows for profile in profiles.values())
        edges = {name: _is_edge(profile) for name, profile in profiles.items()}
        count = sum(int(mask.sum()) for mask in edges.values())
        if count < self.min_ambiguous * total:
            message = (
                f"{count:,} of {total:,} replies ({count / total:.2%}) ask back or say that it cannot be known: "
                f"ambiguous and unanswerable requests are missing"
            )
            fix = "add requests that lack something, with replies that ask for it, and questions that have no answer"
            shown = examples(profiles, where(profiles, edges))
            yield Finding(self.code, "warning", "instruct", message, fix, round(count / total, 5), shown)
        longest = max(int(profile.counts("prompt_words").max(initial=0)) for profile in profiles.values())
        long = min(self.long, _longest_asked(subject) or self.long)
        if longest < long:
            message = f"the longest prompt has {longest} words: long inputs are not practised"
            fix = f"add tasks on texts of {long} words and more, if users will bring them"
            yield Finding(self.code, "info", "instruct", message, fix, float(longest))

    def _domain(self, subject: Subject, profiles: dict[str, Profile]) -> Iterator[Finding]:
        from framework.profile.vocabulary import counted, english, numbered

        judged = {name: english(profile) for name, profile in profiles.items()}
        total = sum(int(mask.sum()) for mask in judged.values())
        wanted = numbered(_EXCEPTIONS.split())
        found = {name: (counted(profile, wanted) > 0) & judged[name] for name, profile in profiles.items()}
        count = sum(int(mask.sum()) for mask in found.values())
        if total >= self.min_rows and count < self.min_exceptions * total:
            message = f"{count:,} of {total:,} rows ({count / total:.2%}) state an exception or a condition"
            fix = "add hard cases: exceptions, conditions and what holds otherwise"
            shown = examples(profiles, where(profiles, found))
            yield Finding(self.code, "warning", "domain", message, fix, round(count / total, 5), shown)
        tail = [topic.name for topic in subject.config.data.of("domain").contract.read().topics if topic.tail]
        if tail and labelled(profiles, "topic"):
            rows = _counts(profiles, "topic")
            thin = [name for name in tail if rows[name] < self.min_slice]
            if thin:
                message = f"{len(thin)} of {len(tail)} topics declared as rare have under {self.min_slice} rows"
                fix = f"add rows on {', '.join(thin[:5])}"
                measured = float(min(rows[name] for name in thin))
                yield Finding(self.code, "warning", "domain", f"{message}: {_named(thin, rows)}", fix, measured)

    def _slices(self, stage: str, profiles: dict[str, Profile]) -> Iterator[Finding]:
        rows = _counts(profiles, "slice")
        thin = [name for name, count in rows.items() if name and count < self.min_slice]
        if thin:
            message = f"{len(thin)} of {len(rows) - ('' in rows)} slices have under {self.min_slice} rows"
            fix = f"add rows of {', '.join(thin[:5])}"
            measured = float(min(rows[name] for name in thin))
            yield Finding(self.code, "warning", stage, f"{message}: {_named(thin, rows)}", fix, measured)


def _longest_asked(subject: Subject) -> int:
    """Words of the longest prompt in the suites that measure instruct; 0 without such suites."""
    from framework.profile.words import words

    suites = [suite for suite in subject.config.eval.suites.values() if suite.measures == "instruct"]
    return max((len(words(asked(item))) for suite in suites for item in suite.load()), default=0)


def _is_edge(profile: Profile) -> NDArray[np.bool_]:
    import numpy as np

    from framework.profile.vocabulary import counted, numbered

    # A request that lacks something is short, and does not ask for a question.
    short = profile.counts("prompt_words") <= _SHORT
    asks_back = profile.flag("asks_back") & short & (counted(profile, numbered(("question", "questions"))) == 0)
    found = asks_back | profile.flag("unknowable")
    for label in ("slice", "task"):
        places = [place for place, name in enumerate(profile.names[label]) if name in _EDGES]
        found |= np.isin(profile.column(label), places)
    return found


def _counts(profiles: dict[str, Profile], label: str) -> Counter[str]:
    import numpy as np

    found: Counter[str] = Counter()
    for profile in profiles.values():
        counts = np.bincount(np.asarray(profile.column(label)), minlength=len(profile.names[label]))
        for name, count in zip(profile.names[label], counts.tolist(), strict=True):
            found[name] += count if count else 0
    return +found


def _named(names: list[str], rows: Counter[str]) -> str:
    shown = ", ".join(f"{name} ({rows[name]})" for name in names[:5])
    return shown + (", ..." if len(names) > 5 else "")


COMPONENT = Edge
