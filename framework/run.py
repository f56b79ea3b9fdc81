"""Executing a plan: stage by stage, each trained or found in the store, measured, judged by the gates."""

from __future__ import annotations

import contextlib
import shutil
import time
from pathlib import Path
from typing import Any

from framework.errors import ConfigError, Exit, Interrupted, Problem, StageFailed
from framework.estimate import remember_rate
from framework.evaluations import Evaluations
from framework.files import read_json, write_json, write_text
from framework.models import ModelFiles, fetch_weights
from framework.plan import Plan, StagePlan
from framework.resume import damaged, differences, finished_here
from framework.retention import START, check, retention
from framework.rundir import RunDir, config_text
from framework.secrets import Redactor
from framework.stagefile import Ancestor, StageFile, follow
from framework.store import Store
from framework.supervise import StopRequest
from framework.work import Screen, Work, clear


class Execution:
    """One execution of a plan in one run directory."""

    def __init__(self, plan: Plan, run: RunDir, command: str, screen: Screen) -> None:
        self._plan = plan
        self._run = run
        self._command = command
        self._screen = screen
        self._store = Store()
        self._started = time.time()
        self._stages: list[dict[str, Any]] = []
        self._evaluations: list[tuple[str, dict[str, Any]]] = []
        self._gates: list[str] = []
        self._redact = Redactor.from_environment()
        self._stop = StopRequest()
        hint = command if "run_dir=" in command else f"{command} run_dir={run.path}"
        self._work = Work(plan.config.launch, run, screen, hint, self._stop)
        self._measured = Evaluations(plan, run, self._store, self._work, screen)

    def run(self) -> Exit:
        """Execute. The summary is written whatever happens. Raises ``Interrupted`` or ``StageFailed``."""
        self._begin()
        status, error = "failed", "an unexpected error"
        try:
            with self._stop:
                status, error = self._all_stages(), None
        except Interrupted as stopped:
            status, error = "interrupted", str(stopped)
            raise
        except (StageFailed, OSError) as failed:
            error = str(failed)
            raise
        finally:
            try:
                self._run.tell(status)
                self._write_summary(status, error)
            except OSError as problem:  # it must not hide how the run itself ended
                self._screen.note(f"the summary cannot be written: {problem}")
        return Exit.OK if status == "finished" else Exit.FINDINGS

    def _begin(self) -> None:
        run, plan = self._run, self._plan
        if run.plan.exists():
            earlier = read_json(run.plan)
            changed = differences(earlier, plan.public())
            if changed:
                first = [
                    new.label for new, old in zip(plan.stages, earlier["stages"], strict=False) if new.key != old["key"]
                ]
                where = f"; it differs first at {first[0]}" if first else ""
                message = f"{run.path} holds a run of another plan{where}:" + "".join(
                    f"\n      {what}" for what in changed
                )
                fix = "choose another run_dir, or give the settings and data of the first run"
                raise ConfigError([Problem("run_dir", message, fix)])
            if plan.config.resume == "never":
                fix = "choose another run_dir, or resume=auto"
                raise ConfigError([Problem("resume", f"{run.path} holds a run already and resume=never", fix)])
        run.path.mkdir(parents=True, exist_ok=True)
        write_text(run.config, config_text(self._redact.tree(plan.config.public())))
        write_json(run.plan, self._redact.tree(plan.public()))
        run.tell("started", plan_key=plan.key)
        self._write_summary("running", None)

    def _all_stages(self) -> str:
        model = fetch_weights(self._plan.model)
        lineage: list[Ancestor] = []
        for stage in self._plan.stages:
            if self._stop.number is not None:
                raise self._stop.error(self._work.hint)
            folder = self._run.stage(stage.label)
            done = self._reuse(stage, folder)
            status = "reused" if done else "trained"
            done = done or self._train(stage, model, lineage)
            self._stages.append({**done, "status": status, "metrics": {}})
            after = follow(lineage, stage.kind, self._plan.config.adapter, folder / "model")
            evals = self._measured.before_and_after(stage, model, lineage, after)
            write_json(folder / "evals.json", evals)
            before, measured = evals["before"], evals["after"]
            if measured is not None:
                if before is not None and not any(label == START for label, _ in self._evaluations):
                    self._evaluations.insert(0, (START, before))
                self._evaluations.append((stage.label, measured))
                self._stages[-1]["metrics"] = {name: found["value"] for name, found in measured.items()}
            write_json(
                folder / "stage.json", {key: value for key, value in self._stages[-1].items() if key != "metrics"}
            )
            lineage = after
            self._run.tell("stage", stage.label, status=status, key=stage.key)
            self._write_summary("running", None)
            if not self._pass_gates(stage):
                return "gate_failed"
        return "finished"

    def _reuse(self, stage: StagePlan, folder: Path) -> dict[str, Any] | None:
        if self._store.has(stage.key):
            done = self._store.fetch(stage.key, folder)
            if done is not None:
                self._screen.note(f"{stage.label}: reused from the store ({stage.key[:8]})")
                return {**done, "name": stage.label}
            self._run.tell("damaged", stage.label, key=stage.key)
            self._screen.note(f"{stage.label}: the stored stage {stage.key[:8]} is damaged; training it again")
        done = finished_here(folder, stage.key)
        if done is not None:
            self._screen.note(f"{stage.label}: done in this run_dir already ({stage.key[:8]})")
        return done

    def order_of(self, stage: StagePlan, model: ModelFiles, lineage: list[Ancestor]) -> StageFile:
        """What a stage's workers are told: all that they need, and nothing to look up."""
        config = self._plan.config
        return StageFile(
            label=stage.label,
            kind=stage.kind,
            key=stage.key,
            seed=config.seed,
            model=config.model,
            model_dir=str(model.directory),
            lineage=lineage,
            stage=stage.settings,
            micro_tokens=stage.micro_tokens,
            checkpointing=stage.checkpointing,
            adapter=config.adapter_of(stage.kind),
            objective=stage.objective,
            engine=config.engine,
            packs=str(stage.prepared.directory),
            sources=list(stage.prepared.sources),
            reference=stage.parent if stage.objective.needs_reference else None,
            suites=config.suites_of(stage.kind),
            evaluate_before=self._measured.first(stage),
            folder=str(self._run.stage(stage.label)),
            events=str(self._run.events),
        )

    def _train(self, stage: StagePlan, model: ModelFiles, lineage: list[Ancestor]) -> dict[str, Any]:
        folder = self._run.stage(stage.label)
        self._run.tell("stage_started", stage.label)
        try:
            result = self._whole(stage, self.order_of(stage, model, lineage), folder)
        except StageFailed:
            failed = {"name": stage.label, "kind": stage.kind, "key": stage.key, "status": "failed"}
            self._stages.append({**failed, "metrics": {}})
            write_json(folder / "stage.json", failed)
            raise
        self._measured.keep(stage, result.pop("evals"))
        result["seconds_by_phase"] = {"prepare": round(stage.prepare_seconds, 3), **result["seconds_by_phase"]}
        done = {
            "name": stage.label,
            "kind": stage.kind,
            "key": stage.key,
            "parent": stage.parent,
            "status": "trained",
            **result,
            "lineage": [stage.parent, stage.key],
        }
        write_json(folder / "stage.json", done)
        self._keep(stage, folder)
        clear(folder)
        shutil.rmtree(folder / "checkpoints", ignore_errors=True)
        with contextlib.suppress(OSError):  # it serves the next plan's estimate alone
            remember_rate(self._plan.config.model.dtype, stage.estimate.flops, float(result["seconds"]))
        return done

    def _whole(self, stage: StagePlan, order: StageFile, folder: Path) -> dict[str, Any]:
        """Train until the model on the disk is what the workers wrote; once more where it is not."""
        for last in (False, True):
            result = self._work.do(stage.label, order, folder, stage.estimate.memory_bytes)
            wrong = damaged(folder / "model", result["files"])
            if not wrong:
                return result
            message = f"the model was damaged after it was written: {', '.join(wrong)}"
            self._run.tell("model_damaged", stage.label, message=message)
            self._screen.note(f"{stage.label}: {message}")
            if last:
                break
        raise StageFailed(f"stage {stage.label}: {message}\n    fix: check the disk that {folder} is on")

    def _keep(self, stage: StagePlan, folder: Path) -> None:
        """Into the store. A store that cannot be written costs reuse, not the run."""
        try:
            self._store.put(stage.key, folder)
        except OSError as error:
            self._run.tell("not_stored", stage.label, reason=str(error))
            self._screen.note(f"{stage.label}: not kept for reuse: {error}")

    def _pass_gates(self, stage: StagePlan) -> bool:
        if not self._evaluations:
            return True
        # A stage is judged by what measures it: a reward model cannot lose what the policy knows.
        judged = self._plan.config.suites_of(stage.kind).keys()
        gates = [gate for gate in self._plan.config.eval.gates if gate.suite in judged]
        failures = check(retention(self._evaluations), gates)
        for failure in failures:
            self._gates.append(str(failure))
            self._run.tell("gate_failed", stage.label, message=str(failure))
            self._screen.note(f"gate: {failure}")
        return not failures

    def _write_summary(self, status: str, error: str | None) -> None:
        write_json(self._run.summary, self._redact.tree(self._summary(status, error)))

    def _summary(self, status: str, error: str | None) -> dict[str, Any]:
        config = self._plan.config
        counted = ("steps", "tokens", "supervised_tokens", "skipped_steps", "seconds")
        return {
            "status": status,
            "plan_key": self._plan.key,
            "name": config.name,
            "seed": config.seed,
            "model": config.model.name or config.model.path,
            "command": self._command,
            "started": self._started,
            "ended": time.time(),
            "stages": self._stages,
            "retention": self._retention(),
            "mix": {stage.label: _mix(stage) for stage in self._plan.stages},
            "totals": {name: sum(stage.get(name, 0) for stage in self._stages) for name in counted},
            "findings": [finding.public() for finding in self._plan.findings],
            "gates": self._gates,
            "error": error,
        }

    def _retention(self) -> dict[str, Any] | None:
        if not self._evaluations:
            return None
        suites = self._plan.config.eval.suites
        return retention(self._evaluations).public({name: suite.measures for name, suite in suites.items()})


def _mix(stage: StagePlan) -> dict[str, Any]:
    return {
        name: {
            "planned": use.planned,
            "realised": use.weight,
            "tokens": use.tokens,
            "epochs": use.epochs,
            "rows_used": use.rows_used,
        }
        for name, use in stage.prepared.sources.items()
    }
