"""The plan and the retention table in the terminal. Plain text, without colour codes, where it is no terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from framework.report import numbers
from framework.report.audit_records import AuditFile, StageAudit
from framework.report.records import Cell, Finding, Level, PlanFile, PlanStage, Retention, RetentionRow
from framework.report.verdict import Verdict, verdict

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from framework.data.convert import Conversion
    from framework.plan import Plan

_LEVEL_STYLES: dict[Level, str] = {"error": "bold red", "warning": "yellow", "info": "cyan"}
_VERDICT_STYLES: dict[Verdict, str] = {"best": "green", "slight": "yellow", "loss": "bold red"}
_ROOMY = 90
"""Columns of a terminal from which the table of stages gets wider gaps."""
_KEY = 8
"""Characters of a stage key that are shown."""
_STAGES = ("stage", "trains", "rows", "tokens", "superv.", "steps", "pack", "memory", "time", "key")
_AUDIT = ("source", "rows", "left out", "cut", "tokens", "median", "share", "repeats", "refuse")
_SOURCES = ("source", "rows", "planned", "share", "passes", "tokens", "superv.", "left out")


def print_plan(plan: Plan, console: Console) -> None:
    """The stages, the mix of each, and the findings."""
    shown = PlanFile.model_validate(plan.public())
    _print_stages(shown, console)
    for stage in shown.stages:
        _print_mix(stage, console)
    _print_findings(shown.findings, console)


def print_audit(audit: AuditFile, console: Console) -> None:
    """Every source in a line, and the findings."""
    console.print()
    console.print(_text(f"Audit of {audit.name}  model {audit.model or 'unnamed'}", "bold"), soft_wrap=True)
    rows: list[list[Text]] = []
    for stage in audit.stages:
        rows.append([_text(stage.name, "bold")])
        rows += [_audit_row(stage, name) for name in stage.sources]
    console.print(_grid(_AUDIT, rows, left=1))
    for stage in audit.stages:
        for leak in stage.leaks:
            if leak.leaked:
                words = f"  {leak.leaked:,} of {leak.items:,} items of {leak.suite} stand in rows of {stage.name}"
                console.print(_text(words, "yellow"), soft_wrap=True)
    _print_findings(audit.findings, console)


def _audit_row(stage: StageAudit, name: str) -> list[Text]:
    source = stage.sources[name]
    repeated, manners = stage.duplicates.sources.get(name), stage.manners.get(name)
    refuses = numbers.share(manners.refuses / manners.spoken) if manners and manners.spoken else "-"
    return [
        _text(f"  {name}"),
        _text(numbers.count(source.rows)),
        _text(numbers.count(sum(left.count for left in source.dropped.values()))),
        _text(numbers.count(source.truncated)),
        _text(numbers.compact(source.tokens)),
        _text(numbers.count(source.lengths.median) if source.lengths else "-"),
        _text(numbers.share(source.realised)),
        _text(numbers.count(repeated.exact + repeated.near) if repeated else "-"),
        _text(refuses),
    ]


def print_retention(summary: dict[str, Any], console: Console) -> None:
    """Every suite after every stage of a summary.json, and the last column against the best so far."""
    if not summary.get("retention"):
        console.print("Retention: nothing was measured.", markup=False, highlight=False)
        return
    found = Retention.model_validate(summary["retention"])
    rows: list[list[Text]] = []
    for group, members in found.grouped():
        rows.append([_text(group, "bold")])
        rows += [_retention_row(row) for row in members]
    console.print()
    console.print(_text("Retention", "bold"))
    console.print(_grid(["suite", *found.columns, "vs best"], rows, left=1))
    for gate in summary.get("gates", []):
        console.print(_text(f"gate failed  {gate}", "bold red"), soft_wrap=True)


def _text(words: str, style: str = "") -> Text:
    from rich.text import Text

    return Text(words, style=style)


def _retention_row(row: RetentionRow) -> list[Text]:
    values = [_text(numbers.value(cell.value, row.higher_is_better) if cell else "-") for cell in row.cells]
    return [_text(f"  {row.suite}"), *values, _against_best(row, row.last)]


def _against_best(row: RetentionRow, cell: Cell | None) -> Text:
    if cell is None:
        return _text("-")
    found = verdict(row, cell)
    words = "best" if found == "best" else numbers.change(cell.best, cell.value, row.higher_is_better)
    return _text(words, _VERDICT_STYLES[found])


def _grid(headers: Sequence[str], rows: Sequence[Sequence[Text]], left: int, gap: int = 2) -> Table:
    """A table whose first ``left`` columns hold words and give way on a narrow terminal; numbers are never cut."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, gap - 1, 0, 0), header_style="bold")
    for index, header in enumerate(headers):
        widest = max([len(header), *(row[index].cell_len for row in rows if len(row) > index)])
        table.add_column(
            header,
            justify="left" if index < left else "right",
            no_wrap=True,
            overflow="ellipsis",
            min_width=min(widest, 8) if index < left else widest,
        )
    for row in rows:
        table.add_row(*row)
    return table


def _print_stages(plan: PlanFile, console: Console) -> None:
    console.print()
    words = f"Plan {plan.plan_key[:_KEY]}  model {plan.model.name or 'unnamed'}  {plan.model.dtype}  seed {plan.seed}"
    console.print(_text(words, "bold"), soft_wrap=True)
    console.print(_grid(_STAGES, [_stage_row(stage) for stage in plan.stages], 2, 1 if console.width < _ROOMY else 2))
    training = [stage for stage in plan.stages if not stage.reused]
    tokens = sum(stage.tokens for stage in training)
    seconds = sum(stage.estimate.seconds for stage in training)
    steps = sum(stage.steps for stage in training)
    reused = len(plan.stages) - len(training)
    total = f"To train: {len(training)} of {len(plan.stages)} stages, {numbers.count(steps)} steps, "
    total += f"{numbers.count(tokens)} tokens, about {numbers.rough(seconds)}."
    total += f" Reused from the store: {reused}." if reused else ""
    console.print(_text(total), soft_wrap=True)


def _stage_row(stage: PlanStage) -> list[Text]:
    time = _text("reused", "green") if stage.reused else _text(numbers.rough(stage.estimate.seconds))
    return [
        _text(stage.name, "bold"),
        _text(f"{stage.objective}/{stage.adapter}" + (f" x{stage.strength:g}" if stage.strength < 1 else "")),
        _text(numbers.count(sum(use.rows_used for use in stage.sources.values()))),
        _text(numbers.compact(stage.tokens)),
        _text(numbers.compact(stage.supervised_tokens)),
        _text(numbers.count(stage.steps)),
        _text(f"{stage.packing_efficiency:.0%}"),
        _text(numbers.size(stage.estimate.memory_bytes)),
        time,
        _text(stage.key[:_KEY], "dim"),
    ]


def _print_mix(stage: PlanStage, console: Console) -> None:
    console.print()
    console.print(_text(f"Mix of {stage.name}", "bold"))
    rows = [
        [
            _text(name),
            _text(
                f"{use.rows_used:,}" if use.rows_used == use.rows else f"{use.rows_used:,} of {use.rows:,}",
            ),
            _text("-" if use.planned is None else numbers.share(use.planned)),
            _text(numbers.share(use.weight)),
            _text(numbers.epochs(use.epochs)),
            _text(numbers.count(use.tokens)),
            _text(numbers.count(use.supervised_tokens)),
            _text(numbers.count(sum(use.dropped.values())), "yellow" if use.dropped else ""),
        ]
        for name, use in stage.sources.items()
    ]
    console.print(_grid(_SOURCES, rows, 1, 1 if console.width < _ROOMY else 2))
    for name, use in stage.sources.items():
        if use.conversion is not None:
            _print_hanging(f"  {name}: ", _converted(use.conversion), "", console)
        reasons = [f"{count:,} left out: {reason}" for reason, count in use.dropped.items()]
        reasons += [f"{use.truncated:,} truncated"] if use.truncated else []
        if use.budget_spent:
            reasons.append(f"max_tokens ends it after {use.records:,} records with {use.available_tokens:,} tokens")
        if reasons:
            _print_hanging(f"  {name}: ", "; ".join(reasons), "yellow", console)


def _converted(done: Conversion) -> str:
    tasks = sorted(done.tasks.items(), key=lambda item: (-item[1], item[0]))
    words = f"{done.passages:,} passages with tasks from {done.rows_converted:,} of {done.rows:,} texts"
    words += f", {done.plain:,} kept as plain text" if done.plain else ""
    return f"{words}; tasks: {', '.join(f'{name} {count:,}' for name, count in tasks) or 'none'}"


def _print_findings(findings: Sequence[Finding], console: Console) -> None:
    console.print()
    if not findings:
        console.print(_text("Findings: none", "bold green"))
        return
    counts = {level: sum(finding.level == level for finding in findings) for level in _LEVEL_STYLES}
    words = ", ".join(f"{count} {level}{'s' if count > 1 else ''}" for level, count in counts.items() if count)
    console.print(_text(f"Findings: {words}", "bold"))
    for level, style in _LEVEL_STYLES.items():
        for finding in findings:
            if finding.level == level:
                where = f" in {finding.stage}" if finding.stage else ""
                console.print(_text(f"  {level} {finding.code}{where}", style))
                _print_hanging("      ", finding.message, "", console)
                if finding.fix:
                    _print_hanging("      fix: ", finding.fix, "dim", console)


def _print_hanging(head: str, words: str, style: str, console: Console) -> None:
    """A paragraph whose further lines stand below the first one's text."""
    from rich.cells import cell_len
    from rich.padding import Padding

    lead = min(cell_len(head), console.width // 3)
    lines = _text(words, style).wrap(console, max(20, console.width - lead))
    console.print(_text(head + lines[0].plain, style) if lines else _text(head, style), soft_wrap=True)
    for line in lines[1:]:
        console.print(Padding(line, (0, 0, 0, lead)))
