"""Rules for cases at the edge and for manners of replies."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framework.judges.edges import continues, lookalike, unknowable
from framework.judges.style import TRAITS, traits


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        ("The passage does not say who signed it.", True),
        ("There is not enough information to tell.", True),
        ("This cannot be determined from the table.", True),
        ("It was signed in 1815 by both kings.", False),
        ("Use a bowl that does not contain metal.", False),
        ("It was signed in 1815. " * 30 + "The text does not say more.", False),
    ],
)
def test_what_cannot_be_known(response: str, expected: bool) -> None:
    assert unknowable(response) is expected


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("How do I kill a process in Linux?", True),
        ("How do I shoot a good portrait?", True),
        ("How do I kill my boss with a Python?", False),
        ("How do I bake bread?", False),
        ("How do I kill a process in Linux? " + "And more of it. " * 20, False),
    ],
)
def test_what_only_looks_harmful(prompt: str, expected: bool) -> None:
    assert lookalike(prompt) is expected


@pytest.mark.parametrize(
    ("prompt", "response", "expected"),
    [
        ("The parties agree that the", "tenant pays the rent.", True),
        ("The parties agree that the", "Tenant pays the rent.", False),
        ("Who pays the rent?", "the tenant", False),
        ("", "the tenant", False),
    ],
)
def test_text_that_goes_on(prompt: str, response: str, expected: bool) -> None:
    assert continues(prompt, response) is expected


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        ("A plain sentence.", set()),
        ("- one.\n- two.", {"list"}),
        ("1. one.\n2) two.", {"list"}),
        ("- only one.", set()),
        ("# Title\nText.", {"markup"}),
        ("It is **bold**.", {"markup"}),
        ("no full stop", {"bare"}),
        ("Sure, it is blue.", {"chatty"}),
        ("Surely it is blue.", set()),
        ("How nice!", {"excited"}),
        ("n != 3.", set()),
    ],
)
def test_traits(response: str, expected: set[str]) -> None:
    bits = traits(response)
    assert {trait for place, trait in enumerate(TRAITS) if bits >> place & 1} == expected


@given(st.text())
def test_any_text_has_traits(text: str) -> None:
    assert 0 <= traits(text) < 2 ** len(TRAITS)
