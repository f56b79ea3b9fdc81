"""Format rows keep to their constraints, by checks written apart from the generator that makes the rows."""

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from samples import generate
from samples.general import formats

Check = Callable[[str, Mapping[str, Any]], bool]


def read(name: str) -> list[dict[str, Any]]:
    lines = (generate.FOLDER / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def satisfied(response: str, constraint: Mapping[str, Any]) -> bool:
    """Whether the response keeps to the constraint."""
    return CHECKS[constraint["kind"]](response, constraint)


def _lines(pattern: str) -> Check:
    def check(response: str, constraint: Mapping[str, Any]) -> bool:
        lines = response.splitlines()
        return len(lines) == constraint["count"] and all(re.match(pattern, line) for line in lines)

    return check


def _numbered(response: str, constraint: Mapping[str, Any]) -> bool:
    starts = [re.match(r"(\d+)\. \S", line) for line in response.splitlines()]
    found = [int(start.group(1)) for start in starts if start]
    return found == list(range(1, constraint["count"] + 1)) and len(found) == len(starts)


def _words(response: str) -> list[str]:
    return re.findall(r"[a-z']+", response.lower())


def _json_keys(response: str, constraint: Mapping[str, Any]) -> bool:
    try:
        return set(json.loads(response)) == set(constraint["keys"])
    except json.JSONDecodeError:
        return False


def _two_parts(response: str, constraint: Mapping[str, Any]) -> bool:
    parts = response.split(constraint["separator"])
    return len(parts) == 2 and all(part.strip() for part in parts)


CHECKS: dict[str, Check] = {
    "bullets": _lines(r"- \S"),
    "numbered": _numbered,
    "json_keys": _json_keys,
    "lowercase": lambda response, _: response == response.lower(),
    "uppercase": lambda response, _: response == response.upper(),
    "max_words": lambda response, constraint: len(response.split()) <= constraint["count"],
    "starts_with": lambda response, constraint: response.startswith(constraint["text"]),
    "ends_with": lambda response, constraint: response.endswith(constraint["text"]),
    "includes": lambda response, constraint: all(word.lower() in _words(response) for word in constraint["words"]),
    "excludes": lambda response, constraint: not any(word in _words(response) for word in constraint["words"]),
    "one_word": lambda response, constraint: response.strip(".").lower() in constraint["options"],
    "two_parts": _two_parts,
    "title": lambda response, _: re.search(r"<<[^<>\n]+>>", response) is not None,
    "quoted": lambda response, _: len(response) > 2 and response[0] == response[-1] == '"',
}


@pytest.mark.parametrize("exercise", formats.exercises(generate.SEED), ids=lambda e: e.constraint["kind"])
def test_training_responses_meet_their_constraints(exercise: formats.Exercise) -> None:
    assert satisfied(exercise.response, exercise.constraint), exercise


def test_format_rows_are_the_checked_exercises() -> None:
    pairs = [(row["instruction"], row["response"]) for row in read("instruct/format")]
    assert pairs == [(e.instruction, e.response) for e in formats.exercises(generate.SEED)]
    assert {row["slice"] for row in read("instruct/format")} == set(CHECKS)


def test_rejected_format_answers_break_their_constraint() -> None:
    by_prompt = {row["prompt"]: row for row in read("align/style")}
    for exercise in formats.paired_exercises(generate.SEED):
        row = by_prompt[exercise.instruction]
        assert satisfied(row["chosen"], exercise.constraint), exercise
        assert not satisfied(row["rejected"], exercise.constraint), exercise


def test_format_evaluation_has_eight_of_each_kind() -> None:
    rows = read("eval/format")
    assert set(Counter(row["slice"] for row in rows).values()) == {8}
    assert all(constraint["kind"] in CHECKS for row in rows for constraint in row["constraints"])
    assert len({row["prompt"] for row in rows}) == len(rows)
