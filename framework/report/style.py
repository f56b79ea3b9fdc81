"""How pictures look: light and dark, wide and narrow, in colours that colour-blind readers can tell apart."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from framework.report.records import MEASURES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_DPI = 144


@dataclass(frozen=True, slots=True)
class Look:
    """One rendering of every picture."""

    dark: bool
    narrow: bool

    @property
    def suffix(self) -> str:
        """What tells this rendering's file from the others'."""
        return ("-narrow" if self.narrow else "") + ("-dark" if self.dark else "")

    @property
    def media(self) -> str:
        """When a browser should choose it."""
        parts = ["screen"] + ["(max-width: 620px)"] * self.narrow + ["(prefers-color-scheme: dark)"] * self.dark
        return " and ".join(parts)

    @property
    def width(self) -> float:
        """Inches."""
        return 4.3 if self.narrow else 10.0

    @property
    def ink(self) -> str:
        """Text."""
        return "#e6e8ea" if self.dark else "#1f2428"

    @property
    def muted(self) -> str:
        """Axes, labels, and what comes before."""
        return "#9aa3ab" if self.dark else "#626b73"

    @property
    def grid(self) -> str:
        """Grid lines."""
        return "#343b42" if self.dark else "#e3e6e8"

    @property
    def paper(self) -> str:
        """Background: that of the report's panels."""
        return "#1b2025" if self.dark else "#ffffff"

    @property
    def colours(self) -> tuple[str, ...]:
        """Okabe and Ito's palette, its yellow and black left out, adapted to the background."""
        if self.dark:
            return ("#56b4e9", "#f0a830", "#2dc49a", "#e79bc4", "#7d9cff", "#ff8a5c", "#b9c0c7")
        return ("#0072b2", "#d55e00", "#009e73", "#b4568f", "#4b55b8", "#a87400", "#626b73")

    def of_kind(self, kind: str) -> str:
        """The colour of what a stage is for."""
        return self.colours[MEASURES.index(kind)] if kind in MEASURES else self.muted


LOOKS = (Look(False, False), Look(True, False), Look(False, True), Look(True, True))
LINES = ("-", "--", ":", "-.")
"""Line styles, for what colour alone does not tell apart."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that there is data for."""

    name: str
    """File name, without suffix."""
    caption: str
    alt: str
    """What the picture shows, for those who cannot see it."""
    draw: Callable[[Look], Figure]


def panels(
    look: Look, number: int, columns: int, height: float, ratios: Sequence[float] | None = None
) -> tuple[Figure, list[Axes]]:
    """A figure of so many panels: the number of columns on a wide page (one when narrow), height in inches each.

    ``ratios`` are relative heights of the panels in a figure of one column.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = 1 if look.narrow and columns <= 3 else min(columns, 2) if look.narrow else columns
    columns = min(columns, number)
    rows = -(-number // columns)
    scale = sum(ratios) if ratios else rows
    figure = Figure(figsize=(look.width, height * scale), dpi=_DPI, facecolor=look.paper)
    FigureCanvasAgg(figure)
    figure.set_layout_engine("constrained", h_pad=0.1, w_pad=0.1)
    grid = figure.add_gridspec(rows, columns, height_ratios=list(ratios) if ratios else None)
    axes = [figure.add_subplot(grid[index // columns, index % columns]) for index in range(number)]
    for ax in axes:
        _dress(ax, look)
    return figure, axes


def _dress(ax: Axes, look: Look) -> None:
    ax.set_facecolor(look.paper)
    ax.tick_params(colors=look.muted, labelsize=8.5, length=0, pad=4)
    for name, spine in ax.spines.items():
        spine.set_visible(name == "bottom")
        spine.set_color(look.muted)
        spine.set_linewidth(0.8)
    ax.grid(visible=True, color=look.grid, linewidth=0.8)
    ax.set_axisbelow(True)


def title(ax: Axes, look: Look, words: str, colour: str | None = None) -> None:
    """A panel's title, at its left."""
    ax.set_title(plain(words), loc="left", fontsize=10, fontweight="bold", color=colour or look.ink, pad=8)


def label(ax: Axes, look: Look, x: str = "", y: str = "") -> None:
    """Axis labels."""
    ax.set_xlabel(plain(x, 60) if x else "", fontsize=8.5, color=look.muted)
    ax.set_ylabel(plain(y, 22) if y else "", fontsize=8.5, color=look.muted)


def legend(ax: Axes, look: Look, **options: Any) -> None:
    """A legend without a frame."""
    ax.legend(frameon=False, fontsize=8, labelcolor=look.ink, handlelength=1.8, **options)


def plain(words: str, limit: int = 34) -> str:
    """A name from the data: on one line, not too long, never read as mathematics."""
    line = " ".join(words.split())
    line = line if len(line) <= limit else line[: limit - 1] + "\u2026"
    return line.replace("$", r"\$").lstrip("_") or "?"  # a label with a leading underscore gets no legend


def png(figure: Figure) -> bytes:
    """The picture, the same bytes for the same content; in 128 colours, which is a third of the size."""
    from PIL import Image

    drawn = io.BytesIO()
    with warnings.catch_warnings():
        # A name in a script that the font lacks is drawn as boxes; it stands in the report's text as well.
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        figure.savefig(drawn, format="png")
    packed = io.BytesIO()
    with Image.open(drawn) as image:
        image.convert("RGB").quantize(128, dither=Image.Dither.NONE).save(packed, format="png", optimize=True)
    return packed.getvalue()
