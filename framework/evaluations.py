"""What the suites say of every model of a run: measured once for each state of the weights, and kept in the store."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import Any

from framework.models import ModelFiles
from framework.plan import Plan, StagePlan
from framework.rundir import RunDir
from framework.schema import Kind
from framework.stagefile import Ancestor, EvaluationFile
from framework.store import Store
from framework.work import Screen, Work

Found = dict[str, Any]
"""Figures by suite."""


@dataclass(frozen=True)
class Evaluations:
    """Measures the models of one run. A state is a stage's key, or the fingerprint of the model at the start."""

    plan: Plan
    run: RunDir
    store: Store
    work: Work
    screen: Screen

    def first(self, stage: StagePlan) -> bool:
        """Whether the stage's own workers measure the start: it is the first to change the policy, and none has yet."""
        first = next((other.index for other in self.plan.stages if other.kind != "reward"), 0)
        return stage.index == first and self._known(stage.kind, stage.parent) is None

    def keep(self, stage: StagePlan, found: dict[str, Found | None]) -> None:
        """What a stage's workers have measured ``before`` and ``after`` it. A store that is full costs reuse alone."""
        for state, name in ((stage.parent, "before"), (stage.key, "after")):
            if (figures := found.get(name)) is not None:
                self._keep(stage.kind, state, figures)

    def before_and_after(
        self, stage: StagePlan, model: ModelFiles, lineage: list[Ancestor], after: list[Ancestor]
    ) -> dict[str, Found | None]:
        """What the suites of its kind say of a stage. Before it, there is no reward model to measure."""
        if stage.kind != "reward":
            before = self._measure(stage.kind, stage.parent, model, lineage)
            return {"before": before, "after": self._measure(stage.kind, stage.key, model, after)}
        made = str(self.run.stage(stage.label) / "model")
        return {"before": None, "after": self._measure(stage.kind, stage.key, model, lineage, made)}

    def _measure(
        self, kind: Kind, state: str, model: ModelFiles, lineage: list[Ancestor], reward_model: str = ""
    ) -> Found | None:
        """Known figures, or those of workers that start now: a reused stage may never have met these suites."""
        config = self.plan.config
        suites = config.suites_of(kind)
        if not suites:
            return None
        known = self._known(kind, state)
        if known is None:
            folder = self.run.path / "stages" / f".evaluation-{state[:8]}"
            order = EvaluationFile(
                model=config.model,
                model_dir=str(model.directory),
                lineage=lineage,
                reward_model=reward_model,
                suites=suites,
                folder=str(folder),
            )
            known = self.work.do("evaluation", order, folder)["evals"]["after"]
            self._keep(kind, state, known)
            shutil.rmtree(folder)
        return known

    def _known(self, kind: Kind, state: str) -> Found | None:
        return self.store.evals(state, self.plan.evaluation_keys[kind])

    def _keep(self, kind: Kind, state: str, found: Found) -> None:
        try:
            self.store.put_evals(state, self.plan.evaluation_keys[kind], found)
        except OSError as error:
            self.screen.note(f"the evaluation is not kept for reuse: {error}")
