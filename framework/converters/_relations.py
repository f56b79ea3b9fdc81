"""Tasks on how statements relate: entailment, reasoning (cause, effect, contrast, condition, purpose), paraphrase."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from framework.converters import _wordings
from framework.converters._language import capital, finished, is_prose
from framework.converters._statements import altered, contrary, reworded
from framework.converters._tasks import Context, Task

_SO = re.compile(
    r"^(?:Therefore|Accordingly|Thus|Consequently|As a (?:result|consequence)|Hence|For (?:this|that|these) reasons?)[,\s]\s*(?P<rest>.{15,})$"
)
_BUT = re.compile(
    r"^(?:However|Nevertheless|Nonetheless|(?:By|In) contrast|On the (?:other hand|contrary)|Conversely),\s+(?P<rest>.{15,})$"
)
_AGAIN = re.compile(r"^(?:In other words|That is|That is to say|Put differently|Simply put),\s+(?P<rest>.{15,})$")
_BECAUSE = re.compile(
    r"^(?P<effect>[A-Z][^;:()]{20,220}?),? (?P<why>because (?:of )?[^;:]{12,220}|due to [^;:]{12,220}|owing to [^;:]{12,220})[.]$"
)
_IF = re.compile(
    r"^(?:If|In the event(?: that)?) (?P<condition>[^,;:]{15,180}), (?:then )?(?P<result>[^;:]{20,280}\.)$"
)
_TO = re.compile(r"^(?P<act>[A-Z][^;:]{20,220}?),? (?P<aim>(?:in order to|so as to) [^;:]{10,200}\.)$")
_MODAL = re.compile(r"^(?:\S+ ){1,12}?(?:shall|must|may|will|is|are|has|have|can|would|should)\b")
_NOT_A_RESULT = re.compile(
    r"^(?:or|and|but|if|including|such as|whether|as|which|who|in whole|unless|except|other|where|to|for|upon|with|without)\b",
    re.IGNORECASE,
)
_NOT_ASSERTED = re.compile(
    r"\b(?:not|no|never|neither|nor|if|unless|whether|may|might|could|would|should|only|nothing|simply|merely|that|which)\b|n[’']t\b",
    re.IGNORECASE,
)
_CONTENT = re.compile(r"[a-z]{5,}")
_OVERLAP = 0.25
"""Share of a sentence's longer words that a passage may hold for it to say nothing of the sentence."""


def entailment(context: Context) -> Task | None:
    """Whether the passage supports a claim: its own conclusion, the contrary of a sentence, or one from elsewhere."""
    passage = context.passage
    supported = [(finished(capital(rest)), second) for _, rest, second in _linked(context, _SO)]
    supported += [
        (finished(match["effect"]), match.string)
        for match in _matches(context, _BECAUSE)
        if not _NOT_ASSERTED.search(match["effect"])
    ]
    supported += [(changed, sentence) for sentence in passage.prose if (changed := reworded(sentence))]
    opposed = [(changed, sentence) for sentence in passage.prose if (changed := contrary(sentence))]
    held = set(_CONTENT.findall(passage.text.lower()))
    open_ = [(sentence, sentence) for sentence in context.elsewhere if _foreign(sentence, held)]
    answers = [(place, claims) for place, claims in enumerate((supported, opposed, open_)) if claims]
    # Without a claim that is supported or opposed, the answer would always be the same.
    if not supported and not opposed:
        return None
    chosen = context.pick(answers)
    assert chosen is not None
    place, claims = chosen
    wording, replies = context.rng.choice(_wordings.ENTAILMENT)
    claim, about = context.rng.choice(claims)
    return Task("entailment", wording.format(claim=claim), replies[place], about)


def reasoning(context: Context) -> Task | None:
    """Cause, effect, contrast, condition or purpose, as the passage's own connectives give them."""
    found: list[tuple[tuple[str, ...], str, str, str]] = []
    for match in _matches(context, _BECAUSE):
        if not _NOT_ASSERTED.search(match["effect"]):
            found.append((_wordings.CAUSE, finished(match["effect"]), capital(match["why"]), match.string))
    for wordings, connective in ((_wordings.EFFECT, _SO), (_wordings.CONTRAST, _BUT)):
        found += [(wordings, first, capital(rest), second) for first, rest, second in _linked(context, connective)]
    for match in _matches(context, _IF):
        result = match["result"]
        if _MODAL.match(result) and not _NOT_A_RESULT.match(result):
            found.append((_wordings.CONDITION, match["condition"], capital(result), match.string))
    for match in _matches(context, _TO):
        if not _NOT_ASSERTED.search(match["act"]):
            found.append((_wordings.PURPOSE, finished(match["act"]), capital(match["aim"]), match.string))
    chosen = context.pick(found)
    if chosen is None:
        return None
    wordings, claim, reply, about = chosen
    return Task("reasoning", context.worded(wordings, claim=claim), finished(reply), about)


def paraphrase(context: Context) -> Task | None:
    """Whether two sentences mean the same: restated by the passage or in set phrases, or altered in meaning."""
    same = [(first, finished(capital(rest))) for first, rest, _ in _linked(context, _AGAIN)]
    different: list[tuple[str, str]] = []
    for sentence in context.passage.prose:
        changed = reworded(sentence)
        if changed:
            same.append((sentence, changed))
        other = altered(changed or sentence, context.rng)
        if other:
            different.append((sentence, other))
    yes = bool(same) and (not different or context.rng.random() < 0.5)
    chosen = context.pick(same if yes else different)
    if chosen is None:
        return None
    wording, replies = context.rng.choice(_wordings.PARAPHRASE)
    one, two = chosen if context.rng.random() < 0.5 else chosen[::-1]
    return Task("paraphrase", wording.format(one=one, two=two), replies[0 if yes else 1], chosen[0])


def _linked(context: Context, connective: re.Pattern[str]) -> Iterator[tuple[str, str, str]]:
    """Neighbouring sentences of which the second opens with a connective: the first, the second without it, the second."""
    for held in context.passage.flow:
        for first, second in pairwise(held):
            match = connective.match(second)
            if match is not None and is_prose(first) and is_prose(second):
                yield first, match["rest"], second


def _matches(context: Context, pattern: re.Pattern[str]) -> Iterator[re.Match[str]]:
    for sentence in context.passage.prose:
        match = pattern.match(sentence)
        if match is not None:
            yield match


def _foreign(sentence: str, held: set[str]) -> bool:
    words = set(_CONTENT.findall(sentence.lower()))
    return len(words) >= 4 and len(words & held) <= _OVERLAP * len(words)
