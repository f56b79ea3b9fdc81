"""FIT: a stage that is estimated to need more memory than its device has."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field, PositiveFloat

from framework.checks.base import Check, Finding, Subject
from framework.devices import device_memory, visible_gpus


class Fit(Check):
    """The estimate of the largest worker against the smallest device; on a CPU all workers share the host."""

    kind: Literal["fit"] = "fit"
    max_share: float = Field(default=0.9, gt=0)
    """Share of the memory above which it is a warning: allocators fragment, and other programs need some."""
    impossible: PositiveFloat = 1.5
    """Times the memory above which it is an error: estimates are right to a factor, not to a byte."""

    def check(self, subject: Subject) -> Iterator[Finding]:
        """One finding for each stage that does not fit."""
        device = device_memory()
        gpus = visible_gpus()
        together = 1 if gpus else subject.config.launch.per_machine()
        for stage, need in subject.memory.items():
            share = need * together / device
            if share <= self.max_share:
                continue
            level = "error" if share > self.impossible else "warning"
            workers = f" for {together} workers" if together > 1 else ""
            message = (
                f"{need * together / 2**30:.1f} GiB are estimated{workers}, "
                f"{'the smallest GPU' if gpus else 'this machine'} has {device / 2**30:.1f}"
            )
            yield Finding(self.code, level, stage, message, self._fix(subject, stage), round(share, 3))

    def _fix(self, subject: Subject, stage: str) -> str:
        """What would lower the need, the cheapest first."""
        config = subject.config
        ways: list[str] = []
        if config.model.checkpointing is False:
            ways.append("model.checkpointing=true")
        ways.append(f"a smaller stage.{stage}.batch.micro_tokens or stage.{stage}.max_length")
        if config.adapter.kind == "full":
            ways.append("adapter=lora")
        elif not config.adapter.quantises:
            ways.append("adapter=qlora")
        if config.launch.world_size() > 1 and config.engine.zero < 3 and not config.adapter.quantises:
            ways.append("engine=zero3")
        return f"try {', '.join(ways)}, or a smaller model"


COMPONENT = Fit
