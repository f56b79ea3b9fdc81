"""The report's pictures: what each shows, in words, and how to draw it in a given look."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING

from framework.report import bars, curves, numbers, style
from framework.report.read import RunRecord, StageRecord
from framework.report.records import Result, Retention, StageFile
from framework.report.style import Look, Picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PHASES = ("train", "reference", "evaluate", "load", "save", "prepare")


def pictures(run: RunRecord) -> Iterator[Picture]:
    """Every picture that the run has the data for."""
    trained = [stage for stage in run.stages if stage.steps]
    if trained:
        yield Picture("loss", curves.CAPTION, curves.describe(trained), partial(curves.draw, trained))
    if mixes := {label: mix for label, mix in run.mix.items() if mix}:
        yield Picture("mix", bars.MIX_CAPTION, bars.mix_words(mixes), partial(bars.draw_mix, mixes))
    if run.retention is not None and run.retention.rows:
        caption = (
            "Every suite over the run. Shares from 0 to 100%; perplexities, lower being better, on their own scale."
        )
        yield Picture("retention", caption, _retention_words(run.retention), partial(_draw_retention, run.retention))
    for stage in run.stages:
        if suites := sliced_suites(stage):
            caption = f"What {stage.label} is for, by slice: hollow before the stage, filled after it."
            draw = partial(_draw_slices, stage, suites)
            yield Picture(slices_name(stage.label), caption, _slice_words(stage, suites), draw)
    if timed := [stage for stage in run.stages if stage.done is not None and stage.done.seconds_by_phase]:
        yield Picture("time", "Where time and tokens went, by stage.", _time_words(timed), partial(_draw_time, timed))


def sliced_suites(stage: StageRecord) -> dict[str, Result]:
    """After a stage: the results of the suites that judge its kind."""
    after = stage.evals.after or {}
    return {name: result for name, result in after.items() if result.measures == stage.kind}


def slices_name(label: str) -> str:
    """The name of a stage's picture of slices, which is a file name whatever the label holds."""
    return "slices-" + re.sub(r"[^A-Za-z0-9_-]+", "_", label)


def shown_slices(result: Result) -> list[str]:
    """The slices of a picture, head and tail first; single topics are for the table."""
    names = [name for name in result.slices if not name.startswith("topic:")]
    return sorted(names, key=lambda name: {"head": 0, "tail": 1}.get(name, 2))[:10]


def _draw_retention(table: Retention, look: Look) -> Figure:
    from matplotlib.patheffects import AbstractPathEffect, withStroke

    halo: list[AbstractPathEffect] = [
        withStroke(linewidth=2.5, foreground=look.paper)
    ]  # a value stays readable where a line crosses it
    rows = [row for _, group in table.grouped() for row in group]
    figure, axes = style.panels(look, len(rows), 4, 1.75)
    ticks = [style.plain(label.partition("-")[0], 8) for label in table.columns]
    for ax, row in zip(axes, rows, strict=True):
        points = [(index, cell.value) for index, cell in enumerate(row.cells) if cell is not None]
        shares = row.higher_is_better and all(0 <= value <= 1 for _, value in points)
        factor = 100 if shares else 1
        colour = look.of_kind(row.measures)
        xs, ys = [index for index, _ in points], [factor * value for _, value in points]
        ax.plot(xs, ys, "-o", color=colour, linewidth=2, markersize=5, clip_on=False)
        for index, value in points:
            words = numbers.value(value, row.higher_is_better)
            at = (index, factor * value)
            text = ax.annotate(words, at, (0, 6), textcoords="offset points", ha="center", fontsize=7.5, color=look.ink)
            text.set_path_effects(halo)
        style.title(ax, look, style.plain(row.suite, 22), colour)
        ax.set_xticks(range(len(ticks)), ticks)
        ax.set_xlim(-0.45, len(ticks) - 0.55)
        ax.set_ylim(*((0, 112) if shares else (0, 1.3 * max(ys) if ys and max(ys) > 0 else 1)))
        style.label(ax, look, y="%" if shares else row.metric)
        if shares:
            ax.set_yticks([0, 50, 100])
    return figure


def _retention_words(table: Retention) -> str:
    parts: list[str] = []
    for row in table.rows:
        if row.first is not None and row.last is not None:
            first, last = (numbers.value(cell.value, row.higher_is_better) for cell in (row.first, row.last))
            parts.append(f"{row.suite} from {first} to {last}")
    return f"Each suite from {table.columns[0]} to {table.columns[-1]}: " + "; ".join(parts) + "."


def _draw_slices(stage: StageRecord, suites: Mapping[str, Result], look: Look) -> Figure:
    names = {suite: ["all", *shown_slices(result)] for suite, result in suites.items()}
    columns = 1 if look.narrow else 2
    tallest = max(len(rows) for rows in names.values())
    ratios = [0.95 + bars.ROW * len(rows) for rows in names.values()] if columns == 1 else None
    figure, axes = style.panels(look, len(suites), columns, 1.0 if ratios else 0.95 + bars.ROW * tallest, ratios)
    for ax, (suite, result) in zip(axes, suites.items(), strict=True):
        before = (stage.evals.before or {}).get(suite)
        _dumbbells(ax, look, result, before, names[suite], look.of_kind(stage.kind))
        style.title(ax, look, suite)
        style.label(ax, look, f"{result.metric}{', %' if _shares(result) else ''}")
    return figure


def _shares(result: Result) -> bool:
    values = [result.value, *(part.value for part in result.slices.values())]
    return result.higher_is_better and all(0 <= value <= 1 for value in values)


def _dumbbells(ax: Axes, look: Look, after: Result, before: Result | None, names: list[str], colour: str) -> None:
    factor = 100 if _shares(after) else 1
    largest = 0.0
    for row, name in enumerate(names):
        new = after.value if name == "all" else after.slices[name].value
        old = None if before is None else before.value if name == "all" else None
        if before is not None and name in before.slices:
            old = before.slices[name].value
        if old is not None:
            ends = [factor * old, factor * new]
            ax.plot(ends, [row, row], color=colour, linewidth=2.5, alpha=0.45, solid_capstyle="round")
            ax.plot(factor * old, row, "o", markersize=7, color=look.paper, markeredgecolor=colour, markeredgewidth=1.6)
        ax.plot(factor * new, row, "o", markersize=7.5, color=colour)
        largest = max(largest, new, old or 0.0)
    items = {name: after.n if name == "all" else after.slices[name].n for name in names}
    bars.name_rows(ax, look, [f"{style.plain(name, 22)} ({items[name]})" for name in names])
    ax.set_xlim(*((-3, 103) if factor == 100 else (0, 1.1 * largest or 1)))


def _slice_words(stage: StageRecord, suites: Mapping[str, Result]) -> str:
    parts: list[str] = []
    for suite, result in suites.items():
        before = (stage.evals.before or {}).get(suite)
        higher = result.higher_is_better
        old = f"from {numbers.value(before.value, higher)} " if before else ""
        slices = ", ".join(
            f"{name} {numbers.value(result.slices[name].value, higher)}" for name in shown_slices(result)
        )
        parts.append(f"{suite} {old}to {numbers.value(result.value, higher)}{f' ({slices})' if slices else ''}")
    return f"{stage.label}: " + "; ".join(parts) + "."


def _draw_time(stages: list[StageRecord], look: Look) -> Figure:
    figure, axes = style.panels(look, 2, 2, 1.7 + bars.ROW * len(stages))
    labels = [stage.label + (" (reused)" if stage.status == "reused" else "") for stage in stages]
    done = [stage.done for stage in stages if stage.done is not None]
    left = [0.0] * len(stages)
    for phase, colour in zip((*_PHASES, "other"), look.colours, strict=True):
        spent = [_spent(one, phase) / 60 for one in done]
        if not any(spent):
            continue
        axes[0].barh(range(len(done)), spent, left=left, height=0.6, color=colour, label=phase)
        left = [a + b for a, b in zip(left, spent, strict=True)]
    style.title(axes[0], look, "Time")
    style.label(axes[0], look, "minutes")
    supervised = [one.supervised_tokens / 1e3 for one in done]
    others = [(one.tokens - one.supervised_tokens) / 1e3 for one in done]
    axes[1].barh(range(len(done)), supervised, height=0.6, color=look.colours[0], label="supervised")
    axes[1].barh(
        range(len(done)), others, left=supervised, height=0.6, color=look.colours[6], alpha=0.5, label="context"
    )
    style.title(axes[1], look, "Tokens")
    style.label(axes[1], look, "thousand tokens")
    for ax, columns in zip(axes, (3, 2), strict=True):
        bars.name_rows(ax, look, labels)
        style.legend(ax, look, loc="upper left", ncols=columns, bbox_to_anchor=(0, -0.38 if look.narrow else -0.34))
    return figure


def _spent(stage: StageFile, phase: str) -> float:
    """Seconds of a phase; ``other`` is all that the picture has no name for."""
    if phase == "other":
        return sum(seconds for name, seconds in stage.seconds_by_phase.items() if name not in _PHASES)
    return stage.seconds_by_phase.get(phase, 0.0)


def _time_words(stages: list[StageRecord]) -> str:
    parts: list[str] = []
    for stage in stages:
        if stage.done is not None:
            spent = numbers.duration(sum(stage.done.seconds_by_phase.values()))
            parts.append(f"{stage.label} {spent}, {numbers.compact(stage.done.tokens)} tokens")
    return "; ".join(parts) + "."
