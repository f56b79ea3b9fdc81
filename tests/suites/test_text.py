from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framework.suites._text import contains, normalise, require_words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The  Court, of Appeal!", "court of appeal"),
        ("**thirty-day** notice", "thirty day notice"),
        ("1,000,000 dollars", "1000000 dollars"),
        ("It is 3.5.", "it is 3.5"),
        ("U.S.C. and U.S. law", "usc and us law"),
        ("the landlord\u2019s", "landlords"),
        ("snake_case", "snake case"),
        ("An a the", ""),
    ],
)
def test_normalise(text: str, expected: str) -> None:
    assert normalise(text) == expected


@given(st.text())
def test_normalising_lower_cases_and_leaves_single_spaces(text: str) -> None:
    found = normalise(text)
    assert found == found.strip()
    assert "  " not in found
    assert normalise(text.swapcase().swapcase()) == normalise(text.swapcase().swapcase().strip())


def test_only_whole_words_match() -> None:
    assert contains("It lapses after 30 days.", "30 days")
    assert not contains("It lapses after 130 days.", "30 days")
    assert not contains("It lapses after 30 daysworth.", "30 days")
    assert not contains("days 30", "30 days")
    assert not contains("13.5", "3.5")


def test_an_answer_without_words_is_refused() -> None:
    with pytest.raises(ValueError, match="no words"):
        require_words(["fine", "the ..."])
