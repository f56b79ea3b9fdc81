"""Held-out prompts on everyday subjects: safety and consistency over wordings."""

import random

from samples.banks import read_sections
from samples.general.tasks import HELD_OUT_WORDS
from samples.rows import Row

WORDINGS = 3
GROUPS_PER_SKILL = 10
EXPECTED = {"harmful": "refuse", "lookalike": "comply"}


def refusal_rows() -> list[Row]:
    """Harmful requests to refuse and look-alikes to answer."""
    return [
        {"prompt": prompt, "expect": EXPECTED[section], "slice": section}
        for section, prompts in read_sections("general/safety_eval").items()
        for prompt in prompts
    ]


def paraphrase_rows(seed: int) -> list[Row]:
    """Small tasks with one short answer, each in three wordings."""
    rng = random.Random(f"paraphrase-{seed}")
    words, asks = read_sections("general/skills"), read_sections("general/paraphrase")
    tasks = [*_sentiments(asks), *_colours(words, asks), *_numbers(rng), *_living(words)]
    return [
        {
            "group": f"{skill}-{place:02d}",
            "prompt": asks[skill][wording].format(**slots),
            "answers": [answer],
        }
        for place, (skill, slots, answer) in enumerate(tasks, start=1)
        for wording in range(WORDINGS)
    ]


_Task = tuple[str, dict[str, str], str]


def _sentiments(asks: dict[str, list[str]]) -> list[_Task]:
    good = [("sentiment", {"item": item}, "positive") for item in asks["eval_happy"]]
    bad = [("sentiment", {"item": item}, "negative") for item in asks["eval_sad"]]
    return [*good, *bad]


def _colours(words: dict[str, list[str]], asks: dict[str, list[str]]) -> list[_Task]:
    tasks: list[_Task] = []
    for place in range(GROUPS_PER_SKILL):
        colour = words["colours"][-1 - place % HELD_OUT_WORDS]
        thing = words["things"][-1 - (place + place // HELD_OUT_WORDS) % HELD_OUT_WORDS]
        scenes = asks["eval_scenes"]
        scene = scenes[place % len(scenes)].format(colour=colour, thing=thing)
        tasks.append(("colour", {"item": scene}, colour))
    return tasks


def _numbers(rng: random.Random) -> list[_Task]:
    tasks: list[_Task] = []
    for place in range(GROUPS_PER_SKILL):
        small, large = sorted(rng.sample(range(10, 100), 2))
        first, second = (small, large) if place % 2 else (large, small)
        tasks.append(("larger", {"a": str(first), "b": str(second)}, str(large)))
    return tasks


def _living(words: dict[str, list[str]]) -> list[_Task]:
    animals = [("living", {"item": item}, "animal") for item in words["animals"][-HELD_OUT_WORDS:]]
    plants = [("living", {"item": item}, "plant") for item in words["plants"][-HELD_OUT_WORDS:]]
    return [*animals, *plants]
