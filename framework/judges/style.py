"""How a reply is written: traits of form and tone, told by documented rules over its text."""

from __future__ import annotations

import re

TRAITS = ("list", "markup", "bare", "chatty", "excited")
"""Lists of items; headings, bold, tables or code fences; no full stop at the end; an opening that only greets or
agrees; exclamation marks or emoji. The place of a trait is its bit."""

TONE = ("chatty", "excited")
"""Traits that a request hardly ever asks for."""

_LIST = re.compile(r"^\s*(?:[-*•+]|\d{1,3}[.)])\s+\S", re.MULTILINE)
_MARKUP = re.compile(r"^#{1,6} \S|^```|^\|.*\|\s*$|\*\*\S[^*\n]*\*\*", re.MULTILINE)
_MARKS = ("#", "`", "|", "**")
"""One of these is part of all markup: looked for first, since it is quicker."""
_CHATTY = re.compile(
    r"\s*(?:sure|certainly|absolutely|of course|great question|good question|i'd be (?:happy|glad|delighted) to"
    r"|i would be (?:happy|glad) to|happy to help|gladly|no problem|hello|hi there|hey|thank you for (?:your|asking)"
    r"|as an ai)\b",
    re.IGNORECASE,
)
_EXCITED = re.compile(r"[a-z]!(?:\s|$)|[\U0001F300-\U0001FAFF]")
_ENDS = '.!?:)"”’`]}…'
_ITEMS = 2


def traits(response: str) -> int:
    """The traits of a reply as bits, in the order of ``TRAITS``."""
    text = response.strip()
    found = (
        "\n" in text and len(_LIST.findall(text, 0, 4000)) >= _ITEMS,
        any(mark in text for mark in _MARKS) and _MARKUP.search(text) is not None,
        bool(text) and text[-1] not in _ENDS,
        _CHATTY.match(text) is not None,
        ("!" in text or not text.isascii()) and _EXCITED.search(text) is not None,
    )
    return sum(1 << place for place, holds in enumerate(found) if holds)
