"""Raw text into reading comprehension: a passage, then tasks mined from it by patterns, without a teacher model.

After Cheng et al. (2024), "Adapting Large Language Models via Reading Comprehension" (arXiv:2309.09530): summary,
word to text, entailment, commonsense reasoning, paraphrase and completion, and definitions besides, which legal and
technical text is full of. Wordings and patterns are this project's own, and English.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import ClassVar, Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from framework.converters._common_words import is_common
from framework.converters._language import size
from framework.converters._mining import completion, definition, summary, word_to_text
from framework.converters._passages import Passage, passages
from framework.converters._relations import entailment, paraphrase, reasoning
from framework.converters._tasks import Context, Task
from framework.converters._wordings import LEADS
from framework.converters.base import Convert, Converter, Exchange, Left, Made

TaskKind = Literal["summary", "word_to_text", "entailment", "reasoning", "paraphrase", "completion", "definition"]
KINDS: dict[TaskKind, Callable[[Context], Task | None]] = {
    "summary": summary,
    "word_to_text": word_to_text,
    "entailment": entailment,
    "reasoning": reasoning,
    "paraphrase": paraphrase,
    "completion": completion,
    "definition": definition,
}
_WORD = re.compile(r"\b[a-z]{5,20}\b")
_NEAR = 4
"""Passages before and after from which a claim is taken that the passage says nothing of."""
_PLACES: dict[str, int] = {"summary": 0, "reasoning": 0, "definition": 0, "word_to_text": 2}
"""Which kinds give way: those that are found seldom come first, the one that is found nearly always last."""
_MIN_COUNT = 3
"""A corpus's own word is used so often at least: less may be a slip of the pen."""
_ROW_SIZE = 2.5
"""Size (see ``size``) that a row may have for each word of a passage, its tasks included."""


class ReadingComprehension(Converter):
    """Every text is cut into passages; each becomes one row with up to ``tasks`` tasks, of different kinds."""

    version: ClassVar[int] = 1
    kind: Literal["reading_comprehension"] = "reading_comprehension"
    kinds: list[TaskKind] = Field(default_factory=lambda: list(KINDS), min_length=1)
    """The kinds of task that are mined."""
    tasks: PositiveInt = 3
    """Tasks of a passage at most."""
    passage_words: int = Field(default=160, ge=20)
    """Words of a passage at most, less where text is dense. The default keeps rows within 512 tokens."""
    plain: float = Field(default=0.0, ge=0, le=1)
    """Share of the passages that stay plain text."""
    without: Literal["drop", "text"] = "drop"
    """What becomes of a passage in which no task is found: left out and counted, or kept as plain text."""
    form: Literal["conversation", "text"] = "conversation"
    """``conversation``: replies alone are learnt. ``text``: one text of passage and tasks, of which all is learnt."""
    seed: NonNegativeInt = 0
    """Other tasks and wordings from the same text."""

    def begin(self, texts: Callable[[], Iterable[str]]) -> Convert:
        """The corpus is read for its own words when ``word_to_text`` is wanted, and not otherwise."""
        vocabulary = _vocabulary(texts()) if "word_to_text" in self.kinds else {}

        def convert(text: str, id: str) -> Iterator[Made | Left]:
            cut = list(passages(text, self.passage_words))
            for place, passage in enumerate(cut):
                rng = random.Random(hashlib.blake2b(f"{self.seed}\0{id}\0{place}".encode(), digest_size=8).digest())
                near = [*cut[max(0, place - _NEAR) : place], *cut[place + 1 : place + 1 + _NEAR]]
                elsewhere = [sentence for other in near for sentence in other.prose]
                yield self._made(Context(passage, elsewhere, vocabulary, rng))

        return convert

    def _made(self, context: Context) -> Made | Left:
        passage = context.passage
        if context.rng.random() < self.plain:
            return Made(text=passage.text)
        mined = [task for kind in dict.fromkeys(self.kinds) if (task := KINDS[kind](context)) is not None]
        chosen = self._chosen(mined, context)
        if chosen:
            exchanges = _exchanges(passage, chosen, context)
            kinds = tuple(task.kind for task in chosen)
            if self.form == "conversation":
                return Made(exchanges, kinds)
            return Made(tasks=kinds, text="\n\n".join(f"{pair.ask}\n\n{pair.reply}" for pair in exchanges))
        if self.without == "text":
            return Made(text=passage.text)
        if not passage.prose:
            return Left("no sentence of prose in the passage")
        return Left("no task found in the passage" if not mined else "no task short enough for the passage")

    def _chosen(self, mined: list[Task], context: Context) -> list[Task]:
        """Tasks that fit a row, each on another sentence: kinds that are found seldom first.

        In the row their order is random, but for a completion: nothing can be asked before it that it would repeat.
        """
        context.rng.shuffle(mined)
        room = self.passage_words * _ROW_SIZE - size(context.passage.text)
        found: list[Task] = []
        for task in sorted(mined, key=lambda task: _PLACES.get(task.kind, 1)):
            needs = size(task.ask) + size(task.reply)
            apart = not task.about or all(task.about != other.about for other in found)
            if len(found) < self.tasks and needs <= room and apart:
                found.append(task)
                room -= needs
        context.rng.shuffle(found)
        return sorted(found, key=lambda task: task.kind != "completion")


def _exchanges(passage: Passage, tasks: list[Task], context: Context) -> tuple[Exchange, ...]:
    """The first question comes with the passage, without what the tasks must not show."""
    shown = passage.text
    for task in tasks:
        if task.hide and task.kind == "completion":
            shown = shown[: -len(task.hide)].rstrip()
        elif task.hide:
            shown = shown.removeprefix(task.hide).lstrip()
    first, *others = tasks
    ask = context.worded(LEADS, passage=shown, question=first.ask)
    return (Exchange(ask, first.reply), *(Exchange(task.ask, task.reply) for task in others))


def _vocabulary(texts: Iterable[str]) -> dict[str, int]:
    """The corpus's own words: in lower case, so that names are none, used several times, and not common English."""
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(_WORD.findall(text))
    return {word: count for word, count in counts.items() if count >= _MIN_COUNT and not is_common(word)}


COMPONENT = ReadingComprehension
