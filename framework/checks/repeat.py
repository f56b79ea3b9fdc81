"""REPEAT: a source seen so often that more passes teach it by heart.

Up to about four epochs repeated tokens are worth nearly as much as new ones; beyond that their value falls fast
(Muennighoff et al. 2023, arXiv:2305.16264).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import PositiveFloat

from framework.checks.base import Check, Finding, Subject


class Repeat(Check):
    """A source seen so often that more passes teach it by heart."""

    kind: Literal["repeat"] = "repeat"
    worth: PositiveFloat = 4.0
    """Passes up to which repeated tokens are worth nearly as much as new ones (Muennighoff et al. 2023)."""

    def check(self, subject: Subject) -> Iterator[Finding]:
        """Sources whose cap binds, and sources repeated beyond what repetition is worth."""
        for stage, prepared in subject.prepared.items():
            for name, use in prepared.sources.items():
                if use.capped:
                    held = f"source {name} is held at {use.epochs:.1f} passes by its cap"
                    message = f"{held}; its share falls to {use.weight:.1%}"
                    fix = (
                        f"lower data.{stage}.mix.weights.{name}, add rows to {name}, or raise its cap in mix.max_epochs"
                    )
                    yield Finding(self.code, "warning", stage, message, fix, round(use.epochs, 2))
                elif use.epochs > self.worth:
                    message = f"source {name} is repeated {use.epochs:.1f} times"
                    fix = f"lower its weight, or add rows to {name}"
                    yield Finding(self.code, "warning", stage, message, fix, round(use.epochs, 2))


COMPONENT = Repeat
