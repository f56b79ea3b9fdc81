"""Rows of plain text through a source's converter, with an account of what became of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from framework.converters.base import Convert, Exchange, Left, Made
from framework.data.rows import Conversation, Row, Text, Turn


@dataclass(slots=True)
class Conversion:
    """What a converter made of a source's rows."""

    rows: int = 0
    """Rows of text that were given to it."""
    rows_converted: int = 0
    """Those of which at least one passage was converted."""
    passages: int = 0
    """Rows that came of them with tasks."""
    plain: int = 0
    """Passages that stayed plain text."""
    tasks: dict[str, int] = field(default_factory=dict)
    """Tasks by kind."""


def converted(
    rows: Iterator[Row], convert: Convert, account: Conversion, leave_out: Callable[[str, str], None]
) -> Iterator[Row]:
    """A row for each passage, named ``ROW/NUMBER``; ``leave_out`` is told reason and name of those that give none.

    Topic and slice stay those of the text. ``task`` becomes the kind of the passage's last task, whose reply is what
    the checks of rows take for the row's.
    """
    for row in rows:
        assert isinstance(row, Text)
        account.rows += 1
        before = account.passages
        for number, outcome in enumerate(convert(row.text, row.id), start=1):
            name = f"{row.id}/{number}"
            if isinstance(outcome, Left):
                leave_out(f"not converted: {outcome.reason}", name)
                continue
            account.passages += bool(outcome.tasks)
            account.plain += not outcome.tasks
            for task in outcome.tasks:
                account.tasks[task] = account.tasks.get(task, 0) + 1
            yield _row(row, name, outcome)
        account.rows_converted += account.passages > before


def _row(row: Text, name: str, made: Made) -> Row:
    labels = replace(row.labels, task=made.tasks[-1]) if made.tasks else row.labels
    if not made.exchanges:
        return Text(id=name, labels=labels, text=made.text)
    return Conversation(id=name, labels=labels, turns=tuple(turn for pair in made.exchanges for turn in _turns(pair)))


def _turns(exchange: Exchange) -> tuple[Turn, Turn]:
    return Turn("user", exchange.ask), Turn("assistant", exchange.reply)
