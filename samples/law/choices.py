"""Multiple choice without give-aways: equal forms, uniform answers, no winning heuristic."""

import random
from collections.abc import Callable, Sequence

from samples.rows import Row
from samples.world.model import Fact, World

CHOICES = 4
TOLERANCE = 0.06
"""How far a blind heuristic may stray from chance; the promise to users is 0.10."""
_ATTEMPTS = 500


def pick_choices(fact: Fact, world: World, rng: random.Random) -> list[str]:
    """The fact's value and three others of its kind that are right for other acts; the value comes first."""
    others = sorted({other.value for other in world.facts if other.kind == fact.kind} - {fact.value})
    return [fact.value, *rng.sample(others, CHOICES - 1)]


def arrange(items: Sequence[tuple[Row, list[str]]], rng: random.Random) -> list[Row]:
    """Rows with `choices` and `answer`: every index equally often, in random order."""
    places = [index % CHOICES for index in range(len(items))]
    rng.shuffle(places)
    return [_arranged(row, choices, place, rng) for (row, choices), place in zip(items, places, strict=True)]


def draw_balanced(draw: Callable[[], list[Row]]) -> list[Row]:
    """The first draw on which always picking the longest or the shortest choice is near chance."""
    for _ in range(_ATTEMPTS):
        rows = draw()
        if all(abs(_score(rows, heuristic) - 1 / CHOICES) <= TOLERANCE for heuristic in (_longest, _shortest)):
            return rows
    raise ValueError(f"No balanced choice set in {_ATTEMPTS} draws: change the seed or widen the pools.")


def _arranged(row: Row, choices: list[str], place: int, rng: random.Random) -> Row:
    right, *wrong = choices
    rng.shuffle(wrong)
    ordered = [*wrong[:place], right, *wrong[place:]]
    return {**row, "choices": ordered, "answer": place}


def _score(rows: list[Row], heuristic: Callable[[list[str]], int]) -> float:
    return sum(heuristic(_texts(row)) == row["answer"] for row in rows) / len(rows)


def _texts(row: Row) -> list[str]:
    choices = row["choices"]
    assert isinstance(choices, list)
    return [str(choice) for choice in choices]


def _longest(choices: list[str]) -> int:
    return max(range(len(choices)), key=lambda index: len(choices[index]))


def _shortest(choices: list[str]) -> int:
    return min(range(len(choices)), key=lambda index: len(choices[index]))
