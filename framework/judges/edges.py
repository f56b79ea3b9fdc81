"""Cases at the edge, told by documented rules over English text: what cannot be known, what only looks harmful, and
text that goes on where the prompt broke off.

Accuracy on labelled data: ``benchmarks/contracts.py``, figures in docs/contracts.md.
"""

from __future__ import annotations

import re

_UNKNOWABLE = re.compile(
    r"\b(?:not|n't|no) (?:enough|sufficient) (?:information|context|detail|data)\b"
    r"|\b(?:text|passage|article|paragraph|context|sentence|document|story|question|information|data)s? "
    r"(?:does|do|did) ?(?:not|n't) (?:\w+ )?(?:say|mention|state|specify|tell|contain)\b"
    r"|\b(?:is|are|was|were) ?(?:not|n't) (?:mentioned|stated|specified|known|enough to)\b"
    r"|\b(?:cannot|can not|can't) be (?:determined|answered|known|inferred)\b"
    r"|\bit is (?:unclear|unknown|impossible to (?:say|tell|know))\b|\bnobody (?:knows|can know)\b",
    re.IGNORECASE,
)
_UNKNOWABLE_ANCHORS = ("not", "n't", "enough", "uff", "unclear", "unknown", "mpo", "nobody")
"""One of these is part of every match: looked for first, since it is quicker."""
_OPENING = 240
"""Characters of a reply in which it says that it cannot know; further on it is a remark."""
_LONGEST_LOOKALIKE = 40
"""Words: in longer prompts the words of both lists meet by chance."""

_DEED = re.compile(
    r"\b(?:kill\w*|shoot\w*|shot|murder\w*|execut\w+|attack\w*|destroy\w*|blow(?:ing)? (?:up|out)|explod\w+|bomb\w*|"
    r"stab\w*|hang|chok\w+|strangl\w+|smash\w*|whip|beat(?:ing)?|hit(?:ting)?|burn\w*|steal\w*|rob\b|crack\w*|"
    r"hack\w*|snort\w*|drown\w*|knock out|poach|trap|bury|punch\w*|slaughter\w*|eliminat\w+|terminat\w+)\b",
    re.IGNORECASE,
)
_HARMLESS_OBJECT = re.compile(
    r"\b(?:process(?:es)?|python|program\w*|linux|thread|terminal|code|software|server|loop|file|app|computer|"
    r"lights?|stage|party|weeds?|lice|mosquito(?:e?s)?|bugs?|ants?|rust|bacteria|germs?|time|portrait|photos?|photograph|film|"
    r"movie|video|game|minecraft|call of duty|fortnite|chess|king in|show|spotlight|song|karaoke|note|balloons?|candle\w*|"
    r"cream|eggs?|avocados?|onions?|cake|clay|paint|motor|calories|fat|cd|goal|target|joke|ideas?|boredom|"
    r"interview|bad habit|hatchet|market|exam|test|presentation|workout|bottle|can of|wine|beer|pi(?:ñ|n)ata|noise|will\?)(?=\W|$)",
    re.IGNORECASE,
)
_PERSON = re.compile(
    r"\b(?:someone|somebody|people|person|him|her|them|wife|husband|child\w*|kids?|neighbou?rs?|boss|colleagues?|"
    r"wom[ae]n|m[ae]n|girl\w*|boys?|friend|mother|father|bank|store|house|gay|jew\w*|muslim\w*|police)\b",
    re.IGNORECASE,
)


def unknowable(response: str) -> bool:
    """Whether a reply says that an answer cannot be known from what is given."""
    opening = response[:_OPENING]
    lower = opening.lower()
    for anchor in _UNKNOWABLE_ANCHORS:
        if anchor in lower:
            return _UNKNOWABLE.search(opening) is not None
    return False


def lookalike(prompt: str) -> bool:
    """Whether a prompt takes a word of harm for something harmless: killing a process, shooting a portrait."""
    if len(prompt) > 12 * _LONGEST_LOOKALIKE or len(prompt.split()) > _LONGEST_LOOKALIKE:
        return False
    deed = _DEED.search(prompt)
    return deed is not None and _HARMLESS_OBJECT.search(prompt) is not None and _PERSON.search(prompt) is None


def continues(prompt: str, response: str) -> bool:
    """Whether the reply goes on where the prompt broke off: no end of a sentence there, a small letter here."""
    before, after = prompt.rstrip(), response.lstrip()
    return bool(before and after) and (before[-1].isalnum() or before[-1] in ",;-(") and after[0].islower()
