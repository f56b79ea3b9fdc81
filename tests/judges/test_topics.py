from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framework.judges.topics import UNKNOWN, Guess, Topics

TERMS = {"cooking": ["oven", "recipe", "baking tray"], "sailing": ["rudder", "mast", "tide"]}
EXAMPLES = [
    ("Preheat the oven and grease the tray.", "cooking"),
    ("Whisk eggs, then bake the cake in a hot oven.", "cooking"),
    ("Trim the sail and hold the rudder.", "sailing"),
    ("The mast creaked as the tide turned.", "sailing"),
]


@pytest.mark.parametrize("topics", [Topics.from_terms(TERMS), Topics.from_examples(EXAMPLES)])
def test_nearest_topic_or_unknown(topics: Topics) -> None:
    guesses = topics.classify(["Which ovens suit this recipe?", "Masts and rudders", "Parliament met."])
    assert [guess.topic for guess in guesses] == ["cooking", "sailing", UNKNOWN]
    assert guesses[2] == Guess(UNKNOWN, 0.0)


def test_phrases_are_terms() -> None:
    assert Topics.from_terms(TERMS).classify(["two baking trays"])[0].topic == "cooking"
    assert Topics.from_terms(TERMS).classify(["baking"])[0].topic == UNKNOWN


def test_a_topic_needs_a_term() -> None:
    with pytest.raises(ValueError, match="cooking"):
        Topics.from_terms({"cooking": ["a phrase of five words"], "sailing": ["mast"]})


@given(st.text())
def test_any_text_has_a_guess(text: str) -> None:
    (guess,) = Topics.from_terms(TERMS).classify([text])
    assert guess.topic in {*TERMS, UNKNOWN}
    assert 0 <= guess.score <= 1 + 1e-9
