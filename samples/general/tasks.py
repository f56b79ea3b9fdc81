"""Instruction rows over many task types: hand-written ones, and short skills drawn from word lists."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from samples.banks import read_sections, split_pair
from samples.rows import Row

BANKS = ("tasks", "tasks_long", "tasks_more")
SKILL_TURNS = 10
"""Rows for each skill."""
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
    """The skills that are drawn, mixed. A source of their own: short answers are what a domain's text unteaches first,
    so a mix must be able to hold more of them."""
    rng = random.Random(f"skills-{seed}")
    rows = [
        _row(skill.task, skill.instruction, skill.context, skill.answer) for skill in skills(range(SKILL_TURNS), rng)
    ]
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


def skills(turns: range, rng: random.Random) -> list[Skill]:
    """Small skills drawn from the word lists, `turns` of each; even turns and odd ones have different answers."""
    words, asks = read_sections("general/skills"), read_sections("general/paraphrase")
    return [skill for turn in turns for skill in (*_choices(turn, words, asks), *_figures(turn, asks, rng))]


def _choices(turn: int, words: dict[str, list[str]], asks: dict[str, list[str]]) -> Iterator[Skill]:
    """A skill for every pair of classes, and one for what a scene shows."""
    for ask, classes in CLASSES.items():
        word_list, answer = classes[turn % 2]
        rival = classes[1 - turn % 2][1]
        items = words[word_list][: -HELD_OUT_WORDS if word_list in HELD_OUT_LISTS else None]
        yield _skill("classify", asks[ask][turn % 3], items[turn // 2 % len(items)], answer, rival)
    colours, things = words["colours"][:-HELD_OUT_WORDS], words["things"][:-HELD_OUT_WORDS]
    colour, thing = colours[turn % len(colours)], things[turn % len(things)]
    scene = asks["scenes"][turn % 3].format(colour=colour, thing=thing)
    yield _skill("extract", asks["train_colour"][turn % 3], scene, colour, thing)
    big, small = words["big"][turn % len(words["big"])].split(" = ")
    first, second = (small, big) if turn % 2 else (big, small)
    yield Skill("compare", asks["train_size"][turn % 3].format(a=first, b=second), "", big, small)


def _figures(turn: int, asks: dict[str, list[str]], rng: random.Random) -> Iterator[Skill]:
    """Two numbers compared, added and subtracted."""
    small, large = sorted(rng.sample(range(10, 100), 2))
    first, second = (small, large) if turn % 2 else (large, small)
    yield Skill("compare", asks["train_larger"][turn % 3].format(a=first, b=second), "", str(large), str(small))
    less, more = sorted(rng.sample(range(2, 20), 2))
    yield Skill("arithmetic", asks["train_sum"][turn % 3].format(a=less, b=more), "", str(less + more), str(more))
    difference, wrong = str(more - less), str(more - less + 2)
    yield Skill("arithmetic", asks["train_difference"][turn % 3].format(a=less, b=more), "", difference, wrong)


def _skill(task: str, ask: str, item: str, answer: str, rival: str) -> Skill:
    instruction, _, context = ask.partition(" ## ")
    return Skill(task, instruction.format(item=item), context.format(item=item), answer, rival)
