"""Instruction rows over many task types: hand-written ones, and short skills drawn from word lists."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from samples.banks import read_sections, split_pair
from samples.rows import Row, said

BANKS = ("tasks", "tasks_long", "tasks_more")
SKILL_TURNS = 24
"""Times that each skill is drawn."""
SKILLS_PER_ROW = 4
HELD_OUT_WORDS = 5
"""Words at the end of some lists that only the evaluation uses."""
HELD_OUT_LISTS = ("animals", "plants")
CLASSES = {
    "train_sentiment": (("happy", "positive"), ("sad", "negative")),
    "train_living": (("animals", "animal"), ("plants", "plant")),
    "train_kind": (("tools", "tool"), ("fruits", "fruit")),
    "train_word": (("verbs", "verb"), ("adjectives", "adjective")),
}
"""By section of questions: the two word lists, and what their words are."""


def task_rows(seed: int) -> list[Row]:
    """The hand-written rows, mixed."""
    banks = [read_sections(f"general/{name}") for name in BANKS]
    rows = [_row(task, *_asked(entry)) for bank in banks for task, entries in bank.items() for entry in entries]
    random.Random(f"tasks-{seed}").shuffle(rows)
    return rows


def skill_rows(seed: int) -> list[Row]:
    """Conversations that ask for a few of the skills that are drawn, all of one task. A source of their own: short
    answers are what a domain's text unteaches first, so a mix must be able to hold more of them; several to a row,
    since an answer of one word weighs little beside the tokens around it."""
    rng = random.Random(f"skills-{seed}")
    drawn = skills(range(SKILL_TURNS), rng)
    rng.shuffle(drawn)
    rows: list[Row] = []
    for task in sorted({skill.task for skill in drawn}):
        alike = [skill for skill in drawn if skill.task == task]
        for start in range(0, len(alike), SKILLS_PER_ROW):
            messages = [turn for skill in alike[start : start + SKILLS_PER_ROW] for turn in skill.exchange()]
            rows.append({"messages": messages, "task": task})
    rng.shuffle(rows)
    return rows


def _asked(entry: str) -> tuple[str, str, str]:
    prompt, response = split_pair(entry)
    instruction, _, context = prompt.partition(" ## ")
    return instruction.strip(), context.strip(), response


def _row(task: str, instruction: str, context: str, response: str) -> Row:
    return {"instruction": instruction, "context": context, "response": response, "task": task}


@dataclass(frozen=True)
class Skill:
    """A question with one right short answer, and a wrong one of the same kind."""

    task: str
    instruction: str
    context: str
    answer: str
    rival: str

    @property
    def prompt(self) -> str:
        """What a user says."""
        return " ".join(filter(None, (self.instruction, self.context)))

    def exchange(self) -> tuple[Row, Row]:
        """A user's turn and its answer."""
        return said("user", self.prompt), said("assistant", self.answer)


def skills(turns: range, rng: random.Random) -> list[Skill]:
    """Small skills drawn from the word lists, each once a turn; of two classes, both are asked for in every turn."""
    words, asks = read_sections("general/skills"), read_sections("general/paraphrase")
    return [skill for turn in turns for skill in (*_choices(turn, words, asks), *_figures(turn, asks, rng))]


def _choices(turn: int, words: dict[str, list[str]], asks: dict[str, list[str]]) -> Iterator[Skill]:
    """A skill for every class, one for what a scene shows and one for what is bigger."""
    for ask, (first, second) in CLASSES.items():
        for (word_list, answer), (_, rival) in ((first, second), (second, first)):
            items = words[word_list][: -HELD_OUT_WORDS if word_list in HELD_OUT_LISTS else None]
            yield _skill("classify", _turned(asks[ask], turn), items[turn % len(items)], answer, rival)
    colours, things = words["colours"][:-HELD_OUT_WORDS], words["things"][:-HELD_OUT_WORDS]
    colour, thing = colours[turn % len(colours)], things[turn % len(things)]
    scene = _turned(asks["scenes"], turn).format(colour=colour, thing=thing)
    yield _skill("extract", _turned(asks["train_colour"], turn), scene, colour, thing)
    big, small = words["big"][turn % len(words["big"])].split(" = ")
    left, right = (small, big) if turn % 2 else (big, small)
    yield Skill("compare", _turned(asks["train_size"], turn).format(a=left, b=right), "", big, small)


def _figures(turn: int, asks: dict[str, list[str]], rng: random.Random) -> Iterator[Skill]:
    """Two numbers compared, added and subtracted."""
    small, large = sorted(rng.sample(range(10, 100), 2))
    first, second = rng.sample((small, large), 2)
    yield Skill("compare", _turned(asks["train_larger"], turn).format(a=first, b=second), "", str(large), str(small))
    less, more = sorted(rng.sample(range(2, 20), 2))
    yield Skill("arithmetic", _turned(asks["train_sum"], turn).format(a=less, b=more), "", str(less + more), str(more))
    difference, wrong = str(more - less), str(more - less + 2)
    yield Skill("arithmetic", _turned(asks["train_difference"], turn).format(a=less, b=more), "", difference, wrong)


def _turned(ways: list[str], turn: int) -> str:
    return ways[turn % len(ways)]


def _skill(task: str, ask: str, item: str, answer: str, rival: str) -> Skill:
    instruction, _, context = ask.partition(" ## ")
    return Skill(task, instruction.format(item=item), context.format(item=item), answer, rival)
