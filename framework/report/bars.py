"""Pictures of horizontal bars, a name to each row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from framework.report import numbers, style
from framework.report.records import MixShare
from framework.report.style import Look

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROW = 0.26
"""Inches of a bar's row."""
MIX_CAPTION = "Share of each source in its stage: bar realised, mark planned."


def draw_mix(mixes: Mapping[str, Mapping[str, MixShare]], look: Look) -> Figure:
    """Realised and planned shares, a panel for each stage."""
    inches = [0.85 + ROW * len(mix) for mix in mixes.values()]
    figure, axes = style.panels(look, len(mixes), 1, 1.0, inches)
    top = max(max(part.planned, part.realised) for mix in mixes.values() for part in mix.values())
    for ax, (label, mix) in zip(axes, mixes.items(), strict=True):
        rows = range(len(mix))
        colour = look.of_kind(label.partition("-")[2])
        ax.barh(rows, [100 * part.realised for part in mix.values()], height=0.62, color=colour, label="realised")
        planned = [100 * part.planned for part in mix.values()]
        ax.plot(planned, rows, "|", color=look.ink, markersize=13, markeredgewidth=2, label="planned")
        for row, part in zip(rows, mix.values(), strict=True):
            x = 100 * max(part.realised, part.planned) + 1.5 * top
            words = f"{numbers.share(part.realised)}  {numbers.epochs(part.epochs)}"
            ax.text(x, row, words, va="center", fontsize=8, color=look.ink)
        name_rows(ax, look, [style.plain(name, 24) for name in mix])
        ax.set_xlim(0, 100 * top * (1.35 if look.narrow else 1.15))
        style.title(ax, look, label, colour)
    style.label(axes[-1], look, "% of the stage, then passes over the source")
    style.legend(axes[0], look, loc="lower right", ncols=2, bbox_to_anchor=(1, 1))
    return figure


def name_rows(ax: Axes, look: Look, names: Sequence[str]) -> None:
    """Names down the left side, first on top."""
    ax.set_yticks(range(len(names)), [style.plain(name, 30) for name in names], color=look.ink)
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.grid(visible=False, axis="y")


def mix_words(mixes: Mapping[str, Mapping[str, MixShare]]) -> str:
    """The picture of ``draw_mix`` in words."""
    stages: list[str] = []
    for label, mix in mixes.items():
        parts = (f"{name} {numbers.share(one.realised)} of {numbers.share(one.planned)}" for name, one in mix.items())
        stages.append(f"{label}: {', '.join(parts)}")
    return "Realised share of planned share. " + "; ".join(stages) + "."


@dataclass(frozen=True, slots=True)
class Bar:
    """A share with what was wanted, if anything was."""

    name: str
    share: float
    target: float | None = None


@dataclass(frozen=True, slots=True)
class Bars:
    """The bars of one stage."""

    title: str
    kind: str
    bars: Sequence[Bar]


def draw_shares(panels: Sequence[Bars], words: str, look: Look) -> Figure:
    """Shares, a panel for each stage; a mark where a target stands."""
    figure, axes = style.panels(look, len(panels), 1, 1.0, [0.85 + ROW * len(panel.bars) for panel in panels])
    for ax, panel in zip(axes, panels, strict=True):
        rows = range(len(panel.bars))
        top = max(max(bar.share, bar.target or 0.0) for bar in panel.bars) or 1.0
        colour = look.of_kind(panel.kind)
        ax.barh(rows, [100 * bar.share for bar in panel.bars], height=0.62, color=colour, label="rows")
        marks = [(100 * bar.target, row) for row, bar in zip(rows, panel.bars, strict=True) if bar.target is not None]
        if marks:
            xs, ys = zip(*marks, strict=True)
            ax.plot(xs, ys, "|", color=look.ink, markersize=13, markeredgewidth=2, label="target")
            style.legend(ax, look, loc="lower right", ncols=2, bbox_to_anchor=(1, 1))
        for row, bar in zip(rows, panel.bars, strict=True):
            x = 100 * max(bar.share, bar.target or 0.0) + 1.5 * top
            ax.text(x, row, numbers.share(bar.share), va="center", fontsize=8, color=look.ink)
        name_rows(ax, look, [style.plain(bar.name, 24) for bar in panel.bars])
        ax.set_xlim(0, 100 * top * (1.3 if look.narrow else 1.12))
        style.title(ax, look, panel.title, colour)
    style.label(axes[-1], look, words)
    return figure


def share_words(panels: Sequence[Bars]) -> str:
    """The picture of ``draw_shares`` in words."""
    parts: list[str] = []
    for panel in panels:
        named = (
            f"{bar.name} {numbers.share(bar.share)}"
            + (f" of {numbers.share(bar.target)}" if bar.target is not None else "")
            for bar in panel.bars
        )
        parts.append(f"{panel.title}: {', '.join(named)}")
    return "; ".join(parts) + "."
