"""What a run's own figures suggest to do next, and no more than they can carry."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from framework.report import numbers
from framework.report.read import RunRecord, StageRecord
from framework.report.records import Result, RetentionRow
from framework.report.verdict import lost, verdict

_FEW_ITEMS = 20
"""With fewer items the 95 % interval of a share is some 40 points wide."""
_WEAK_SLICES = 6
_RAISED = 1.25
"""A slice's perplexity over the suite's from which it counts as weak."""
_MIX_GAP = 0.02
_LOOSE_PACKS = 0.8


@dataclass(frozen=True, slots=True)
class Advice:
    """One thing to look at: what the figures say, and what can be done."""

    about: str
    seen: str
    do: str = ""


def advise(run: RunRecord) -> list[Advice]:
    """Advice from gates, findings, losses, stages without effect, weak slices and the mix, in this order."""
    return [*_gates(run), *_findings(run), *_losses(run), *_no_effect(run), *_weak(run), *_mix(run)]


def _gates(run: RunRecord) -> Iterator[Advice]:
    for gate in run.summary.gates if run.summary else ():
        do = "Change the stage that lost it (see below), or move the bound in eval.gates if the loss is acceptable."
        yield Advice("Gate failed", gate, do)


def _findings(run: RunRecord) -> Iterator[Advice]:
    for finding in run.findings:
        if finding.level != "info":
            where = f" in {finding.stage}" if finding.stage else ""
            yield Advice(f"{finding.code}{where}", finding.message, finding.fix)


def _losses(run: RunRecord) -> Iterator[Advice]:
    if run.retention is None:
        return
    for row in run.retention.rows:
        if row.last is None or verdict(row, row.last) != "loss":
            continue
        where = _worst_step(row, run.retention.columns)
        change = numbers.change(row.last.best, row.last.value, row.higher_is_better)
        at = f"; the largest single fall is at {where}" if where else ""
        seen = f"{row.metric} ends {change} from its best{at}."
        kind = where.partition("-")[2] or "KIND"
        do = (
            f"Can be tried: a lower stage.{kind}.strength, more replay of earlier data (data.{kind}.mix.replay), a "
            f"lower stage.{kind}.lr, fewer epochs. Which of them helps, only another run tells."
        )
        yield Advice(f"{row.suite} was lost", seen, do)


def _worst_step(row: RetentionRow, columns: list[str]) -> str:
    """The column with the largest fall from the one before it."""
    cells = [(label, cell) for label, cell in zip(columns, row.cells, strict=True) if cell is not None]
    sign = 1 if row.higher_is_better else -1
    falls = [(sign * (a.value - b.value), label) for (_, a), (label, b) in pairwise(cells)]
    fall, label = max(falls, default=(0.0, ""))
    return label if fall > 0 else ""


def _no_effect(run: RunRecord) -> Iterator[Advice]:
    for stage in run.stages:
        before, after = stage.evals.before or {}, stage.evals.after or {}
        for suite, new in after.items():
            old = before.get(suite)
            if new.measures != stage.kind or old is None or not _is_share(new):
                continue
            gain, noise = new.value - old.value, numbers.sampling_error(old.value, new.value, new.n)
            if gain <= noise:
                ends = f"{numbers.value(old.value, True)} to {numbers.value(new.value, True)}"
                seen = f"{ends} on {new.n} items, where chance alone explains up to {100 * noise:.0f} points."
                do = "More items would settle it; if the value matters, look at the examples before changing the data."
                yield Advice(f"{stage.label} did not measurably improve {suite}", seen, do)


def _is_share(result: Result) -> bool:
    return result.higher_is_better and 0 <= result.value <= 1


def _weak(run: RunRecord) -> Iterator[Advice]:
    found: list[tuple[float, Advice]] = []
    few: list[str] = []
    for suite, result in _final(run).items():
        for name, part in result.slices.items():
            if part.n < _FEW_ITEMS:
                few.append(f"{suite}/{name} ({part.n})")
                continue
            about, whole = f"{suite}, slice {name}", numbers.value(result.value, result.higher_is_better)
            shown = numbers.value(part.value, result.higher_is_better)
            if _is_share(result) and 0 <= part.value <= 1:
                low, high = numbers.interval(part.value, part.n)
                if high < result.value:
                    span = f"95% interval {100 * low:.0f} to {100 * high:.0f}%"
                    seen = f"{shown} of {part.n} items ({span}), {whole} over all."
                    found.append((result.value - part.value, Advice(about, seen, _WHICH_DATA)))
            elif not result.higher_is_better and part.value > _RAISED * result.value > 0:
                seen = f"{result.metric} {shown} on {part.n} items, {whole} over all."
                found.append((part.value / result.value - 1, Advice(about, seen, _WHICH_DATA)))
    found.sort(key=lambda pair: -pair[0])
    yield from (one for _, one in found[:_WEAK_SLICES])
    if few:
        shown = ", ".join(few[:6]) + (f" and {len(few) - 6} more" if len(few) > 6 else "")
        about = f"{len(few)} {'slice has' if len(few) == 1 else 'slices have'} under {_FEW_ITEMS} items"
        yield Advice(about, shown + ".", "Too few to act on; add items to the suite.")


_WHICH_DATA = (
    "Look whether the training data has rows like these. Whether more of the same or different rows would help, "
    "a single run cannot tell: compare runs at fractions of the data (do=compare)."
)


def _final(run: RunRecord) -> dict[str, Result]:
    """The results after the last stage that was measured."""
    return next((stage.evals.after for stage in reversed(run.stages) if stage.evals.after), {})


def _mix(run: RunRecord) -> Iterator[Advice]:
    for label, mix in run.mix.items():
        off = [
            f"{name} {numbers.share(part.realised)} instead of {numbers.share(part.planned)}"
            for name, part in mix.items()
            if abs(part.realised - part.planned) >= _MIX_GAP - 1e-9
        ]
        if off:
            do = (
                "A source that is too small for its weight, or capped, leaves its share to the others: "
                "add rows or lower the weight."
            )
            yield Advice(f"The mix of {label} is not as planned", ", ".join(off) + ".", do)
    for stage in run.plan.stages if run.plan else ():
        if stage.packing_efficiency < _LOOSE_PACKS:
            seen = f"{stage.packing_efficiency:.0%} of the packs' places hold tokens."
            do = f"A larger stage.{stage.kind}.max_length or batch.tokens lets more rows share a pack."
            yield Advice(f"{stage.name} packs loosely", seen, do)


def headline(run: RunRecord) -> str:
    """The run in one sentence of figures."""
    totals, trained = run.totals, [stage for stage in run.stages if _was_done(stage)]
    if not trained:
        return "No stage was finished."
    stages = "1 stage" if len(trained) == 1 else f"{len(trained)} stages"
    words = f"{stages}, {numbers.count(totals.steps)} steps and {numbers.compact(totals.tokens)} tokens"
    table = run.retention
    ends = [(row, row.first, row.last) for row in table.rows if row.first and row.last] if table else []
    shares = [(last.value - first.value, row, first, last) for row, first, last in ends if row.higher_is_better]
    parts: list[str] = []
    if shares and (best := max(shares, key=lambda one: one[0]))[0] > 0:
        _, row, first, last = best
        values = f"{numbers.value(first.value, True)} to {numbers.value(last.value, True)}"
        parts.append(f"took {row.suite} from {values}, the largest gain")
    losses = [(lost(row, last), row, last) for row, _, last in ends]
    if losses and (worst := max(losses, key=lambda one: one[0]))[0] >= 0.0005:
        _, row, last = worst
        change = numbers.change(last.best, last.value, row.higher_is_better)
        at = numbers.value(last.value, row.higher_is_better)
        parts.append(f"left {row.suite} at {at}, {change} from its best, the largest loss")
    elif losses:
        parts.append("left every suite at its best")
    return f"{words} {', and '.join(parts)}." if parts else f"{words} were trained; nothing was measured."


def _was_done(stage: StageRecord) -> bool:
    return stage.done is not None and stage.done.status != "failed"
