"""The audit's pictures: lengths, mix, task types, topics against their target, duplicates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from framework.report import bars, numbers, style
from framework.report.audit_records import AuditFile, Histogram, StageAudit, Values
from framework.report.bars import Bar, Bars
from framework.report.records import MixShare
from framework.report.style import Look, Picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST = 12
"""Bars of a stage; the tables have more."""


def pictures(audit: AuditFile) -> Iterator[Picture]:
    """Every picture that the audit has the data for."""
    if mixes := {stage.name: _mix(stage) for stage in audit.stages if stage.sources}:
        yield Picture("audit-mix", bars.MIX_CAPTION, bars.mix_words(mixes), partial(bars.draw_mix, mixes))
    if long := [(stage, stage.lengths) for stage in audit.stages if stage.lengths is not None]:
        caption = "Sequences by their tokens; the dashed line is max_length. Rows that are cut stand right at it."
        yield Picture("audit-lengths", caption, _length_words(long), partial(_draw_lengths, long))
    if found := [_bars(stage, stage.tasks, "types of task") for stage in audit.stages if stage.tasks.values]:
        caption = "Types of task by share of the rows that have one, given or inferred."
        draw = partial(bars.draw_shares, found, "% of the rows with a type")
        yield Picture("audit-tasks", caption, bars.share_words(found), draw)
    if found := [_bars(stage, stage.topics, "topics") for stage in audit.stages if stage.topics.values]:
        caption = "Topics by share of the rows that name one; a mark where a target share is declared."
        draw = partial(bars.draw_shares, found, "% of the rows with a topic")
        yield Picture("audit-topics", caption, bars.share_words(found), draw)
    repeated = [stage for stage in audit.stages if stage.duplicates.exact or stage.duplicates.near]
    if found := [_repeats(stage) for stage in repeated]:
        caption = "Rows that repeat an earlier one, exactly or nearly, by source."
        draw = partial(bars.draw_shares, found, "% of the source's rows")
        yield Picture("audit-duplicates", caption, bars.share_words(found), draw)


def _mix(stage: StageAudit) -> dict[str, MixShare]:
    return {
        name: MixShare(planned=source.planned, realised=source.realised, epochs=source.epochs)
        for name, source in stage.sources.items()
    }


def _bars(stage: StageAudit, values: Values, what: str) -> Bars:
    shown = sorted(values.values, key=lambda value: -max(value.share, value.target or 0.0))[:_MOST]
    rest = 1 - sum(value.share for value in shown)
    found = [Bar(value.value, value.share, value.target) for value in shown]
    if rest > 1e-9:
        found.append(Bar("all others", rest))
    return Bars(f"{stage.name}: {values.effective:.1f} effective {what}", stage.kind, found)


def _repeats(stage: StageAudit) -> Bars:
    shares = [
        Bar(name, (source.exact + source.near) / source.rows if source.rows else 0.0)
        for name, source in stage.duplicates.sources.items()
    ]
    share = (stage.duplicates.exact + stage.duplicates.near) / stage.duplicates.rows
    return Bars(f"{stage.name}: {numbers.share(share)} repeated", stage.kind, shares)


def _draw_lengths(stages: Sequence[tuple[StageAudit, Histogram]], look: Look) -> Figure:
    figure, axes = style.panels(look, len(stages), 3, 2.6)
    for ax, (stage, histogram) in zip(axes, stages, strict=True):
        _lengths(ax, look, stage, histogram)
    return figure


def _lengths(ax: Axes, look: Look, stage: StageAudit, histogram: Histogram) -> None:
    counts = histogram.counts
    total = sum(counts)
    colour = look.of_kind(stage.kind)
    places = [place + 0.5 for place in range(len(counts))]
    ax.bar(places, [100 * count / total for count in counts], width=0.92, color=colour)
    ax.axvline(len(counts), color=look.ink, linewidth=1.2, linestyle="--")
    # Edges double every second bin: every second one is a power of two.
    ticks = [place for place in range(0, len(counts), 2) if len(counts) - place > 1] + [len(counts)]
    ax.set_xticks(ticks, [numbers.compact(histogram.edges[place]) for place in ticks])
    ax.set_xlim(-0.2, len(counts) + 0.2)
    ax.grid(visible=False, axis="x")
    style.title(ax, look, stage.name, colour)
    style.label(ax, look, "tokens", "% of the sequences")


def _length_words(stages: Sequence[tuple[StageAudit, Histogram]]) -> str:
    parts: list[str] = []
    for stage, histogram in stages:
        most = max(range(len(histogram.counts)), key=lambda place: histogram.counts[place])
        between = f"{histogram.edges[most]:,} to {histogram.edges[most + 1]:,} tokens"
        limit = f"{histogram.at_limit:,} of {sum(histogram.counts):,} reach max_length {stage.max_length:,}"
        parts.append(f"{stage.name}: most sequences have {between}, {limit}")
    return "; ".join(parts) + "."
