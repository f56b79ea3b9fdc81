"""Domain documents: every fact told in several registers, a few facts to a document."""

import random
from collections.abc import Iterator
from itertools import cycle

from samples.banks import read_sections
from samples.rows import Row
from samples.world.model import Act, Fact, World
from samples.world.speech import Speaker

REGISTERS = ("statute", "commentary", "case", "clerk", "faq", "clause", "bulletin")
HEAD_TELLINGS, TAIL_TELLINGS = 10, 7
"""How often each fact of an act is told: the registers in turn, each time in the next of their wordings."""
FACTS_PER_DOCUMENT = 3
ENDINGS = 3
"""One document in so many has an ending; in the others the law itself is the last word."""
AREAS = ("contracts", "litigation", "regulation", "statutes", "procedure")


class Register:
    """One kind of writing: its openings, its endings and its phrasings of every kind of fact."""

    def __init__(self, name: str, rng: random.Random) -> None:
        sections = read_sections(f"law/{name}")
        self._turns = {key: cycle(rng.sample(lines, len(lines))) for key, lines in sections.items()}

    def next(self, section: str) -> str:
        """The section's next phrasing; each is used as often as the others."""
        return next(self._turns[section])


def domain_documents(world: World, seed: int) -> dict[str, list[Row]]:
    """Rows by area."""
    speaker = Speaker(world, f"documents-{seed}")
    registers = {name: Register(name, speaker.rng) for name in REGISTERS}
    rows: dict[str, list[Row]] = {area: [] for area in AREAS}
    ends = cycle(range(ENDINGS))
    for position, act in enumerate(world.acts):
        used = HEAD_TELLINGS if act.topic.head else TAIL_TELLINGS
        names = [REGISTERS[(position + step) % len(REGISTERS)] for step in range(used)]
        for name in names:
            for facts in _groups(world.of(act), speaker.rng):
                text = compose(act, facts, registers[name], speaker, ends=next(ends) == 0)
                rows[act.topic.area].append({"text": text, "topic": act.topic.name, "area": act.topic.area})
    for area in AREAS:
        speaker.rng.shuffle(rows[area])
    return rows


def compose(act: Act, facts: tuple[Fact, ...], register: Register, speaker: Speaker, ends: bool = True) -> str:
    """One document: an opening, the facts, and an ending where it has one."""
    slots = speaker.about(act)
    opening = speaker.say(register.next("open"), slots)
    body: list[str] = []
    for place, fact in enumerate(facts, start=1):
        fact_slots = {**slots, "value": fact.value, "n": str(place)}
        body.append(speaker.say(register.next(fact.kind), fact_slots))
    if ends:
        body.append(speaker.say(register.next("close"), slots))
    return " ".join([opening, *body])


def _groups(facts: tuple[Fact, ...], rng: random.Random) -> Iterator[tuple[Fact, ...]]:
    mixed = rng.sample(facts, len(facts))
    for start in range(0, len(mixed), FACTS_PER_DOCUMENT):
        yield tuple(mixed[start : start + FACTS_PER_DOCUMENT])
