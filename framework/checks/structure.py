"""STRUCTURE: rows that are not what the stage trains on, such as raw text in instruct or single responses in align."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from framework.checks.base import Check, Finding, Subject

_WANTED = {
    "sft": (("conversation",), "instruction-response pairs"),
    "clm": (("text", "conversation"), "text or instruction-response pairs"),
    "pair": (("pair",), "comparison pairs (prompt, chosen, rejected)"),
    "judged": (("judged",), "judged responses (prompt, completion, label)"),
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
                    yield Finding(self.code, "error", stage, message, fix)


COMPONENT = Structure
