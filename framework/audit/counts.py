"""Sources, lengths and labels of a stage in numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from framework.data.mix import REPLAY
from framework.data.packs import Field, Packs
from framework.plan import StagePlan
from framework.profile.summary import Labelled
from framework.report.audit_records import Histogram, Left, Lengths, SourceAudit, Valued, Values
from framework.schema import Data, Kind
from framework.sources.base import Source

_VALUES = 40
"""Values of a label that are listed; labels may be as many as rows."""


def source_audit(data: Data, stage: StagePlan, name: str, lengths: NDArray[np.int64] | None) -> SourceAudit:
    """A source of a stage, own or replayed; ``lengths`` are of its sequences."""
    use = stage.prepared.sources[name]
    kind, _, own = name.removeprefix(REPLAY).partition("/") if name.startswith(REPLAY) else (stage.kind, "", name)
    source = data.of(cast("Kind", kind)).sources[own]
    return SourceAudit(
        kind=source.kind,
        location=_location(source),
        replayed=name.startswith(REPLAY),
        format=use.format,
        records=use.rows + sum(dropped.count for dropped in use.unreadable.values()),
        rows=use.rows,
        dropped={reason: Left(count=dropped.count, first=dropped.first) for reason, dropped in use.dropped.items()},
        truncated=use.truncated,
        rows_used=use.rows_used,
        sequences=use.units,
        tokens=use.tokens,
        supervised_tokens=use.supervised_tokens,
        epochs=use.epochs,
        planned=use.planned,
        realised=use.weight,
        lengths=_quantiles(lengths),
    )


def _location(source: Source) -> str:
    """Where its rows are, in words."""
    settings: dict[str, Any] = source.model_dump(mode="json")
    if "path" in settings:
        return str(settings["path"])
    parts = (settings["id"], settings["subset"], settings["split"], f"revision {settings['revision'][:12]}")
    return ", ".join(str(part) for part in parts if part)


def lengths(stage: StagePlan) -> dict[str, NDArray[np.int64]]:
    """Tokens of each sequence (or pair) that the stage trains on, by source."""
    if not stage.prepared.packs:
        return {}
    packs = Packs.open(stage.prepared.directory)
    unit = packs.segments[:, Field.UNIT]
    tokens = np.bincount(unit, weights=packs.segments[:, Field.LENGTH]).astype(np.int64)
    source = np.zeros(len(tokens), dtype=np.int64)
    source[unit] = packs.segments[:, Field.SOURCE]
    return {name: tokens[source == place] for place, name in enumerate(packs.sources)}


def _quantiles(lengths: NDArray[np.int64] | None) -> Lengths | None:
    if lengths is None or not len(lengths):
        return None
    median, p95, longest = np.quantile(lengths, (0.5, 0.95, 1.0), method="lower").tolist()
    return Lengths(median=median, p95=p95, longest=longest)


def histogram(found: Mapping[str, NDArray[np.int64]], limit: int) -> Histogram | None:
    """Edges double every second bin, so that short and long rows can both be told apart."""
    if not any(len(one) for one in found.values()):
        return None
    every = np.concatenate(list(found.values()))
    edges = [0]
    step = 6
    while round(2 ** (step / 2)) < limit:
        edges.append(round(2 ** (step / 2)))
        step += 1
    edges.append(limit)
    place = np.searchsorted(np.array(edges), every, side="left") - 1
    counts = np.bincount(place, minlength=len(edges) - 1).tolist()
    return Histogram(edges=edges, counts=counts, at_limit=int((every == limit).sum()))


def values(found: Labelled, target: Mapping[str, float]) -> Values:
    """The most frequent values of a label, and all that have a target share."""
    labelled = found.rows - found.without
    frequent = [value for value, _ in found.counts.most_common(_VALUES)]
    listed = list(dict.fromkeys([*frequent, *target]))
    return Values(
        rows=found.rows,
        without=found.without,
        effective=round(found.effective, 2),
        values=[
            Valued(
                value=value,
                rows=found.counts[value],
                share=found.counts[value] / labelled if labelled else 0.0,
                target=target.get(value),
            )
            for value in listed
        ],
        unlisted=len(found.counts.keys() - set(listed)),
        unlisted_rows=labelled - sum(found.counts[value] for value in listed),
    )
