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
        if adapter.quantises and engine.zero == 3 and visible_gpus():
            # On CPUs tests compare several steps on 2 and 4 processes with one process; a wrong layout of 4-bit
            # weights shows from the second step on, and nothing else tells.
            message = (
                f"adapter={adapter.kind} on ZeRO-3 is proved on CPUs alone: on GPUs it may train wrongly in silence"
            )
            fix = "use engine=zero2, which shares out all but the weights"
            yield Finding(self.code, "error", stage, message, fix)
        if engine.offload and engine.zero == 0:
            message = "engine.offload does nothing without ZeRO: there is no shared-out optimizer state to move"
            yield Finding(self.code, "error", stage, message, "use engine=zero2_offload, or remove engine.offload")
        elif engine.offload and not visible_gpus():
            message = "engine.offload does nothing on a CPU: optimizer states are in the host's memory already"
            yield Finding(self.code, "info", stage, message, f"use engine=zero{engine.zero}")
        world = subject.config.launch.world_size()
        for kind, data in subject.prepared.items():
            if data.steps and data.packs_per_step < world:
                message = (
                    f"a step of {kind} is {data.packs_per_step} packs for {world} workers: "
                    f"{world - data.packs_per_step} of them only keep pace"
                )
                fix = f"raise stage.{kind}.batch.tokens, lower stage.{kind}.max_length, or start fewer workers"
                yield Finding(self.code, "warning", kind, message, fix, float(data.packs_per_step))
        model = subject.config.model
        # Elsewhere framework.train.products takes them in float32.
        own_products = adapter.quantises or engine.zero == 3 or model.compile
        if model.dtype == "bfloat16" and fast_dtype() == "float32" and own_products:
            message = "this processor has no unit for bfloat16 products: a step takes longer than in float32"
            yield Finding(self.code, "warning", stage, message, "use model.dtype=auto or model.dtype=float32")


COMPONENT = Engine
