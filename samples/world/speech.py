"""Turns a phrasing into a sentence."""

import random
import re

from samples.world.model import Act, Fact, World

_OPTIONS = re.compile(r"\[([^\[\]]*\|[^\[\]]*)\]")
_ARTICLE = re.compile(r"\b([Aa]) (?=[\"“]?[aeiouAEIO])(?!one\b|uni|use)")
_START = re.compile(r"(^(?:\(\d+\) |\d+\. )?|[.!?] (?:[QA]\. )?|^[QA]\. |: (?=[A-Z]))([a-z])")


class Speaker:
    """Fills phrasings with the nouns of an act; every free choice comes from its own seeded generator."""

    def __init__(self, world: World, seed: str) -> None:
        self._world = world
        self.rng = random.Random(seed)

    def about(self, act: Act, value: str = "") -> dict[str, str]:
        """The slots of one text: the act's nouns, invented people, a town, a number."""
        people = self.rng.sample(self._world.people, 2)
        return {
            **dict(act.nouns),
            "act": act.name,
            "thing": act.topic.name,
            "value": value,
            "p1": people[0],
            "p2": people[1],
            "town": self.rng.choice(self._world.towns),
            "n": str(self.rng.randint(2, 9)),
        }

    def say(self, phrasing: str, slots: dict[str, str]) -> str:
        """The phrasing with options chosen, slots filled, articles and capitals put right."""
        chosen = _OPTIONS.sub(lambda match: self.rng.choice(match.group(1).split("|")), phrasing)
        filled = _ARTICLE.sub(r"\1n ", chosen.format_map(slots))
        return _START.sub(lambda match: match.group(1) + match.group(2).upper(), filled)

    def state(self, fact: Fact, phrasing: str) -> str:
        """A fact in the words of the phrasing."""
        return self.say(phrasing, self.about(fact.act, fact.value))
