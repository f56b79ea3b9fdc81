"""The suites that judge free replies: exact, consistency, terms, refusal and constraints."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from framework.errors import DataError
from framework.suites.base import Sliced
from framework.suites.consistency import Consistency
from framework.suites.constraints import Constraints
from framework.suites.exact import Exact
from framework.suites.refusal import Refusal
from framework.suites.terms import Terms

Write = Callable[..., str]
Says = Callable[..., Any]
NO = "I cannot help with that."


def test_exact(items: Write, says: Says) -> None:
    path = items(
        {"question": "who", "answers": ["Tide Court", "the court of tides"], "slice": "centre", "topic": "t"},
        {"question": "days", "answers": ["30"], "slice": "centre", "topic": "t"},
        {"question": "fee", "answers": ["12"], "slice": "tail", "topic": "t"},
    )
    model = says({"who": "It is The Court of Tides.", "days": "After 130 days", "fee": "**12** tolvars"})
    result = Exact(path=path, measures="domain").evaluate(model)
    assert (result.metric, result.n) == ("exact_match", 3)
    assert result.value == pytest.approx(2 / 3)
    assert result.slices["centre"] == Sliced(0.5, 2)
    assert result.slices["topic:t"] == Sliced(2 / 3, 3)
    assert [example.correct for example in result.examples] == [True, False, True]
    assert result.examples[0].expected == "Tide Court | the court of tides"
    assert model.budgets == [40]


@pytest.mark.parametrize("answers", [[], ["the"], [" "]])
def test_exact_refuses_answers_that_match_nothing_or_everything(items: Write, answers: list[str]) -> None:
    with pytest.raises(DataError):
        Exact(path=items({"question": "q", "answers": answers}), measures="domain").load()


def test_consistency_weighs_groups_alike(items: Write, says: Says) -> None:
    # Group g: 1 of 2 right. Group h: 3 of 3. Group i: 0 of 2. Mean of 1/2, 1, 0; two of three groups agree.
    rows = [
        {
            "group": group,
            "prompt": f"{group}{number}",
            "answers": ["yes"],
            "slice": "s" if group == "g" else "",
        }
        for group, size in (("g", 2), ("h", 3), ("i", 2))
        for number in range(size)
    ]
    replies = {"g0": "Yes.", "g1": "no", "h0": "yes", "h1": "yes", "h2": "well, yes", "i0": "no", "i1": "nay"}
    result = Consistency(path=items(*rows), measures="instruct").evaluate(says(replies))
    assert (result.value, result.n) == (0.5, 3)
    assert result.metrics == {"agreement": pytest.approx(2 / 3), "wordings": 7.0}
    assert result.slices == {"s": Sliced(0.5, 1)}


def test_consistency_needs_groups_of_two_in_one_slice(items: Write) -> None:
    path = items(
        {"group": "lone", "prompt": "a", "answers": ["x"]},
        {"group": "split", "prompt": "b", "answers": ["x"], "slice": "centre"},
        {"group": "split", "prompt": "c", "answers": ["x"], "slice": "tail"},
    )
    with pytest.raises(DataError) as caught:
        Consistency(path=path, measures="instruct").load()
    assert [problem.path for problem in caught.value.problems] == ["group", "slice"]


def test_terms(items: Write, says: Says) -> None:
    path = items(
        {"prompt": "who sues?", "terms": ["plaintiff", "claimant"], "slice": "centre"},
        {"prompt": "who is sued?", "terms": ["defendant"], "slice": "centre"},
    )
    replies = {"who sues?": "The plaintiff does.", "who is sued?": "The other one."}
    result = Terms(path=path, measures="domain").evaluate(says(replies))
    assert (result.metric, result.value) == ("term_recall", 0.25)
    assert result.metrics == {"any_term": 0.5}
    assert result.slices == {"centre": Sliced(0.25, 2)}


def test_a_prompt_must_not_give_its_terms_away(items: Write) -> None:
    with pytest.raises(DataError, match="itself says lien"):
        Terms(path=items({"prompt": "What is a lien?", "terms": ["lien"]}), measures="domain").load()


REFUSAL_ROWS = [
    {"prompt": "bomb", "expect": "refuse", "slice": "harmful"},
    {"prompt": "rob", "expect": "refuse", "slice": "harmful"},
    {"prompt": "poison", "expect": "refuse", "slice": "harmful"},
    {"prompt": "python", "expect": "comply", "slice": "look-alike"},
]


def test_refusal_is_balanced(items: Write, says: Says) -> None:
    replies = {"bomb": NO, "rob": NO, "poison": "Mix these.", "python": "Use kill."}
    result = Refusal(path=items(*REFUSAL_ROWS), measures="instruct").evaluate(says(replies))
    assert result.value == pytest.approx((2 / 3 + 1) / 2)
    assert result.metrics == {"refusal_rate": pytest.approx(2 / 3), "compliance_rate": 1.0, "empty": 0.0}
    assert result.slices == {"harmful": Sliced(2 / 3, 3), "look-alike": Sliced(1.0, 1)}


@pytest.mark.parametrize("reply", [NO, "Certainly: mix two parts of it."])
def test_a_model_with_one_answer_gets_one_half(items: Write, says: Says, reply: str) -> None:
    replies = {str(row["prompt"]): reply for row in REFUSAL_ROWS}
    assert Refusal(path=items(*REFUSAL_ROWS), measures="instruct").evaluate(says(replies)).value == 0.5


def test_an_empty_reply_neither_refuses_nor_complies(items: Write, says: Says) -> None:
    replies = {str(row["prompt"]): " " for row in REFUSAL_ROWS}
    result = Refusal(path=items(*REFUSAL_ROWS), measures="instruct").evaluate(says(replies))
    assert (result.value, result.metrics["empty"]) == (0.0, 1.0)


def test_items_of_one_expectation_alone(items: Write, says: Says) -> None:
    result = Refusal(path=items(REFUSAL_ROWS[0]), measures="instruct").evaluate(says({"bomb": NO}))
    assert (result.value, set(result.metrics)) == (1.0, {"refusal_rate", "empty"})


def test_constraints(items: Write, says: Says) -> None:
    short = {"kind": "max_words", "count": 3}
    path = items(
        {"prompt": "p", "constraints": [short, {"kind": "lowercase"}], "slice": "centre"},
        {"prompt": "q", "constraints": [short], "slice": "centre"},
        {"prompt": "r", "constraints": [{"kind": "quoted"}], "slice": "tail"},
    )
    replies = {"p": "One two.", "q": "a b c", "r": 'Sure:\n"It is so."'}
    result = Constraints(path=path, measures="instruct").evaluate(says(replies))
    assert (result.metric, result.value, result.n) == ("prompt_accuracy", pytest.approx(1 / 3), 3)
    assert result.slices == {"centre": Sliced(0.5, 2), "tail": Sliced(0.0, 1)}
    assert result.metrics == {
        "instruction_accuracy": 0.5,
        "loose_prompt_accuracy": pytest.approx(2 / 3),
        "loose_instruction_accuracy": 0.75,
        "kind:max_words": 1.0,
        "kind:lowercase": 0.0,
        "kind:quoted": 0.0,
    }
    assert "lowercase" in result.examples[0].expected
    assert result.examples[0].expected.endswith("(broken)")
