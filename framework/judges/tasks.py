"""The type of task that an instruction sets, by documented rules over English text.

The first type whose pattern occurs in the prompt's opening or closing wins; the order goes from types with telling
words to those that only a question tells. What no rule knows is ``other``.
"""

from __future__ import annotations

import re

_ENDS = 300
_LONG_CONTEXT = 60
"""Spaces in a prompt from which on a question is one about a text that came with it."""
_SOFT = {
    "code",
    "list",
    "compare",
    "plan",
    "explain",
    "extract",
    "brainstorm",
    "arithmetic",
    "story",
    "letter",
    "table",
    "translate",
}
"""Types whose words are often a text's own."""
_QUESTION_AT_END = re.compile(r"\A[^.!?\n]*\?|\?\s*\Z")

_RULES: tuple[tuple[str, str, str], ...] = (
    (
        "write",
        "question|sentence",
        r"\b(?:generate|write|formulate|form|make|create|construct|come up with|put)\b[^.?!\n]{0,60}\b(?:questions?|sentences?)\b"
        r"|\bsentences? (?:about|for|from|that|with|using|containing) (?:the|these|this|all)\b[^?\n]{0,60}(?::|$)",
    ),
    (
        "classify",
        "yes |yes,|true or|is that|is this|is it|correct answer|same|paraphras|classif|categor|an effect|it affect|agree|valid",
        r"\byes or no\b|\btrue or false\b|\bis (?:that|this|it) (?:true|correct|right)\b|\bis the correct answer\b(?! to\b)"
        r"|\b(?:paraphrase|mean the same|same meaning)\b[^.\n]{0,80}\?|\bclassif\w+|\b(?:which|what|one|list of|choice of) categor\w+"
        r"|\byes,? (?:or )?no\b|\b(?:agree|valid)\b[^.\n]{0,40}\?|\bhave an effect\b|\bhow will it affect\b",
    ),
    (
        "question",
        "answer|question",
        r"\banswers? (?:to )?(?:correctly )?(?:the|this|that|my|these)\b|\bquestions? ?:|\b(?:an|the|right|correct) answer\b"
        r"|\b(?:following|above|below) questions?\b|^question\b|^answer ?:",
    ),
    (
        "code",
        "python|java|sql|html|css|regex|c++|bash|function|code|program|script|algorithm",
        r"\b(?:python|javascript|java|sql|html|css|regex|c\+\+|bash|function|code|program|script|algorithm)\b",
    ),
    (
        "translate",
        "translat|in french|in german|in spanish|in latin|in italian|in chinese|in japanese",
        r"\btranslat\w+|\bin (?:french|german|spanish|latin|italian|chinese|japanese)\b",
    ),
    (
        "summarise",
        "summar|tl;dr|tldr|in one |in a few |in two |in three |shorten|gist|main |headline|title for",
        r"\bsummar\w+|\btl;?dr\b|\bin (?:one|a few|two|three) (?:sentence|line|word)s?\b|\bshorten|\bgist\b|\bmain (?:point|idea)s?\b|\bheadline\b|\btitle for\b",
    ),
    (
        "grammar",
        "grammar|correct the|correct this|correct my|fix the|fix this|proofread|spelling|repair",
        r"\bgrammar|\bcorrect (?:the|this|my)\b|\bfix (?:the|this)\b|\bproofread|\bspelling|\brepair\b",
    ),
    (
        "rewrite",
        "rewrit|rephras|paraphras|reword|restate|past tense|turn this|turn the|change this|change the|convert|edit",
        r"\brewrit\w+|\brephras\w+|\bparaphras\w+|\breword|\brestate|\bin (?:the )?past tense|\bturn (?:this|the)|\bchange (?:this|the)|\bconvert\b|\bedit\b",
    ),
    (
        "extract",
        "extract|from the |find the|find all|mentioned|which words|given a |given the |given this ",
        r"\bextract|\bfrom the (?:text|passage|paragraph|article|sentence|given)|\bfind (?:the|all)\b.*\b(?:text|passage|sentence)|\bmentioned\b|\bwhich words\b|\bgiven (?:a|the|this) (?:reference )?(?:text|paragraph|passage)",
    ),
    (
        "classify",
        "classif|categor|positive or|sentiment|true or|yes or|is it a|is this a|identify |which of|ch one|t one|ch topic|t topic|class|label|do the following|meaning|does this|entail|infer|decide",
        r"\bclassif\w+|\bcategori[sz]\w+|\bpositive or negative|\bsentiment|\btrue or false|\byes or no\b|\bis (?:it|this) (?:a|an)\b.* or |\bidentify (?:which|whether|the)\b|\bwhich of (?:the|these)\b|\b(?:which|what) (?:one|category|topic|class|label)\b|\bdo the following\b|\b(?:same|different) meaning\b|\bdoes this\b|\bentail\w*|\bcan we infer\b|\bdecide\b",
    ),
    (
        "list",
        "list|name |give |bullet|what are |example|ways|reasons|tips",
        r"\blist\b|\bname (?:\w+ )?(?:two|three|four|five|six|seven|ten|some|\d+)\b|\bgive (?:me )?(?:\w+ )?(?:a list|two|three|four|five|ten|some|\d+)\b|\bbullet|\bwhat are (?:some|the (?:top|best|most|different|main|various))\b|\b(?:some|\d+) (?:examples|ways|reasons|tips)\b",
    ),
    (
        "brainstorm",
        "idea|brainstorm|suggest|recommend|come up|think of|tips|names for|name for",
        r"\bideas?\b|\bbrainstorm|\bsuggest|\brecommend|\bcome up with\b|\bthink of\b|\btips\b|\bnames? for\b",
    ),
    (
        "letter",
        "mail|letter|dear|message to|invitation|cover note|tweet|post",
        r"\be-?mail\b|\bletter\b|\bdear\b|\bmessage to\b|\binvitation\b|\bcover note\b|\btweet\b|\bpost\b",
    ),
    (
        "story",
        "story|poem|haiku|lyrics|song about|rhyme|fiction|imagine|pretend|dialogue|essay|speech",
        r"\bstory\b|\bpoem\b|\bhaiku\b|\blyrics\b|\bsong about\b|\brhyme|\bfiction|\bimagine\b|\bpretend\b|\bdialogue\b|\bessay\b|\bspeech\b",
    ),
    (
        "table",
        "table|grid|csv|spreadsheet|json|yaml|xml",
        r"\btable\b|\bgrid\b|\bcsv\b|\bspreadsheet\b|\bjson\b|\byaml\b|\bxml\b",
    ),
    ("arithmetic", "-|+|*|/|x|×", r"\d\s*[-+*/x×]\s*\d"),
    (
        "arithmetic",
        "calculate|compute|how many|how much|sum of|plus|minus|percent|equation|solve",
        r"\bcalculate|\bcompute|\bhow (?:many|much)\b.*\d|\bsum of\b|\bplus\b|\bminus\b|\bpercent\w*\b.*\d|\bequation\b|\bsolve\b",
    ),
    (
        "compare",
        "compar|contrast|differen|better|versus|vs|which is |larger|bigger",
        r"\bcompar\w+|\bcontrast\b|\bdifferen(?:ce|ces|t)\b.*\b(?:between|from)\b|\bbetter\b|\bversus\b|\bvs\b|\bwhich is (?:more|the|\w+er)\b|\blarger\b|\bbigger\b",
    ),
    (
        "plan",
        "plan|itinerary|schedule|steps |step-by|step by|how do|how can|how should|how would|how to|recipe|guide",
        r"\bplan\b|\bitinerary\b|\bschedule\b|\bsteps (?:to|for|in|of how)\b|\bstep[- ]by[- ]step\b|\bhow (?:do|can|should|would) (?:i|you|we|one)\b|\bhow to\b|\brecipe\b|\bguide\b",
    ),
    (
        "explain",
        "explain|why|describe|how do|how is|how are|how did|what does|mean|tell me|defin|what is a|what are a",
        r"\bexplain\w*|\bwhy\b|\bdescribe\b|\bhow (?:does|do|did|is|are)\b|\bwhat does\b|\bmean(?:ing)?\b|\btell me about\b|\bdefine\b|\bdefinition\b|\bwhat (?:is|are) (?:a|an)\b",
    ),
    (
        "write",
        "write|compose|draft|create|generate|complete the|continue",
        r"\bwrite\b|\bcompose\b|\bdraft\b|\bcreate\b|\bgenerate\b|\bcomplete the\b|\bcontinue\b",
    ),
    (
        "question",
        "?|who|what|when|where|which|how|is|are|was|were|did|do|does|can|could|in |on |at |name|answer",
        r"\?|^(?:who|what|when|where|which|how|is|are|was|were|did|do|does|can|could|in what|on what|at what)\b|\bname\b|\banswer\b",
    ),
)
_PATTERNS = tuple(
    (name, tuple(anchors.split("|")), re.compile(pattern, re.DOTALL | re.MULTILINE))
    for name, anchors, pattern in _RULES
)


def infer_task(prompt: str) -> str:
    """The type of task: one of the rules' names, ``open_qa`` or ``closed_qa`` for questions, or ``other``."""
    ends = (prompt if len(prompt) <= 2 * _ENDS else f"{prompt[:_ENDS]}\n{prompt[-_ENDS:]}").lower()
    for name, anchors, pattern in _PATTERNS:
        for anchor in anchors:
            if anchor in ends:
                break
        else:
            continue
        if pattern.search(ends):
            if name == "question" or (name in _SOFT and _about_context(prompt)):
                return "closed_qa" if _long(prompt) else "open_qa"
            return name
    return "other"


def _about_context(prompt: str) -> bool:
    """Whether a long prompt opens or closes with a question: the words of other tasks are then its text's."""
    return _long(prompt) and _QUESTION_AT_END.search(prompt) is not None


def _long(prompt: str) -> bool:
    return prompt.count(" ") >= _LONG_CONTEXT
