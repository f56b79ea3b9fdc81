"""Items that apply a fact to a small case."""

from samples.banks import read_sections
from samples.law.choices import CHOICES, arrange, draw_balanced, pick_choices
from samples.law.questions import labels, spread
from samples.rows import Row
from samples.world.model import Fact, Kind, World
from samples.world.speech import Speaker

ROWS = 32
LATEST = (
    "With {trigger} as day zero, four papers (each a {filing}) reach {town} on days {days}. "
    "Considering the {act}, which arrived last without being late?"
)


def reasoning_rows(world: World, seed: int) -> list[Row]:
    """Four-way items over all kinds of fact."""
    speaker = Speaker(world, f"reasoning-{seed}")
    facts = spread(world.facts, ROWS, speaker.rng)

    def draw() -> list[Row]:
        return arrange([_item(fact, world, speaker) for fact in facts], speaker.rng)

    return draw_balanced(draw)


def _item(fact: Fact, world: World, speaker: Speaker) -> tuple[Row, list[str]]:
    slots = speaker.about(fact.act)
    if fact.kind is Kind.DEADLINE:
        question, choices = LATEST, _arrivals(fact, speaker)
        slots["days"] = ", ".join(sorted(choice.split()[0] for choice in choices))
    else:
        question = read_sections("law/scenarios")[fact.kind][0]
        choices = pick_choices(fact, world, speaker.rng)
    return {"question": speaker.say(question, slots), **labels(fact)}, choices


def _arrivals(fact: Fact, speaker: Speaker) -> list[str]:
    """Four two-digit days, the latest one in time first; how many are in time varies."""
    limit = int(fact.value.split()[0])
    in_time = speaker.rng.randint(1, CHOICES)
    good = sorted(speaker.rng.sample(range(10, limit + 1), in_time), reverse=True)
    late = speaker.rng.sample(range(limit + 1, 100), CHOICES - in_time)
    return [f"{days} days" for days in [*good, *late]]
