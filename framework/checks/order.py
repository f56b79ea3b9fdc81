"""ORDER: stages in an order that undoes what they teach.

Domain training on a model that does not follow instructions yet costs instruction following (catastrophic forgetting),
and instruct training after it costs knowledge; preferences are judged over what the model knows, so they come last.
A reward model is beside the policy: where it stands decides what it starts from, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from framework.checks.base import Check, Finding, Subject

_RIGHT = ("instruct", "domain", "reward", "align")


class Order(Check):
    """Stages in an order that undoes what they teach."""

    kind: Literal["order"] = "order"

    def check(self, subject: Subject) -> Iterator[Finding]:
        """Stages twice, stages before those they build on or replay, and stages that build on none."""
        order = subject.order
        right = [kind for kind in _RIGHT if kind in order]
        fix = f"put them in order: stage.order=[{','.join(right)}]"
        for kind in dict.fromkeys(order):
            if order.count(kind) > 1:
                yield Finding(
                    self.code, "error", kind, f"{kind} stands {order.count(kind)} times in the stage order", fix
                )
        first = {kind: order.index(kind) for kind in dict.fromkeys(order)}
        if "domain" in first and first.get("instruct", -1) > first["domain"]:
            message = "domain comes before instruct: knowledge is taught to a model that the next stage changes again"
            yield Finding(self.code, "error", "domain", message, fix)
        if "align" in first:
            for kind in ("instruct", "domain"):
                if first.get(kind, -1) > first["align"]:
                    message = f"align comes before {kind}: preferences are learnt over answers that {kind} then changes"
                    yield Finding(self.code, "error", "align", message, fix)
        later = [kind for kind in ("instruct", "domain") if first.get(kind, -1) > first.get("reward", len(order))]
        if later:
            message = f"reward comes before {' and '.join(later)}: the reward model starts from a policy without that"
            yield Finding(self.code, "warning", "reward", message, fix)
        for kind in order:
            for other in subject.config.data.of(kind).mix.replay.keys() - subject.config.replayed(kind).keys():
                message = f"{kind} replays nothing of {other}, which only comes later in this order"
                yield Finding(
                    self.code, "info", kind, message, f"put {other} first, or remove data.{kind}.mix.replay.{other}"
                )
        if not subject.follows_instructions and "instruct" not in first:
            message = f"{order[0]} on a base model that was never taught to follow instructions"
            remedy = "put instruct first, or start from an instruction-tuned model"
            yield Finding(self.code, "error", order[0], message, remedy)


COMPONENT = Order
