"""Tasks on a passage as a whole and on its terms: summary, completion, word to text, definition."""

from __future__ import annotations

import re

from framework.converters import _wordings
from framework.converters._language import capital, finished, is_prose
from framework.converters._tasks import Context, Task

_TOPIC = re.compile(
    r"^(?:(?:In (?:summary|short|sum|brief|general|conclusion)|Overall|To sum(?:marise|marize| up)|In essence|Generally),"
    r"|(?:The|Its?) (?:main |general )?(?:purpose|object|aim|scope|subject) of (?:this|the)\b"
    r"|This (?:section|part|article|chapter|agreement|policy|regulation|subpart|paragraph|document|notice|licen[sc]e|act"
    r"|statement|plan|case|appeal|exhibit) (?:\"[^\"]*\" )?(?:governs|covers|describes|sets|applies|establishes|prohibits|requires"
    r"|implements|explains|concerns|addresses|provides|contains|regulates|defines|is (?:issued|made|about|intended|designed)))",
    re.IGNORECASE,
)
_QUOTED = r"[\"“](?P<term>[A-Z][^\"”“]{1,60})[\"”]"
_MEANS = re.compile(
    rf"^(?:\(?\w{{1,4}}\)\s+|[\d.]+\s+)?(?:(?:The|As used (?:in this \w+|herein),(?: the)?) (?:terms?|words?|phrases?) )?(?:{_QUOTED}"
    r"|(?P<bare>[A-Z][\w’'-]*(?: [\w’'-]+){0,5}?)) (?:shall mean|means|refers to|is defined as|shall refer to) (?P<meaning>.{15,400})$"
)
_NO_TERM = frozenset(
    {"The", "This", "That", "It", "By", "In", "For", "If", "A", "An", "Such", "Any", "No", "All", "Each", "As", "What"}
)
_NAMED = re.compile(
    r"(?P<meaning>[A-Z][^()\"“”;:]{8,160}?),? \((?:hereinafter(?: referred to as)?,? )?(?:the|an?|each,? an?) [\"“](?P<term>[^\"”]{2,50})[\"”]\)"
)
_BEFORE_NAME = re.compile(r"^.*\b(?:between|among|BETWEEN|AMONG) ")
_NO_NAME = re.compile(
    r"\b(?:shall|is|are|was|were|will|has|have|had|may|must|be|hereby|this|agrees?|means|date)\b|^(?:In|On|At|If|For|By|To)\b",
    re.IGNORECASE,
)
_WORD = re.compile(r"\b[a-z]{5,20}\b")
_SHOWN_WORDS = (3, 5)
_SENTENCES_BEFORE_END = 2
_TOPIC_SENTENCES = 3
"""Fewer sentences have nothing to summarise."""


def summary(context: Context) -> Task | None:
    """A heading for the passage (its own, hidden), or the sentence that says what it is about."""
    passage = context.passage
    found: list[Task] = []
    title, hidden = passage.title
    if title and len(passage.prose) >= 2:
        found.append(Task("summary", context.worded(_wordings.TITLE), title, hide=hidden))
    if len(passage.prose) >= _TOPIC_SENTENCES:
        topics = [sentence for sentence in passage.prose if _TOPIC.match(sentence)]
        if topics:
            found.append(Task("summary", context.worded(_wordings.TOPIC), topics[0], topics[0]))
    return context.pick(found)


def completion(context: Context) -> Task | None:
    """The passage's last sentence, hidden, when at least two stand before it."""
    passage = context.passage
    prose = passage.prose
    last = passage.flow[-1][-1]
    if len(prose) <= _SENTENCES_BEFORE_END or last != prose[-1] or not passage.text.endswith(last):
        return None
    return Task("completion", context.worded(_wordings.COMPLETION), last, last, hide=last)


def word_to_text(context: Context) -> Task | None:
    """A sentence from the corpus's own words in it, the rarest of them, in any order."""
    found: list[tuple[str, list[str]]] = []
    for sentence in context.passage.prose:
        own = list(dict.fromkeys(word for word in _WORD.findall(sentence) if word in context.vocabulary))
        if len(own) >= _SHOWN_WORDS[0]:
            found.append((sentence, own))
    chosen = context.pick(found)
    if chosen is None:
        return None
    sentence, own = chosen
    rarest = sorted(own, key=lambda word: (context.vocabulary[word], word))[: _SHOWN_WORDS[1]]
    context.rng.shuffle(rarest)
    listed = f"{', '.join(rarest[:-1])} and {rarest[-1]}"
    return Task("word_to_text", context.worded(_wordings.WORDS, words=listed), sentence, sentence)


def definition(context: Context) -> Task | None:
    """What a defined term means, or which term is meant."""
    found: list[tuple[str, str, str, str]] = []
    for sentence in (sentence for held in context.passage.flow for sentence in held):
        if "\n" in sentence:
            continue
        match = _MEANS.match(sentence)
        if match is not None:
            term = match["term"] or match["bare"]
            if match["term"] or (term.split()[0] not in _NO_TERM and is_prose(sentence)):
                meaning = match["meaning"].rstrip()
                found.append((term.rstrip(",. "), meaning, sentence, sentence))
            continue
        for named in _NAMED.finditer(sentence):
            meaning = _BEFORE_NAME.sub("", named["meaning"]).strip()
            # Only a name: of a longer phrase nobody knows how much of it the term stands for.
            if not meaning[:1].isupper() or _NO_NAME.search(meaning):
                continue
            found.append((named["term"].rstrip(",. "), meaning, finished(capital(meaning)), sentence))
    chosen = context.pick(found)
    if chosen is None or not chosen[0]:
        return None
    term, meaning, reply, sentence = chosen
    if context.rng.random() < 0.5:
        return Task("definition", context.worded(_wordings.DEFINITION, term=f'"{term}"'), reply, sentence)
    return Task("definition", context.worded(_wordings.TERM, meaning=finished(capital(meaning))), term)
