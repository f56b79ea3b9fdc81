"""ENGINE: adapters that the engine cannot train, and settings of the engine that do nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from framework.checks.base import Check, Finding, Subject
from framework.devices import fast_dtype, visible_gpus


class Engine(Check):
    """Adapters that the engine cannot train, and settings of the engine that do nothing."""

    kind: Literal["engine"] = "engine"

    def check(self, subject: Subject) -> Iterator[Finding]:
        """Of the whole run, told for its first stage."""
        engine, adapter = subject.config.engine, subject.config.adapter
        stage = subject.order[0]
        if adapter.quantises and engine.zero == 3:
            # Measured: the loss of the first step is right, that of the second is not, and nothing is said.
            message = (
                f"adapter={adapter.kind} on ZeRO-3 trains without a word and wrongly: 4-bit weights cannot be sharded"
            )
            fix = "use engine=zero2, which shares out all but the weights"
            yield Finding(self.code, "error", stage, message, fix)
        if engine.offload and engine.zero == 0:
            message = "engine.offload does nothing without ZeRO: there is no shared-out optimizer state to move"
            yield Finding(self.code, "error", stage, message, "use engine=zero2_offload, or remove engine.offload")
        elif engine.offload and not visible_gpus():
            message = "engine.offload does nothing on a CPU: optimizer states are in the host's memory already"
            yield Finding(self.code, "info", stage, message, f"use engine=zero{engine.zero}")
        if subject.config.model.dtype == "bfloat16" and fast_dtype() == "float32":
            message = "this processor has no instructions for bfloat16: a step takes many times as long as in float32"
            yield Finding(self.code, "warning", stage, message, "use model.dtype=auto or model.dtype=float32")


COMPONENT = Engine
