from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from framework.errors import DataError, ModelError
from framework.suites.base import Sliced
from framework.suites.choice import Choice

Q1 = {
    "question": "q1",
    "choices": ["one", "one long"],
    "answer": 1,
    "slice": "centre",
    "topic": "t",
    "group": "g",
}
Q2 = {"question": "q2", "choices": ["x", "one"], "answer": 0, "slice": "tail", "topic": "t", "group": "g"}
Q3 = {
    "question": "q3",
    "choices": ["x", "y", "z", "w"],
    "answer": 0,
    "slice": "tail",
    "topic": "t",
    "area": "a",
}
KNOWN = {
    "one": (-2.0, 1),
    "one long": (-3.0, 3),
    "x": (-1.0, 1),
    "y": (-4.0, 1),
    "z": (-5.0, 1),
    "w": (-6.0, 1),
}


def suite(path: str, **settings: Any) -> Choice:
    return Choice(path=path, measures="domain", **settings)


def test_values_worked_by_hand(items: Callable[..., str], knows: Callable[..., Any]) -> None:
    # Per token: "one" -2, "one long" -1, "x" -1. All three picks are right, with margins 1, 1 and 3.
    result = suite(items(Q1, Q2, Q3)).evaluate(knows(KNOWN))
    assert (result.metric, result.value, result.n, result.higher_is_better) == ("accuracy", 1.0, 3, True)
    assert result.metrics["margin"] == pytest.approx(5 / 3)
    assert result.metrics["chance"] == pytest.approx((1 / 2 + 1 / 2 + 1 / 4) / 3)
    assert result.slices == {"centre": Sliced(1.0, 1), "tail": Sliced(1.0, 2), "topic:t": Sliced(1.0, 3)}
    assert result.metrics["paraphrase_consistency"] == 0.0  # "one long" and "x"
    assert [(example.reply, example.correct) for example in result.examples[:1]] == [("one long", True)]


def test_without_normalising_the_short_choice_wins(items: Callable[..., str], knows: Callable[..., Any]) -> None:
    result = suite(items(Q1, Q2, Q3), normalise="none").evaluate(knows(KNOWN))
    assert result.value == pytest.approx(2 / 3)
    assert result.examples[0].reply == "one"
    assert result.metrics["margin"] == pytest.approx((-1 + 1 + 3) / 3)


def test_paraphrases_agree_by_text_not_by_position(items: Callable[..., str], knows: Callable[..., Any]) -> None:
    swapped = Q2 | {"choices": ["y", "x"], "answer": 1}
    result = suite(items(Q2, swapped)).evaluate(knows(KNOWN))
    assert result.metrics["paraphrase_consistency"] == 1.0


def test_without_groups_there_is_no_paraphrase_consistency(
    items: Callable[..., str], knows: Callable[..., Any]
) -> None:
    assert "paraphrase_consistency" not in suite(items(Q1, Q3)).evaluate(knows(KNOWN)).metrics


def test_thin_topics_have_no_slice(items: Callable[..., str], knows: Callable[..., Any]) -> None:
    assert "topic:t" not in suite(items(Q1, Q2)).evaluate(knows(KNOWN)).slices


def test_a_tie_is_wrong(items: Callable[..., str], knows: Callable[..., Any]) -> None:
    tie = {"question": "q", "choices": ["a", "b"], "answer": 0}
    assert suite(items(tie)).evaluate(knows({"a": (-1.0, 1), "b": (-1.0, 1)})).value == 0.0


def test_a_likelihood_that_is_not_a_number_is_an_error(items: Callable[..., str], knows: Callable[..., Any]) -> None:
    with pytest.raises(ModelError, match="broken"):
        suite(items(Q1)).evaluate(knows(KNOWN | {"one": (float("nan"), 1)}))


def test_at_most_twelve_examples_in_file_order(items: Callable[..., str], knows: Callable[..., Any]) -> None:
    result = suite(items(*[Q3] * 20)).evaluate(knows(KNOWN))
    assert [example.id for example in result.examples] == [str(number) for number in range(1, 13)]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"answer": 2}, "from 0 to 1"),
        ({"answer": -1}, "from 0 to 1"),
        ({"answer": True}, "integer"),
        ({"choices": ["one"]}, "two or more"),
        ({"choices": ["one", "one"]}, "the same"),
        ({"choices": ["one", " "]}, "pattern"),
        ({"question": ""}, "pattern"),
    ],
)
def test_wrong_items_are_reported(items: Callable[..., str], change: dict[str, Any], says: str) -> None:
    with pytest.raises(DataError, match=says):
        suite(items(Q1 | change)).load()


def test_paraphrases_stay_together_in_a_subset(items: Callable[..., str]) -> None:
    loaded = suite(items(Q1, Q3, Q2), max_items=2).load()
    assert [item.id for item in loaded] == ["1", "3"]
