"""Quick looks before slower patterns: what they ask for is part of every match."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framework.judges import edges, requests, style


@pytest.mark.parametrize(
    ("pattern", "anchors"),
    [
        (edges._UNKNOWABLE, edges._UNKNOWABLE_ANCHORS),  # pyright: ignore[reportPrivateUsage]
        (requests._ASKS_BACK, requests._ASKS_BACK_ANCHORS),  # pyright: ignore[reportPrivateUsage]
        (style._MARKUP, style._MARKS),  # pyright: ignore[reportPrivateUsage]
    ],
)
def test_every_match_holds_an_anchor(pattern: re.Pattern[str], anchors: tuple[str, ...]) -> None:
    @given(st.from_regex(pattern))
    @settings(max_examples=1000, deadline=None)
    def held(text: str) -> None:
        assert any(anchor in text.lower() for anchor in anchors)

    held()
