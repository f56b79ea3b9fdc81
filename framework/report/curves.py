"""Training curves: the loss of every stage, in whole and by source, and the rewards of preference stages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from framework.report import numbers, style
from framework.report.read import StageRecord
from framework.report.records import Step
from framework.report.style import Look

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CAPTION = (
    "Loss by step: thick the stage, thin its sources (means over neighbouring steps), faint the single steps. "
    "Stages with preference pairs also show the margin between the rewards of chosen and rejected, "
    "and how often it is positive."
)
_POINTS = 32
"""Points of a smoothed line."""
_FAINT = 600
"""Single steps are drawn up to about so many; of longer stages every second, third, ..."""
Pick = Callable[[Step], float | None]
_REWARDS: tuple[tuple[str, Pick, float], ...] = (
    ("reward margin", lambda step: step.reward_margin, 1),
    ("reward accuracy, %", lambda step: step.reward_accuracy, 100),
)


def draw(stages: Sequence[StageRecord], look: Look) -> Figure:
    """A panel for each stage's loss, and for each reward that it has."""
    rewards = [
        (stage, name, pick, factor)
        for stage in stages
        for name, pick, factor in _REWARDS
        if any(pick(step) is not None for step in stage.steps)
    ]
    number = len(stages) + len(rewards)
    figure, axes = style.panels(look, number, 2 if number in (2, 4) else 3, 3.1)
    for ax, stage in zip(axes, stages, strict=False):
        _loss(ax, look, stage)
    for ax, (stage, name, pick, factor) in zip(axes[len(stages) :], rewards, strict=True):
        colour = look.of_kind(stage.kind)
        xs, ys = _smooth(stage.steps, pick)
        ax.plot(*_single(stage.steps, pick, factor), color=colour, linewidth=0.8, alpha=0.3)
        ax.plot(xs, [factor * y for y in ys], color=colour, linewidth=2.2)
        style.title(ax, look, f"{stage.label}: {name.partition(',')[0]}", colour)
        style.label(ax, look, "step", name)
    return figure


def _loss(ax: Axes, look: Look, stage: StageRecord) -> None:
    colour = look.of_kind(stage.kind)
    ax.plot(*_single(stage.steps, _whole), color=colour, linewidth=0.8, alpha=0.28)
    sources = list(dict.fromkeys(name for step in stage.steps for name in step.loss_by_source))
    others = [one for one in look.colours if one != colour]
    for index, name in enumerate(sources if len(sources) > 1 else ()):
        shade, line = others[index % len(others)], style.LINES[index // len(others) % len(style.LINES)]
        words = style.plain(name, 22)
        ax.plot(*_smooth(stage.steps, _of(name)), color=shade, linestyle=line, linewidth=1.2, label=words)
    ax.plot(*_smooth(stage.steps, _whole), color=colour, linewidth=2.6, label="stage")
    style.title(ax, look, stage.label, colour)
    style.label(ax, look, "step", "loss")
    ax.margins(x=0.02)
    if len(sources) > 1:
        rows = -(-(len(sources) + 1) // 2)
        place = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.2)}
        style.legend(ax, look, ncols=2 if rows > 1 else 1, columnspacing=1.2, **place)


def _whole(step: Step) -> float | None:
    return step.loss


def _of(source: str) -> Pick:
    return lambda step: step.loss_by_source.get(source)


def _single(steps: Sequence[Step], pick: Pick, factor: float = 1) -> tuple[list[int], list[float]]:
    stride = max(1, len(steps) // _FAINT)
    points = [(step.step, value) for step in steps[::stride] if (value := pick(step)) is not None]
    return [step for step, _ in points], [factor * value for _, value in points]


def _smooth(steps: Sequence[Step], pick: Pick) -> tuple[list[float], list[float]]:
    """Means over equal spans of steps; a span without a value gives no point."""
    width = max(1, -(-len(steps) // _POINTS))
    xs: list[float] = []
    ys: list[float] = []
    for start in range(0, len(steps), width):
        span = [(step.step, value) for step in steps[start : start + width] if (value := pick(step)) is not None]
        if span:
            xs.append(sum(step for step, _ in span) / len(span))
            ys.append(sum(value for _, value in span) / len(span))
    return xs, ys


def ends(steps: Sequence[Step]) -> tuple[float, float]:
    """Mean loss over the first and the last tenth of the steps."""
    part = max(1, len(steps) // 10)
    first, last = steps[:part], steps[-part:]
    return sum(step.loss for step in first) / len(first), sum(step.loss for step in last) / len(last)


def describe(stages: Sequence[StageRecord]) -> str:
    """The curves in words."""
    parts: list[str] = []
    for stage in stages:
        first, last = ends(stage.steps)
        parts.append(f"{stage.label} from {numbers.plain(first)} to {numbers.plain(last)} in {len(stage.steps)} steps")
    return "Mean loss of the first and the last tenth of the steps: " + "; ".join(parts) + "."
