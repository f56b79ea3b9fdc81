"""English text as paragraphs and sentences, and how long text is. Pure functions over strings."""

from __future__ import annotations

import re
from collections.abc import Iterator

_PIECES = re.compile(r"[A-Za-z]{1,9}|\n|[^\sA-Za-z]")
_BEYOND = re.compile(r"[^\x00-\x7f]")
_END = re.compile(r"[.!?][\"”’')\]]*\s+(?=[\"“‘'(\[]?[A-Z§])")
_ABBREVIATION = re.compile(
    r"(?:\b(?:[A-Z]|Inc|Corp|Co|Ltd|No|Nos|Sec|Art|Mr|Mrs|Ms|Dr|St|Jr|Sr|vs?|e\.g|i\.e|cf|al|seq|Stat|Rev|Ch|Fed|Cir|App"
    r"|Supp|Reg|Ave|Dept|Gov|Rep|Sen|Gen|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec|U\.S|U\.S\.C|C\.F\.R|L\.P|L\.L\.C"
    r"|N\.A|para|pp?|Exh?|Cal|Ill|Pa|Va|Ala|Ariz|Mass|Minn|Tex)\.|(?:^|\s)\(?[\dIVXivx]{1,6}(?:\.\d+)*\.)$"
)
_NUMBERING = re.compile(
    r"^(?:[#*_\s]*)(?:(?:section|article)\s+)?(?:§+\s*)?(?:[\dIVX]+(?:\.\d+)*[.)]?\s+)?", re.IGNORECASE
)
_INLINE = re.compile(
    r"^(?:(?:Section|Article)\s+)?(?:§\s*)?\d+(?:\.\d+)*\.?\)?\s+([A-Z][\w ,/&'’-]{2,60})\.\s+(?=[\"“(]?[A-Z])"
)
_GRAMMAR = re.compile(
    r"\b(?:the|of|to|and|or|is|are|was|were|shall|may|must|will|be|has|have|in|by|for|that|which|with|any)\b"
)
_HEADING_WORDS = 10
_PROSE_WORDS = (6, 60)
_LETTERS = 0.7
"""Share of letters among the characters of prose that are not white space."""


def size(text: str) -> int:
    """About how many tokens a text has: one for a word, more for long ones, one for every digit and sign.

    No tokenizer is asked: a row's size must not depend on the model. Characters beyond Latin count two.
    """
    return len(_PIECES.findall(text)) + (0 if text.isascii() else len(_BEYOND.findall(text)))


def paragraphs(text: str) -> Iterator[str]:
    """Blocks between blank lines, or lines where there are no blank lines.

    The lines of a block of prose are joined, since they are one paragraph that was wrapped; other blocks (tables,
    addresses) keep them.
    """
    blocks = re.split(r"\n[ \t\r]*\n", text) if re.search(r"\n[ \t\r]*\n", text.strip()) else text.splitlines()
    for block in blocks:
        lines = [" ".join(line.split()) for line in block.splitlines()]
        lines = [line for line in lines if line]
        if lines:
            joined = " ".join(lines)
            yield joined if _wordy(joined) and _GRAMMAR.search(joined) else "\n".join(lines)


def sentences(paragraph: str) -> list[str]:
    """The sentences of a paragraph in order; abbreviations and numbers of clauses end none."""
    found: list[str] = []
    begin = 0
    for match in _END.finditer(paragraph):
        if match.group()[0] == "." and _ABBREVIATION.search(
            paragraph[max(begin, match.start() - 12) : match.start() + 1]
        ):
            continue
        found.append(paragraph[begin : match.end()].strip())
        begin = match.end()
    rest = paragraph[begin:].strip()
    return [*found, rest] if rest else found


def is_prose(sentence: str) -> bool:
    """Whether it reads as one whole sentence rather than as a heading, a list item or a line of a table."""
    words = sentence.split()
    return (
        _PROSE_WORDS[0] <= len(words) <= _PROSE_WORDS[1]
        and "\n" not in sentence
        and sentence[0] in '"“‘(' + "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
        and sentence.rstrip("\"”’')]")[-1:] in (".", "!", "?")
        and _wordy(sentence)
        and _GRAMMAR.search(sentence) is not None
        and not sentence.isupper()
        and "__" not in sentence
    )


def heading(paragraph: str) -> str:
    """The title that a paragraph is, without numbering and markup; empty when it is none."""
    if "\n" in paragraph or len(paragraph.split()) > _HEADING_WORDS:
        return ""
    marked = paragraph.startswith(("#", "§"))
    plain = _NUMBERING.sub("", paragraph).strip("#*_ ")
    plain = plain.rstrip(".:") if marked else plain
    words = [word for word in plain.split() if word[0].isalpha()]
    if not words or plain[-1] in ".,;:!?-" or not _wordy(plain) or len(plain) < 4:
        return ""
    capitals = sum(word[0].isupper() for word in words if len(word) > 3 or word.isupper())
    longer = sum(len(word) > 3 or word.isupper() for word in words)
    return plain if marked or (longer and plain[0].isupper() and capitals == longer) else ""


def inline_heading(paragraph: str) -> tuple[str, str]:
    """The title that opens a numbered clause (``5.2 Insurance. The Tenant ...``), and all that stands before the text.

    Both are empty when there is none.
    """
    match = _INLINE.match(paragraph)
    if match is None or len(match.group(1).split()) > _HEADING_WORDS:
        return "", ""
    return match.group(1), match.group()


def capital(text: str) -> str:
    """With a capital at the start."""
    return text[:1].upper() + text[1:]


def finished(text: str) -> str:
    """With a full stop at the end, unless it has an end."""
    text = text.rstrip().rstrip(",;:").rstrip()
    return text if text.rstrip("\"”’')]")[-1:] in (".", "!", "?") else f"{text}."


def _wordy(text: str) -> bool:
    dense = "".join(text.split())
    return sum(map(str.isalpha, dense)) >= _LETTERS * len(dense) > 0
