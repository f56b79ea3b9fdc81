"""The type of task that an instruction sets, by documented rules over English text.

The first type whose pattern occurs in the prompt's opening or closing wins; the order goes from types with telling
words to those that only a question tells. What no rule knows is ``other``.
"""

from __future__ import annotations

import re

from framework.judges._pattern import Pattern, folded

_ENDS = 300
_LONG_CONTEXT = 60
"""Words of a prompt from which on a question is one about a text that came with it."""

_RULES: tuple[tuple[str, str], ...] = (
    ("code", r"\b(?:python|javascript|java|sql|html|css|regex|c\+\+|bash|function|code|program|script|algorithm)\b"),
    ("translate", r"\btranslat\w+|\bin (?:french|german|spanish|latin|italian|chinese|japanese)\b"),
    (
        "summarise",
        r"\bsummar\w+|\btl;?dr\b|\bin (?:one|a few|two|three) (?:sentence|line|word)s?\b|\bshorten|\bgist\b"
        r"|\bmain (?:point|idea)s?\b|\bheadline\b|\btitle for\b",
    ),
    ("grammar", r"\bgrammar|\bcorrect (?:the|this|my)\b|\bfix (?:the|this)\b|\bproofread|\bspelling|\brepair\b"),
    (
        "rewrite",
        r"\brewrit\w+|\brephras\w+|\bparaphras\w+|\breword|\brestate|\bin (?:the )?past tense|\bturn (?:this|the)"
        r"|\bchange (?:this|the)|\bconvert\b|\bedit\b",
    ),
    (
        "extract",
        r"\bextract|\bfrom the (?:text|passage|paragraph|article|sentence|given)|\bfind (?:the|all)\b.*\b(?:text|passage|sentence)"
        r"|\bmentioned\b|\bwhich words\b|\bgiven (?:a|the|this) (?:reference )?(?:text|paragraph|passage)",
    ),
    (
        "classify",
        r"\bclassif\w+|\bcategori[sz]\w+|\bpositive or negative|\bsentiment|\btrue or false|\byes or no\b|\bis (?:it|this) (?:a|an)\b.* or "
        r"|\bidentify (?:which|whether|the)\b|\bwhich of (?:the|these)\b|\b(?:which|what) (?:one|category|topic|class|label)\b|\bdo the following\b"
        r"|\b(?:same|different) meaning\b|\bdoes this\b|\bentail\w*|\bcan we infer\b|\bdecide\b",
    ),
    (
        "list",
        r"\blist\b|\bname (?:\w+ )?(?:two|three|four|five|six|seven|ten|some|\d+)\b|\bgive (?:me )?(?:\w+ )?(?:a list|two|three|four|five|ten|some|\d+)\b"
        r"|\bbullet|\bwhat are (?:some|the (?:top|best|most|different|main|various))\b|\b(?:some|\d+) (?:examples|ways|reasons|tips)\b",
    ),
    (
        "brainstorm",
        r"\bideas?\b|\bbrainstorm|\bsuggest|\brecommend|\bcome up with\b|\bthink of\b|\btips\b|\bnames? for\b",
    ),
    ("letter", r"\be-?mail\b|\bletter\b|\bdear\b|\bmessage to\b|\binvitation\b|\bcover note\b|\btweet\b|\bpost\b"),
    (
        "story",
        r"\bstory\b|\bpoem\b|\bhaiku\b|\blyrics\b|\bsong about\b|\brhyme|\bfiction|\bimagine\b|\bpretend\b|\bdialogue\b|\bessay\b|\bspeech\b",
    ),
    ("table", r"\btable\b|\bgrid\b|\bcsv\b|\bspreadsheet\b|\bjson\b|\byaml\b|\bxml\b"),
    (
        "arithmetic",
        r"\bcalculate|\bcompute|\bhow (?:many|much)\b.*\d|\d\s*[-+*/x×]\s*\d|\bsum of\b|\bplus\b|\bminus\b|\bpercent\w*\b.*\d|\bequation\b|\bsolve\b",
    ),
    (
        "compare",
        r"\bcompar\w+|\bcontrast\b|\bdifferen(?:ce|ces|t)\b.*\b(?:between|from)\b|\bbetter\b|\bversus\b|\bvs\b|\bwhich is (?:more|the|\w+er)\b|\blarger\b|\bbigger\b",
    ),
    (
        "plan",
        r"\bplan\b|\bitinerary\b|\bschedule\b|\bsteps?\b|\bhow (?:do|can|should|would) (?:i|you|we|one)\b|\bhow to\b|\brecipe\b|\bguide\b",
    ),
    (
        "explain",
        r"\bexplain\w*|\bwhy\b|\bdescribe\b|\bhow (?:does|do|did|is|are)\b|\bwhat does\b|\bmean(?:ing)?\b|\btell me about\b|\bdefine\b|\bdefinition\b"
        r"|\bwhat (?:is|are) (?:a|an)\b",
    ),
    ("write", r"\bwrite\b|\bcompose\b|\bdraft\b|\bcreate\b|\bgenerate\b|\bcomplete the\b|\bcontinue\b"),
    (
        "question",
        r"\?|^(?:who|what|when|where|which|how|is|are|was|were|did|do|does|can|could|in what|on what|at what)\b|\bname\b|\banswer\b",
    ),
)
_PATTERNS = tuple((name, Pattern(pattern, re.DOTALL)) for name, pattern in _RULES)


def infer_task(prompt: str) -> str:
    """The type of task: one of the rules' names, ``open_qa`` or ``closed_qa`` for questions, or ``other``."""
    ends = prompt if len(prompt) <= 2 * _ENDS else f"{prompt[:_ENDS]}\n{prompt[-_ENDS:]}"
    text = folded(ends)
    for name, pattern in _PATTERNS:
        if pattern.search(text):
            if name == "question":
                return "closed_qa" if len(prompt.split()) > _LONG_CONTEXT else "open_qa"
            return name
    return "other"
