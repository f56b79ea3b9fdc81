"""Instructions with constraints a program can check: for training with an answer, for the evaluation without."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

from samples.banks import read_sections
from samples.general.shapes import SHAPES, Subject, plain
from samples.rows import Json, Row

ROWS_PER_KIND = 12
PAIRS_PER_KIND = 6
EVAL_ROWS_PER_KIND = 8
EVAL_KINDS = (
    "bullets", "numbered", "json_keys", "lowercase", "uppercase", "starts_with", "one_word", "quoted",
)  # fmt: skip
UNPAIRED_KINDS = ("max_words", "excludes", "one_word")
"""Kinds that a plain answer of equal length does not violate."""


@dataclass(frozen=True)
class Exercise:
    """An instruction, the constraint it states and a response that meets it."""

    instruction: str
    constraint: Mapping[str, Json]
    response: str
    subject: Subject


def format_rows(seed: int) -> list[Row]:
    """Training rows for instruct."""
    return [
        {
            "instruction": exercise.instruction,
            "context": "",
            "response": exercise.response,
            "task": "format",
            "slice": str(exercise.constraint["kind"]),
        }
        for exercise in exercises(seed)
    ]


def format_pairs(seed: int) -> list[Row]:
    """Preference pairs: the response that meets the constraint, and a plain one about as long."""
    rows: list[Row] = []
    for place, exercise in enumerate(paired_exercises(seed)):
        rejected = _plain_rival(exercise, shorter=place % 2 == 0)
        rows.append(
            {
                "prompt": exercise.instruction,
                "chosen": exercise.response,
                "rejected": rejected,
                "task": "style",
                "slice": "format",
            }
        )
    return rows


def exercises(seed: int) -> list[Exercise]:
    """The exercises of instruct: every kind on several subjects."""
    return _exercises(f"formats-{seed}", tuple(SHAPES), range(ROWS_PER_KIND))


def paired_exercises(seed: int) -> list[Exercise]:
    """The exercises of align: other subjects for each kind."""
    kinds = tuple(kind for kind in SHAPES if kind not in UNPAIRED_KINDS)
    turns = range(ROWS_PER_KIND, ROWS_PER_KIND + PAIRS_PER_KIND)
    return _exercises(f"format-pairs-{seed}", kinds, turns)


def format_eval_rows(seed: int) -> list[Row]:
    """Held-out prompts with other subjects and other wording, and their constraints."""
    rng = random.Random(f"formats-eval-{seed}")
    bank = read_sections("general/format_eval")
    rows: list[Row] = []
    for place, kind in enumerate(EVAL_KINDS):
        for turn in range(EVAL_ROWS_PER_KIND):
            subject = bank["subjects"][(place * 5 + turn) % len(bank["subjects"])]
            arguments, slots = _eval_arguments(kind, turn, bank, rng)
            prompt = bank[kind][turn % 2].format(subject=subject, **slots)
            rows.append({"prompt": prompt, "constraints": [{"kind": kind, **arguments}], "slice": kind})
    return rows


def _exercises(salt: str, kinds: tuple[str, ...], turns: range) -> list[Exercise]:
    rng = random.Random(salt)
    bank = read_sections("general/format_train")
    subjects = [Subject.parse(name, lines) for name, lines in read_sections("general/subjects").items()]
    made: list[Exercise] = []
    for place, kind in enumerate(kinds):
        for turn in turns:
            subject = subjects[(place * 3 + turn) % len(subjects)]
            shaped = SHAPES[kind](subject.shuffled(rng), turn, bank)
            instruction = bank[kind][turn % len(bank[kind])].format(subject=subject.name, **shaped.slots)
            made.append(Exercise(instruction, {"kind": kind, **shaped.arguments}, shaped.response, subject))
    rng.shuffle(made)
    return made


def _plain_rival(exercise: Exercise, *, shorter: bool) -> str:
    """Plain sentences about the subject, of the length nearest to the response on the side asked for."""
    facts = exercise.subject.facts
    chosen = (plain(some) for count in range(1, len(facts) + 1) for some in combinations(facts, count))
    plains = [text for text in chosen if exercise.response not in text]
    length = len(exercise.response)
    fitting = [text for text in plains if (len(text) < length if shorter else len(text) > length)]
    return min(fitting or plains, key=lambda text: abs(len(text) - length))


def _eval_arguments(
    kind: str, turn: int, bank: dict[str, list[str]], rng: random.Random
) -> tuple[dict[str, Json], dict[str, str]]:
    """Arguments of the constraint, and the same as words of the prompt."""
    if kind in ("bullets", "numbered"):
        count = rng.randint(2, 5)
        return {"count": count}, {"count": str(count)}
    if kind == "json_keys":
        keys = bank["keys"][turn % len(bank["keys"])].split()
        return {"keys": keys}, {"a": keys[0], "b": keys[1]}
    if kind == "starts_with":
        text = bank["openers"][turn % len(bank["openers"])]
        return {"text": text}, {"text": text}
    if kind == "one_word":
        question, options = bank["questions"][turn].split(" = ")
        first, second = options.split("/")
        return {"options": [first, second]}, {"question": question, "a": first, "b": second}
    return {}, {}
