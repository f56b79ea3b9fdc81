"""The suites that compare likelihoods besides choice: pairs and perplexity."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framework.errors import DataError, ModelError
from framework.suites.base import Likelihood, Sliced
from framework.suites.pairs import Pairs
from framework.suites.perplexity import Perplexity

Write = Callable[..., str]
Knows = Callable[..., Any]

# Per token: a -1 (4 tokens), b -2 (2), c -3 (3), d -1.5 (2), e -2.5 (2).
KNOWN = {"a": (-4.0, 4), "b": (-4.0, 2), "c": (-9.0, 3), "d": (-3.0, 2), "e": (-5.0, 2)}


def pair(chosen: str, rejected: str, **labels: str) -> dict[str, str]:
    return {"prompt": "p", "chosen": chosen, "rejected": rejected, **labels}


def test_pairs_worked_by_hand(items: Write, knows: Knows) -> None:
    path = items(
        pair("a", "b", slice="centre", task="sum"),  # right, longer chosen, margin 1
        pair("a", "d", slice="centre", task="sum"),  # right, longer chosen, margin 0.5
        pair("c", "b", slice="tail", task="code"),  # wrong, longer chosen, margin -1
        pair("d", "c", slice="tail"),  # right, longer rejected, margin 1.5
        pair("e", "d"),  # wrong, equal length, margin -1
    )
    result = Pairs(path=path, measures="align").evaluate(knows(KNOWN))
    assert (result.metric, result.value, result.n) == ("accuracy", 0.6, 5)
    assert result.metrics["margin"] == pytest.approx((1 + 0.5 - 1 + 1.5 - 1) / 5)
    # Longer chosen 2/3, longer rejected 1: their mean 5/6 has weight 4/5, the equal pair (0) weight 1/5.
    assert result.metrics["length_controlled"] == pytest.approx(5 / 6 * 4 / 5)
    assert result.slices == {
        "centre": Sliced(1.0, 2),
        "tail": Sliced(0.5, 2),
        "task:sum": Sliced(1.0, 2),
        "task:code": Sliced(0.0, 1),
    }
    assert [example.reply for example in result.examples] == ["a", "a", "b", "d", "d"]


def test_without_normalising_sums_are_compared(items: Write, knows: Knows) -> None:
    path = items(pair("a", "d"), pair("d", "b"))
    result = Pairs(path=path, measures="align", normalise="none").evaluate(knows(KNOWN))
    assert result.value == 0.5  # -4 against -3, -3 against -4
    assert result.metrics["margin"] == pytest.approx(0.5)  # still per token


def test_length_cannot_be_controlled_with_one_class(items: Write, knows: Knows) -> None:
    result = Pairs(path=items(pair("a", "b")), measures="align").evaluate(knows(KNOWN))
    assert "length_controlled" not in result.metrics


def test_pairs_of_equal_length_need_no_control(items: Write, knows: Knows) -> None:
    result = Pairs(path=items(pair("b", "e"), pair("e", "d")), measures="align").evaluate(knows(KNOWN))
    assert result.metrics["length_controlled"] == result.value == 0.5


def test_a_preference_for_length_gets_one_half(items: Write, knows: Knows) -> None:
    by_length = {"long": (-1.0, 9), "longer": (-1.0, 10), "short": (-1.0, 1)}
    path = items(pair("long", "short"), pair("longer", "short"), pair("longer", "long"), pair("short", "long"))
    result = Pairs(path=path, measures="align").evaluate(knows(by_length))
    assert result.value == 0.75
    assert result.metrics["length_controlled"] == 0.5


def test_equal_pairs_are_refused(items: Write) -> None:
    with pytest.raises(DataError, match="the same"):
        Pairs(path=items(pair("a", " a ")), measures="align").load()


def test_perplexity_weighs_tokens(items: Write, knows: Knows) -> None:
    path = items({"text": "a", "topic": "t"}, {"text": "c", "topic": "u"}, {"text": "one", "topic": "v"}, {"text": "b"})
    result = Perplexity(path=path, measures="general").evaluate(knows(KNOWN | {"one": (0.0, 0)}))
    assert result.value == pytest.approx(math.exp(17 / 9))
    assert (result.metric, result.higher_is_better, result.n) == ("perplexity", False, 4)
    assert result.metrics == {"nll": pytest.approx(17 / 9), "tokens": 9.0}
    assert result.slices == {
        "topic:t": Sliced(math.exp(1), 1),
        "topic:u": Sliced(math.exp(3), 1),
    }


@pytest.mark.parametrize(
    ("likelihood", "says"),
    [((0.0, 0), "longer than one token"), ((-9e5, 9), "diverged"), ((float("-inf"), 9), "broken")],
)
def test_perplexities_that_mean_nothing(items: Write, knows: Knows, likelihood: tuple[float, int], says: str) -> None:
    with pytest.raises(ModelError, match=says):
        Perplexity(path=items({"text": "a"}), measures="general").evaluate(knows({"a": likelihood}))


class Uniform:
    """Every token has the same probability."""

    def __init__(self, vocabulary: int) -> None:
        self.vocabulary = vocabulary

    def texts(self, texts: list[str]) -> list[Likelihood]:
        return [Likelihood(-len(text) * math.log(self.vocabulary), len(text)) for text in texts]


@given(st.integers(2, 50_000))
def test_a_uniform_model_has_the_vocabulary_as_perplexity(
    tmp_path_factory: pytest.TempPathFactory, vocabulary: int
) -> None:
    file = tmp_path_factory.getbasetemp() / "uniform.jsonl"
    file.write_text('{"id": "1", "text": "abc"}\n{"id": "2", "text": "abcdefgh"}\n')
    suite = Perplexity(path=str(file), measures="general")
    assert suite.evaluate(Uniform(vocabulary)).value == pytest.approx(vocabulary)  # type: ignore[arg-type]
