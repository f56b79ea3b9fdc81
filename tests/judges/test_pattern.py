"""Patterns over folded text find what regular expressions find, with the case ignored."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from framework.judges import refusal, requests, tasks
from framework.judges._pattern import Pattern, folded, needed

PATTERNS = [
    *(pattern.pattern for _, pattern in tasks._PATTERNS),  # pyright: ignore[reportPrivateUsage]
    *(getattr(requests, name).pattern for name in ("_ASKS", "_ASKS_BACK", "_HARM", "_HARMLESS")),
    *(rule.pattern.pattern for rule in (*refusal.REFUSALS, *refusal.EXEMPTIONS, *refusal.HELP)),
]
WORDS = sorted({word for pattern in PATTERNS for word in re.findall(r"[a-z']{2,}", pattern)})
TEXTS = st.lists(st.sampled_from([*WORDS, "I", "7", "x", "?", ".", "\n", "ſ", "ı", "İ", "K", "ß"]), max_size=25)


@settings(max_examples=300, deadline=None)
@given(TEXTS, st.sampled_from([str, str.upper, str.title]), st.sampled_from([" ", ""]))
@example(["ſteal ", "the ", "poıson"], str, "")
def test_as_regular_expressions_that_ignore_case(words, case, between) -> None:  # type: ignore[no-untyped-def]
    text = case(between.join(words))
    for pattern in PATTERNS:
        found = Pattern(pattern, re.DOTALL).search(folded(text))
        assert (found is not None) == (re.search(pattern, text, re.IGNORECASE | re.DOTALL) is not None), pattern


@pytest.mark.parametrize(
    ("pattern", "literals"),
    [
        (r"\b(?:bombs?|grenades?)\b", {"bomb", "grenade"}),
        (r"tell me|\?", {"tell me", "?"}),
        (r"a?b*", None),
        (r"(?:one|\d)", None),
        (r"(?:ab)+c", {"ab"}),
        (r"[xy]\d", {"x", "y"}),
        (r"(?!never)\w", None),
        (r"when\b.{0,9}\bwhere", {"when"}),
    ],
)
def test_what_every_match_holds(pattern: str, literals: set[str] | None) -> None:
    assert needed(pattern) == literals
