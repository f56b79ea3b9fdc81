"""Prompts with responses to other prompts: what KTO estimates the KL to the reference from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from framework.train.batch import MicroBatch, Piece, build, share
from framework.train.loader import Loader

Row = list[Piece]


def mismatched(loader: Loader, step: int) -> Iterator[tuple[float, MicroBatch | None]]:
    """This worker's micro-batches of a step with the responses exchanged, each with its weight.

    A batch's targets bear the unit of their prompt. Every prompt gets the responses of the next row of the global batch
    that has another prompt, so that both means over the batch are over the same responses and neither micro-batches nor
    workers change what meets what. ``None`` where all rows of the step have one prompt: nothing can be
    exchanged, on any worker.
    """
    partners = exchanged(loader.rows(loader.step(step)))
    for group, weight in loader.shares(step):
        rows = [
            crossed(row, partners[row[0].unit], loader.capacity)
            for row in loader.rows(group)
            if row[0].unit in partners
        ]
        yield weight, build(share(rows)) if rows else None


def exchanged(rows: Sequence[Row]) -> dict[int, Row]:
    """For each row's unit the next row, round the end, with another prompt; empty when there is one prompt alone."""
    count = len(rows)
    prompts = [row[0].tokens.tobytes() for row in rows]
    if len(set(prompts)) < 2:
        return {}
    following: dict[int, int] = {}
    place = 0
    # Twice round from the end: the second time, what comes after the last row is known.
    for at in reversed(range(2 * count)):
        if prompts[at % count] != prompts[(at + 1) % count]:
            place = (at + 1) % count
        following[at % count] = place
    return {row[0].unit: rows[following[at]] for at, row in enumerate(rows)}


def crossed(row: Row, other: Row, capacity: int) -> Row:
    """A row's prompt with another's responses, cut where prompt and response exceed the longest row."""
    prompt, room = row[0], capacity - len(row[0].tokens)
    return [
        prompt,
        *(
            replace(reply, tokens=reply.tokens[:room], supervised=reply.supervised[:room], unit=prompt.unit)
            for reply in other[1:]
        ),
    ]
