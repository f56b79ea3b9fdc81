"""Pictures of horizontal bars, a name to each row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
