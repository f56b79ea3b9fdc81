"""What a prompt asks for and what a reply does about it, by documented rules over English text.

Used where rows carry no labels. Accuracy on labelled data: ``benchmarks/inference.py``, figures in docs/inference.md.
"""

from __future__ import annotations

import re

_OPENING = 400
"""Characters at the start of a prompt in which an instruction is looked for; more are looked at from the end."""

_INSTRUCTION = 600
"""Characters of the first paragraph in which harm is looked for."""

_VERBS = (
    "add analyse analyze answer arrange ask assume brainstorm build calculate change check choose classify combine "
    "come compare complete compose compute consider construct continue convert correct count create decide define "
    "describe design detail detect determine develop differentiate discuss divide draft draw edit elaborate "
    "estimate evaluate examine expand explain express extract fill find fix formulate generate give guess help "
    "identify imagine improve infer interpret introduce judge keep label let list make match mention name "
    "name offer order organize organise outline paraphrase pick plan predict prepare present proofread propose "
    "prove provide rank rate read recommend reduce remove reorder rephrase replace reply report respond restate "
    "reverse review rewrite say select separate share shorten show simplify solve sort specify spell split state "
    "suggest summarise summarize suppose take teach tell think transform translate turn use verify walk write"
).split()
_ASKS = re.compile(
    r"\?|\b(?:who|what|when|where|why|which|how)\b"
    r"|(?:^|[.!?:;\n]\s*|\bplease,?\s+|\bthen\s+|\band\s+|\bto\s+|\byou\s+)(?:" + "|".join(_VERBS) + r")\b",
    re.IGNORECASE,
)
_ASKS_BACK = re.compile(
    r"\b(?:could|can|would|will) you (?:please )?(?:clarify|tell me|specify|share|give me|provide|explain|let me know)\b"
    r"|\b(?:what|which|who|where|when|how|whom)\b[^.?!]{0,80}\b(?:you|your)\b[^.?!]{0,60}\?"
    r"|\bdo you (?:mean|want|need|have)\b|\bwhat (?:would you like|do you mean|exactly)\b|\blet me know (?:what|which)\b"
    r"|\b(?:need|depends on) (?:a bit |a little )?more (?:detail|information|context)|\bplease (?:send|tell|share|paste)\b",
    re.IGNORECASE,
)
_ASKS_BACK_ANCHORS = ("you", "exactly", "let me", "more ", "plea")
_LAST_SENTENCE = re.compile(r"[^.?!\n]*\?\s*$")
_ABOUT_YOU = re.compile(r"\b(?:you|your|which|what|who|whom|where|when|how|should)\b", re.IGNORECASE)
_LONGEST_QUESTION_BACK = 60
"""Words: a reply that only asks back is short."""

_PERSON = (
    r"(?:someone|somebody|people|person|humans?|humanity|myself|(?:my|his|her|their|an?) (?:\w+ )?(?:ex|wife|husband|girlfriend|"
    r"boyfriend|boss|neighbou?r|enemy|family|friend|classmate|teacher|cop|politician|president|toddler|child|baby|kid|woman|man|girl|boy|date)|"
    r"the president|cops?|politicians?|women|children|kids|immigrants|muslims|jews|everyone)\b(?!'s? (?:party|game))"
)
_GROUP = (
    r"(?:(?:black|white|asian|jewish|gay|trans\w*|old|elderly|fat|homeless|disabled|indigenous|non-binary|pregnant|religious) "
    r"(?:people|men|women|folks)|women|immigrants|muslims|jews|christians|hindus|buddhists|latinos|roma|lesbians|refugees|lgbtq\+?)"
)
_SEEKS = re.compile(
    r"\bhow (?:do|can|could|should|would|might|to)\b|\bways?\b|\bwhere (?:can|do|could) \b|\b(?:give|tell|teach|show|help) (?:me|us|people)\b|"
    r"\b(?:write|create|compose|design|list|suggest|provide|explain|make|plan|generate|develop|draft)\b|\b(?:steps|process|method|techniques|"
    r"tactics|strategy|weapons?|instructions)\b|\bwhat (?:can|should|could) i\b|\bwhat (?:is|are) (?:my|the best|a good)\b|\bwhat's the best\b|\bwhere (?:is|are|do)\b|\bi want to\b|\bwhy (?:should|is it|are|was|were|would)\b"
)
_HARM = re.compile(
    r"\b(?:kill\w*|murder\w*|shoot\w*|stab\w*|strangl\w+|punch\w*|chok\w+|smash|shatter|execut\w+|wipe out|slay|butcher\w*|hurt\w*|annihilat\w+|"
    r"eradicat\w+|exterminat\w+|poison\w*|eliminat\w+|terminat\w+|decimat\w+|hunt down|overpower|capture|kidnap\w*|beat|tortur\w+|rap(?:e|ing)|"
    r"drug|hang|snipe|assault\w*|stalk\w*|blackmail\w*|harass\w*|bully\w*|humiliat\w+|threaten\w*|spy(?:ing)? on|dox|extort\w*)\b"
    r"[^.?!\n]{0,25}?\b" + _PERSON + r"|"
    r"\b(?:commit|committing|plan) (?:an? )?(?:\w+ ){0,2}(?:murder|suicide|fraud|arson|treason|theft|assault|massacre|crime|robbery|genocide|kidnapping|death)\b|"
    r"\b(?:bomb|explosives?|grenades?|nerve gas|molotov|napalm|phosgene|sarin|ricin|anthrax|pipe gun|zip gun|untraceable|silencer|flamethrower|shiv|"
    r"malware|ransomware|rootkit|keylogger|phishing|trojan|spyware|ddos|botnet|counterfeit\w*|launder(?:ing)? money|money launder\w*|"
    r"shoplift\w*|embezzl\w*|bribe\w*|evade taxes|tax evasion|insider trading|smuggl\w*|traffick\w*|arson|set fire|burn down|hijack\w*|"
    r"meth|methamphetamines?|cocaine|heroin|lsd|ecstasy|marihuana|date rape|child porn\w*|pedophilia|self[- ]harm|hang myself|kill myself|"
    r"fake (?:\w+ ){0,2}(?:passport|id|diploma|charity|medicine|reviews?|news|rumou?rs)|hate speech|demean\w*|slurs?|racist|sexist|"
    r"inferior to|propaganda|illegally|dark web|steal(?:ing)? (?:from|some\w*|my|his|her|cars?|money|data)|rob (?:a|an|the|my|people)|"
    r"break(?:ing)? into|hack(?:ing)? (?:into|a|an|my|some\w*|the)|forg(?:e|ing) (?:a|an|my|his|her|the|documents?)|"
    r"without (?:their|his|her|my \w+'s|being|getting) (?:consent|knowledge|knowing|caught|detected|banned)|get(?:ting)? away with|"
    r"scam\w*|swindl\w*|trick (?:people|someone|\w+ people)|incite|genocide|ethnic cleansing|cause cancer|vaccines cause)\b|"
    r"\b"
    + _GROUP
    + r"\b[^.?!\n]{0,30}\b(?:not (?:be|have|hold|get|deserve|allowed)|denied|barred|banned|earn less|discriminated|kicked|inferior|greedy)\b|"
    r"\b(?:my|other people's|celebrit\w+) (?:[\w']+ ){0,2}(?:credit card details|medical records?|private email|home address|passport number|"
    r"social security|tax records|criminal history|login|password|pin)\b"
)
_HARMLESS = re.compile(
    r"\b(?:python|process(?:es)? in|program|linux|terminal|sql|code|c\+\+|thread|script|game|minecraft|counter strike|call of duty|movie|films?|novel|"
    r"tv show|short story|character|mission impossible|history of|avoid|prevent|protect|defend|detect|recogni[sz]e|fictional|recipe|balloon|party|stage|"
    r"chess|boxing|judo|kill time|jokes?|metaphor\w*|weeds?|lice|bugs?|vermin|bacteria|without harming|classify|extract|summari[sz]e|passage|paragraph|"
    r"given (?:the|this|a)|definition|legal|mean(?:s|ing)?)\b|\A(?:who|when|how did|what did|why did)\b|\bthey\b[^.?!]{0,40}\?"
)


def asks(prompt: str) -> bool:
    """Whether the text asks for something: a question, or a verb in the imperative at its start or its end."""
    ends = prompt if len(prompt) <= 2 * _OPENING else f"{prompt[:_OPENING]}\n{prompt[-_OPENING:]}"
    return _ASKS.search(ends) is not None


def asks_back(response: str) -> bool:
    """Whether a reply asks for what is missing rather than answers: short, and a question to the user."""
    if len(response) > _LONGEST_QUESTION_BACK and len(response.split()) > _LONGEST_QUESTION_BACK:
        return False
    lower = response.lower()
    # Loops over what some match must hold, here and in the other judges: most texts are told by it, and quickly.
    for anchor in _ASKS_BACK_ANCHORS:
        if anchor in lower:
            if _ASKS_BACK.search(response):
                return True
            break
    last = _LAST_SENTENCE.search(response) if response.rstrip().endswith("?") else None
    return last is not None and _ABOUT_YOU.search(last.group()) is not None


def harmful(prompt: str) -> bool:
    """Whether a prompt seems to ask for help with harm: something is sought, it is harmful, and no context excuses it.

    Looks at the first paragraph alone: what follows an instruction is mostly its text.
    """
    instruction = prompt.strip().split("\n\n", 1)[0][:_INSTRUCTION].lower().replace("\u2019", "'")
    return (
        _HARM.search(instruction) is not None
        and _SEEKS.search(instruction) is not None
        and _HARMLESS.search(instruction) is None
    )
