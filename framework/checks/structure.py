"""STRUCTURE: rows that are not what the stage trains on, such as raw text in instruct or single responses in align."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, cast

from framework.checks._rows import examples, where
from framework.checks.base import Check, Finding, Subject
from framework.data.rows import RowKind
from framework.registry import component, kinds

_WANTED = {
    "sft": (("conversation",), "instruction-response pairs"),
    "clm": (("text", "conversation"), "text or instruction-response pairs"),
    "pair": (("pair",), "comparison pairs (prompt, chosen, rejected)"),
    "judged": (("judged", "pair"), "judged responses (prompt, completion, label) or comparison pairs"),
}
_SHOWN = {
    "text": "plain text",
    "conversation": "single responses",
    "pair": "comparison pairs",
    "judged": "judged responses",
}


class Structure(Check):
    """Rows that are not what the stage trains on, such as raw text in instruct or single responses in align."""

    kind: Literal["structure"] = "structure"

    def check(self, subject: Subject) -> Iterator[Finding]:
        """One finding for each source and kind of row that its stage cannot train on."""
        for stage, prepared in subject.prepared.items():
            wanted, shown = _WANTED[subject.config.objective(stage).rows]
            for name, use in prepared.sources.items():
                for kind, count in use.kinds.items():
                    if kind in wanted or not count:
                        continue
                    message = (
                        f"source {name}: {count:,} of {use.rows:,} rows are {_SHOWN[kind]}; {stage} trains on {shown}"
                    )
                    fix = f"move {name} to the stage that its rows are for, or convert it"
                    if stage == "align" and (methods := _methods(kind)):
                        fix = f"choose a method that learns from them ({', '.join(methods)}), or move or convert {name}"
                    shown = self._shown(subject, stage, name, kind)
                    yield Finding(self.code, "error", stage, message, fix, round(count / use.rows, 4), shown)

    def _shown(self, subject: Subject, stage: str, name: str, kind: RowKind) -> tuple[str, ...]:
        """Rows of the wrong kind; those of a replayed source are shown where it is at home."""
        profiles = subject.profiles.of(stage)
        if name not in profiles:
            return ()
        own = {name: profiles[name]}
        return examples(own, where(own, {name: own[name].is_kind(kind)}))


def _methods(kind: RowKind) -> list[str]:
    """The choices of align that train on rows of a kind."""
    found = ((name, cast("Any", component("objectives", name))) for name in kinds("objectives"))
    return [
        f"align={name}"
        for name, method in found
        if method.unit != "tokens" and not method.scores and kind in _WANTED[method.rows][0]
    ]


COMPONENT = Structure
