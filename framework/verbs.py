"""What ``do`` can say, one function each."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from pathlib import Path

from framework.compose import Composed
from framework.errors import Exit
from framework.files import write_json
from framework.plan import Plan, make_plan
from framework.rundir import RunDir, choose
from framework.secrets import Redactor

Verb = Callable[[Composed, str], Exit]


def _planned(composed: Composed) -> Plan:
    from framework.report.console import print_plan
    from framework.screen import PlanProgress, console

    with PlanProgress() as progress:
        made = make_plan(composed, progress)
    print_plan(made, console())
    return made


def plan(composed: Composed, command: str) -> Exit:
    """Print the plan and write plan.json."""
    made = _planned(composed)
    run = choose(composed.config)
    if run.summary.exists():
        # The plan of a run says what was run; another must not take its place.
        print(f"plan: not written, {_shown(run.path)} holds a run")
    else:
        write_json(run.plan, Redactor.from_environment().tree(made.public()))
        print(f"plan: {_shown(run.plan)}")
    return Exit.FINDINGS if made.errors else Exit.OK


def audit(composed: Composed, command: str) -> Exit:
    """Plan, look at the data of every stage, and write audit.json and audit.html. Nothing is trained."""
    from framework.audit.assemble import audit as look
    from framework.report.audit_html import write_audit
    from framework.report.console import print_audit
    from framework.screen import PlanProgress, console

    with PlanProgress() as progress:
        made = make_plan(composed, progress)
        found = look(made, command, progress)
    directory = choose(composed.config).path
    file = directory / "audit.json"
    write_json(file, Redactor.from_environment().tree(found.model_dump(mode="json")))
    page = write_audit(file)
    print_audit(found, console())
    print(f"audit: {_shown(page)}")
    return Exit.FINDINGS if made.errors else Exit.OK


def run(composed: Composed, command: str) -> Exit:
    """Plan, then execute; the last thing shown is the retention table and where the report is."""
    from framework.observers.tracking import Tracking
    from framework.run import Execution
    from framework.screen import Screen

    made = _planned(composed)
    if made.errors:
        codes = ",".join(sorted({finding.code for finding in made.errors}))
        print(f"not started: {len(made.errors)} error finding(s); checks.allow=[{codes}] runs it all the same")
        return Exit.FINDINGS
    directory = choose(composed.config)
    if composed.config.launch.hands_over():
        return composed.config.launch.submit(shlex.split(command)[2:], directory.path)
    with directory.locked():
        execution = Execution(made, directory, command, Screen())
        try:
            with Tracking(composed.config, directory):
                code = execution.run()
        finally:
            _report(directory)
    return code


def _report(directory: RunDir) -> None:
    """Show what a run came to. Whatever goes wrong here must not hide how the run itself ended."""
    from framework.files import read_json
    from framework.report.console import print_retention
    from framework.report.html import write_report
    from framework.screen import console

    if not directory.summary.exists():
        return
    try:
        summary = read_json(directory.summary)
        report = write_report(directory.path)
    except (OSError, ValueError) as error:
        print(f"no report: {error}", file=sys.stderr)
        return
    if summary["retention"]:
        print_retention(summary, console())
    print(f"report: {_shown(report)}")


def _shown(path: Path) -> str:
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def evaluate(composed: Composed, command: str) -> Exit:
    """Measure a finished run again with the suites of this command line."""
    from framework.revisit import evaluate_run

    return evaluate_run(composed)


def export(composed: Composed, command: str) -> Exit:
    """Write the result of a run as one model."""
    from framework.revisit import export_run

    return export_run(composed)


def chat(composed: Composed, command: str) -> Exit:
    """Talk to the result of a run."""
    from framework.revisit import chat_with_run

    return chat_with_run(composed)


def _not_yet(composed: Composed, command: str) -> Exit:
    verb = composed.config.do
    print(f"do={verb} is not there yet; there are do=plan, audit, run, evaluate, export and chat", file=sys.stderr)
    return Exit.CONFIG


VERBS: dict[str, Verb] = {
    "plan": plan,
    "run": run,
    "evaluate": evaluate,
    "export": export,
    "chat": chat,
    "audit": audit,
    "compare": _not_yet,
    "reproduce": _not_yet,
}
