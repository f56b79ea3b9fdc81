"""The words in which tasks are set, at least eight for each kind. ``{...}`` is filled in from the passage."""

from __future__ import annotations

LEADS = (
    "{passage}\n\n{question}",
    "Read the passage, then do what is asked below it.\n\n{passage}\n\n{question}",
    "Here is a passage:\n\n{passage}\n\n{question}",
    "Passage:\n{passage}\n\nTask:\n{question}",
    "Consider the following text.\n\n{passage}\n\n{question}",
    "I have this text in front of me:\n\n{passage}\n\n{question}",
    'Text:\n"""\n{passage}\n"""\n\n{question}',
    "Please look at the excerpt below.\n\n{passage}\n\n{question}",
    "The next lines are from a longer document.\n\n{passage}\n\n{question}",
    "Work from this excerpt.\n\n{passage}\n\n---\n{question}",
)
TITLE = (
    "Give the passage a heading.",
    "What heading would suit this passage?",
    "Sum up what the passage is about in a short title.",
    "Which title says best what the passage deals with?",
    "In a few words: what is the subject of this passage?",
    "Write the heading under which this text could stand.",
    "The heading of the passage is missing. Supply it.",
    "Name the topic of the text as a table of contents would.",
    "What would you call this section?",
)
TOPIC = (
    "Sum up the passage in one of its own sentences.",
    "Which sentence of the passage says what it is about as a whole?",
    "What is the main point of the text? Answer with a sentence from it.",
    "Give a one-sentence summary, in the words of the passage.",
    "State the gist of the passage in a single sentence taken from it.",
    "If only one sentence of the text could be kept, which one tells a reader most about the whole?",
    "What does the passage set out to do? Quote the sentence that says it.",
    "Find the sentence that summarises the text.",
)
WORDS = (
    "Write a sentence in keeping with the passage that uses these words: {words}.",
    "Form one sentence on the subject of the text with the words {words}.",
    "Which sentence of the passage brings together {words}?",
    "Use {words} in a single sentence that fits the passage.",
    "Here are some terms of the field: {words}. Put them into one sentence, as the text does.",
    "Make a sentence that contains {words} and agrees with the passage.",
    "Give a statement from the passage built on the terms {words}.",
    "Compose a sentence out of the key words {words}, keeping to what the text says.",
    "The following words belong together in the text: {words}. Show how.",
)
ENTAILMENT: tuple[tuple[str, tuple[str, str, str]], ...] = (
    (
        "Does the passage support this statement, contradict it, or leave it open?\n{claim}",
        ("The passage supports it.", "The passage contradicts it.", "The passage leaves it open."),
    ),
    (
        "Statement: {claim}\nGiven the passage, is the statement true, false, or impossible to tell?",
        ("True.", "False.", "Impossible to tell."),
    ),
    (
        '"{claim}"\nDoes this follow from the text? Answer yes, no, or not stated.',
        ("Yes.", "No.", "Not stated."),
    ),
    (
        "Judge the claim below by the passage alone: entailment, contradiction or neutral.\n{claim}",
        ("Entailment.", "Contradiction.", "Neutral."),
    ),
    (
        'Someone says: "{claim}" Do they have the text on their side, against them, or is it silent?',
        ("The text is on their side.", "The text is against them.", "The text is silent on it."),
    ),
    (
        "Compare the claim with the passage. Is it confirmed, denied or not addressed?\nClaim: {claim}",
        ("Confirmed.", "Denied.", "Not addressed."),
    ),
    (
        "Having read the passage, would you agree with this, disagree, or lack the information?\n{claim}",
        ("I would agree.", "I would disagree.", "The passage does not give the information."),
    ),
    (
        "Mark the sentence as consistent with the text (A), inconsistent with it (B), or beyond it (C).\n{claim}",
        ("A", "B", "C"),
    ),
)
CAUSE = (
    "According to the passage, why is this so?\n{claim}",
    "What reason does the text give for the following?\n{claim}",
    '"{claim}" Because of what?',
    'The text states: "{claim}" On what ground?',
    "Explain, from the passage, the cause of this: {claim}",
    "What lies behind this statement, as the text has it?\n{claim}",
    "Give the passage's reason for saying: {claim}",
    "Why? Answer from the text.\n{claim}",
)
EFFECT = (
    "What does the passage conclude from this?\n{claim}",
    '"{claim}" What follows from it, according to the text?',
    "Which consequence does the text draw from the following?\n{claim}",
    "Take this as given: {claim} What is the result in the passage?",
    'The passage says: "{claim}" And so?',
    "What is the effect of the following, as the text tells it?\n{claim}",
    "State what comes of this in the passage: {claim}",
    "To which conclusion does this lead the author?\n{claim}",
)
CONTRAST = (
    "Which statement of the passage stands in contrast to this one?\n{claim}",
    '"{claim}" What does the text set against it?',
    "How does the passage qualify the following?\n{claim}",
    'What comes after the "but"? The text first says: {claim}',
    "The text says: {claim} Which reservation follows?",
    "Name the counterpoint that the passage makes to this: {claim}",
    "What limits or opposes this statement in the text?\n{claim}",
    "On the one hand: {claim} And on the other?",
)
CONDITION = (
    "What applies, according to the passage, if {claim}?",
    "Suppose that {claim}. What does the text provide?",
    "What is the consequence in the passage if {claim}?",
    "Assume that {claim}. What happens under the text?",
    "By the text: what follows when {claim}?",
    "What does the passage lay down for the case that {claim}?",
    "Complete the rule of the passage: if {claim}, ...",
    "Under which rule does one come if {claim}? Answer from the text.",
)
PURPOSE = (
    "For what purpose, according to the passage?\n{claim}",
    '"{claim}" To what end?',
    "What is this meant to achieve, as the text has it?\n{claim}",
    "Which aim does the passage give for the following?\n{claim}",
    "The text says: {claim} What for?",
    "Name the goal behind this, from the passage: {claim}",
    "What is intended by this, according to the text?\n{claim}",
    "With which aim is this said or done in the passage?\n{claim}",
)
PARAPHRASE: tuple[tuple[str, tuple[str, str]], ...] = (
    ("Do these two sentences mean the same?\n1. {one}\n2. {two}", ("Yes, they mean the same.", "No, they do not.")),
    (
        "Compare in meaning:\nA: {one}\nB: {two}\nSame or different?",
        ("Same.", "Different."),
    ),
    (
        "Is the second sentence a paraphrase of the first?\n{one}\n{two}",
        ("Yes, it is a paraphrase.", "No, it is not a paraphrase."),
    ),
    (
        "One sentence: {one}\nAnother: {two}\nCould one replace the other without a change of meaning?",
        ("Yes, the meaning stays.", "No, the meaning changes."),
    ),
    (
        'A colleague rewrote "{one}" as "{two}" Is the sense kept? Answer yes or no.',
        ("Yes.", "No."),
    ),
    (
        "Original: {one}\nRewording: {two}\nIs the rewording faithful?",
        ("It is faithful.", "It is not faithful."),
    ),
    (
        "Tell whether the following say the same thing in other words.\n- {one}\n- {two}",
        ("They say the same thing.", "They do not say the same thing."),
    ),
    (
        "Equivalent or not equivalent?\n(1) {one}\n(2) {two}",
        ("Equivalent.", "Not equivalent."),
    ),
)
COMPLETION = (
    "How does the passage end?",
    "The passage breaks off. Complete it.",
    "Write the sentence that comes next.",
    "Continue the text to its end.",
    "What is the last sentence of this passage?",
    "Carry on from where the text stops.",
    "The final sentence is missing. Supply it.",
    "Finish the passage.",
    "Add the closing sentence in the manner of the text.",
)
DEFINITION = (
    "What does {term} mean in this text?",
    "How does the passage define {term}?",
    "Give the definition of {term}.",
    "Define {term} as the passage does.",
    "In the sense of this text, what is meant by {term}?",
    "Explain the term {term} from the passage.",
    "The text gives {term} a meaning of its own. Which?",
    "State what {term} stands for here.",
)
TERM = (
    "Which term does the passage define in this way?\n{meaning}",
    "For which expression does the text give this meaning?\n{meaning}",
    "What does the passage call the following?\n{meaning}",
    "Name the defined term: {meaning}",
    "The text has a term for this. Which one?\n{meaning}",
    "Find the term that stands for: {meaning}",
    '"{meaning}" Of which term is this the definition?',
    "Which word or phrase in the passage carries this definition?\n{meaning}",
)
