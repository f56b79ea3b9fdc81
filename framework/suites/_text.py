"""Whether a free reply holds an expected answer."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

_ACRONYM = re.compile(r"\b[^\W\d_](?:\.[^\W\d_])+\b\.?")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}\b)")
_PUNCTUATION = re.compile(r"(?<!\d)\.|\.(?!\d)|[^\w\s.]|_")
_ARTICLES = re.compile(r"\b(?:a|an|the)\b")


def normalise(text: str) -> str:
    """Lower case without punctuation and articles, words separated by one space.

    In the manner of SQuAD's metric (Rajpurkar et al. 2016), but numbers and acronyms survive: ``1,000`` is
    ``1000``, ``3.5`` stays, ``U.S.`` is ``us``, and a hyphen parts two words.
    """
    text = unicodedata.normalize("NFKC", text).casefold().replace("\u2019", "'")
    text = _ACRONYM.sub(lambda match: match.group().replace(".", ""), text)
    text = _PUNCTUATION.sub(" ", _THOUSANDS.sub("", text).replace("'", ""))
    return " ".join(_ARTICLES.sub(" ", text).split())


def contains(reply: str, answer: str) -> bool:
    """Whether the answer's words stand in the reply, whole and in order, after normalisation."""
    return f" {normalise(answer)} " in f" {normalise(reply)} "


def contains_any(reply: str, answers: Iterable[str]) -> bool:
    """Whether one of the answers stands in the reply.

    A reply that denies it counts too: word the items accordingly.
    """
    return any(contains(reply, answer) for answer in answers)


def require_words(texts: Iterable[str]) -> None:
    """Raise ``ValueError`` for a text of which normalisation leaves nothing: every reply would contain it."""
    for text in texts:
        if not normalise(text):
            raise ValueError(f"{text!r} has no words besides articles and punctuation")
