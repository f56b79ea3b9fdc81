"""Instruction rows over many task types: hand-written ones, and small skills drawn from word lists."""

import random

from samples.banks import read_sections, split_pair
from samples.rows import Row

BANKS = ("tasks", "tasks_long", "tasks_more")
SKILL_ROWS = 8
"""Rows for each skill."""
HELD_OUT_WORDS = 3
"""Words at the end of each list of living things that only the evaluation uses."""


def task_rows(seed: int) -> list[Row]:
    """All rows, mixed."""
    rng = random.Random(f"tasks-{seed}")
    banks = [read_sections(f"general/{name}") for name in BANKS]
    rows = [_row(task, *_asked(entry)) for bank in banks for task, entries in bank.items() for entry in entries]
    rows += _skill_rows(rng)
    rng.shuffle(rows)
    return rows


def _asked(entry: str) -> tuple[str, str, str]:
    prompt, response = split_pair(entry)
    instruction, _, context = prompt.partition(" ## ")
    return instruction.strip(), context.strip(), response


def _row(task: str, instruction: str, context: str, response: str) -> Row:
    return {"instruction": instruction, "context": context, "response": response, "task": task}


def _skill_rows(rng: random.Random) -> list[Row]:
    words, asks = read_sections("general/skills"), read_sections("general/paraphrase")
    rows: list[Row] = []
    for turn in range(SKILL_ROWS):
        mood, answer = (("happy", "positive"), ("sad", "negative"))[turn % 2]
        rows.append(_skill("classify", asks["train_sentiment"][turn % 3], words[mood][turn], answer))
        colour = words["colours"][turn]
        scene = asks["scenes"][turn % 3].format(colour=colour, thing=words["things"][turn])
        rows.append(_skill("extract", asks["train_colour"][turn % 3], scene, colour))
        small, large = sorted(rng.sample(range(10, 100), 2))
        first, second = (small, large) if turn % 2 else (large, small)
        rows.append(_row("compare", asks["train_larger"][turn % 3].format(a=first, b=second), "", str(large)))
        kinds, answer = (("animals", "animal"), ("plants", "plant"))[turn % 2]
        item = words[kinds][turn // 2]
        rows.append(_skill("classify", asks["train_living"][turn % 3], item, answer))
    return rows


def _skill(task: str, ask: str, item: str, answer: str) -> Row:
    instruction, _, context = ask.partition(" ## ")
    return _row(task, instruction.format(item=item), context.format(item=item), answer)
