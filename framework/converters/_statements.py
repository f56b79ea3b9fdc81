"""Sentences made from sentences so that their relation is known: the contrary, and the same in other words."""

from __future__ import annotations

import random
import re

_VERBS = re.compile(
    r"\b(?:shall|must|will|is|are|was|were|has|have|had|may|can|could|would|should|does|do|did|might|be|been)\b",
    re.IGNORECASE,
)
_FLIPPED = frozenset({"shall", "must", "will", "is", "are", "was", "were"})
_NEGATION = re.compile(
    r"\b(?:not|no|nor|never|neither|none|nothing|without|unless|except|cannot|only|hardly|few|little|other than)\b"
    r"|n[’']t\b",
    re.IGNORECASE,
)
_NOT = re.compile(r"\b(shall|must|will|is|are|was|were) not ")
_SUBORDINATE = re.compile(
    r"\b(?:that|which|who|whom|whose|as|if|when|where|than|because|until|while|what|whether|at|good|free)\b",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"\b([1-9]\d{0,2})(?= (?:business |calendar |consecutive )?(?:days|months|years|percent)\b)")
_SAME: tuple[tuple[str, str], ...] = (
    ("in the event that", "if"),
    ("in the event of", "in case of"),
    ("prior to", "before"),
    ("subsequent to", "after"),
    ("pursuant to", "under"),
    ("in excess of", "more than"),
    ("not less than", "at least"),
    ("at least", "not less than"),
    ("not more than", "at most"),
    ("no more than", "at most"),
    ("with respect to", "with regard to"),
    ("in accordance with", "in conformity with"),
    ("provided that", "on condition that"),
    ("notwithstanding", "in spite of"),
    ("is entitled to", "has a right to"),
    ("are entitled to", "have a right to"),
    ("shall be entitled to", "shall have a right to"),
    ("in lieu of", "instead of"),
    ("for the duration of", "throughout"),
    ("on behalf of", "in the name of"),
    ("by means of", "by use of"),
    ("approximately", "about"),
    ("annually", "every year"),
    ("each year", "every year"),
    ("in order to", "so as to"),
    ("to purchase", "to buy"),
    ("to obtain", "to get"),
    ("to assist", "to help"),
    ("to terminate", "to end"),
    ("may terminate", "may end"),
    ("commencing on", "beginning on"),
    ("immediately", "at once"),
    ("therefore", "for that reason"),
    ("however", "nevertheless"),
    ("due to", "owing to"),
    ("a number of", "several"),
    ("in writing", "in written form"),
    ("from time to time", "now and then"),
)
_BY_FIRST: dict[str, str] = dict[str, str](_SAME)
_PHRASES = re.compile(
    r"\b(?:" + "|".join(sorted((re.escape(first) for first, _ in _SAME), key=len, reverse=True)) + r")\b", re.IGNORECASE
)


def contrary(sentence: str) -> str:
    """The sentence with its one verb negated, or with its one ``not`` taken away; empty where that is not safe.

    Safe means one verb of the known ones in the whole sentence, none of them in a subordinate clause, and no other
    word that negation would reach.
    """
    verbs = list(_VERBS.finditer(sentence))
    if len(verbs) != 1 or sentence.rstrip().endswith("?"):
        return ""
    (verb,) = verbs
    before = sentence[: verb.start()]
    if verb.group() not in _FLIPPED or len(before.split()) < 1 or _SUBORDINATE.search(before):
        return ""
    negated = _NOT.search(sentence)
    if negated is not None:
        rest = sentence[: negated.start()] + sentence[negated.end() :]
        return "" if _NEGATION.search(rest) else f"{sentence[: negated.end(1)]} {sentence[negated.end() :]}"
    after = sentence[verb.end() :]
    if _NEGATION.search(sentence) or not after.startswith(" "):
        return ""
    return f"{sentence[: verb.end()]} not{after}"


def reworded(sentence: str) -> str:
    """The sentence with every set phrase replaced by another of the same meaning; empty when it has none."""

    def other(match: re.Match[str]) -> str:
        found = _BY_FIRST[match.group().lower()]
        return found[0].upper() + found[1:] if match.group()[0].isupper() else found

    changed = _PHRASES.sub(other, sentence)
    return changed if changed != sentence else ""


def altered(sentence: str, rng: random.Random) -> str:
    """The sentence with another meaning: the contrary, or another number of days, months, years or percent."""
    found = [text for text in (contrary(sentence), _other_number(sentence, rng)) if text]
    return rng.choice(found) if found else ""


def _other_number(sentence: str, rng: random.Random) -> str:
    match = _NUMBER.search(sentence)
    if match is None or sentence[: match.start()].endswith(("(", "-", ".", ",")):
        return ""
    number = int(match.group(1)) * rng.choice((2, 3))
    return f"{sentence[: match.start()]}{number}{sentence[match.end() :]}"
