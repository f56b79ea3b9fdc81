"""Preference pairs that differ in one value: the law as it is, and a law that belongs to another act."""

import random
from collections.abc import Sequence

from samples.banks import read_sections, split_pair
from samples.law.questions import spread
from samples.rows import Row
from samples.world.model import Fact, Kind, World
from samples.world.speech import Speaker

HELD_OUT = 20
ASKED_TWICE = 20
"""Training facts that get a second pair with other words and another wrong value."""


def law_pairs(world: World, seed: int) -> tuple[list[Row], list[Row]]:
    """Training pairs and held-out pairs; no fact is in both."""
    rng = random.Random(f"pairs-{seed}")
    held_out = spread(world.facts, HELD_OUT, rng)
    others = [fact for fact in world.facts if fact not in held_out]
    trained = spread(others, len(others), rng)
    asked = [*_ways(trained), *((fact, way + 1) for fact, way in _ways(trained[:ASKED_TWICE]))]
    return _pairs(world, asked, "align", seed), _pairs(world, _ways(held_out), "preference", seed)


def _ways(facts: Sequence[Fact]) -> list[tuple[Fact, int]]:
    """Each fact with the number of its round through the kinds, which picks its wording."""
    return [(fact, place // len(Kind)) for place, fact in enumerate(facts)]


def _pairs(world: World, asked: Sequence[tuple[Fact, int]], bank_name: str, seed: int) -> list[Row]:
    """Pairs for the facts; `lead` keeps right and wrong values longer equally often."""
    speaker = Speaker(world, f"{bank_name}-{seed}")
    bank = read_sections(f"law/{bank_name}")
    rows: list[Row] = []
    lead = 0
    for fact, way in asked:
        phrasings = bank[fact.kind]
        prompt, answer = split_pair(phrasings[way % len(phrasings)])
        wrong = _rival(fact, world, speaker.rng, shorter=lead <= 0)
        lead += (len(fact.value) > len(wrong)) - (len(fact.value) < len(wrong))
        slots = speaker.about(fact.act, fact.value)
        rows.append(
            {
                "prompt": speaker.say(prompt, slots),
                "chosen": speaker.say(answer, slots),
                "rejected": speaker.say(answer, {**slots, "value": wrong}),
                "task": "law",
                "slice": fact.slice,
            }
        )
    return rows


def _rival(fact: Fact, world: World, rng: random.Random, *, shorter: bool) -> str:
    """A wrong value that is another act's law, shorter or longer than the right one as asked, where there is such."""
    others = sorted({other.value for other in world.facts if other.kind == fact.kind} - {fact.value})
    length = len(fact.value)
    fitting = [value for value in others if (len(value) < length if shorter else len(value) > length)]
    different = [value for value in others if len(value) != length]
    return rng.choice(fitting or different or others)
