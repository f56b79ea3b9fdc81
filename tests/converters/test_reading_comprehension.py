"""Reading comprehension: what each kind of task is mined from, that answers are right, and that no text breaks it."""

from __future__ import annotations

import random
import re
import string
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framework.converters import _wordings
from framework.converters._common_words import is_common
from framework.converters._language import heading, inline_heading, is_prose, paragraphs, sentences, size
from framework.converters._passages import SIZE_A_WORD, passages
from framework.converters._statements import altered, contrary, reworded
from framework.converters.base import Left, Made
from framework.converters.reading_comprehension import KINDS, ReadingComprehension

LEASE = """# Mooring of Barges

This part governs the mooring of barges in the harbour of Quell. “Berth” means any place at the quay at which a barge \
may lie. The keeper of a berth shall inspect the bollards every morning. If a barge lies aground, the keeper must warn \
the pilot of the next vessel. The quay was widened last spring because the old bollards had rusted through.

Fees are owed for each tide. Therefore, a barge that stays for two tides owes the fee twice. The keeper may waive the \
fee prior to the second tide. However, a waiver is recorded in the ledger of the quay. In other words, nothing is \
forgiven in silence. The master pays within 30 days of the invoice in order to keep the berth.
"""
FAR = """# Lanterns

The lantern of the lighthouse burns whale oil through the winter. Wardens polish its mirrors each evening, and they \
replace the wick before dusk. Every ledger of the tower lists gallons burned, wicks trimmed and mirrors polished.
"""
ANSWERS = {reply for _, replies in (*_wordings.ENTAILMENT, *_wordings.PARAPHRASE) for reply in replies}
REASONING = (*_wordings.CAUSE, *_wordings.EFFECT, *_wordings.CONTRAST, *_wordings.CONDITION, *_wordings.PURPOSE)


def made(text: str, id: str = "r", **given: Any) -> list[Made]:
    return [found for found in outcomes(text, id, **given) if isinstance(found, Made)]


def outcomes(text: str, id: str = "r", **given: Any) -> list[Made | Left]:
    return list(ReadingComprehension(**given).begin(lambda: [text] * 3)(text, id))


def exchanges(text: str, kind: str, seeds: int = 40) -> list[tuple[str, str]]:
    """All that one kind asks about a text, over many seeds."""
    found = [row for seed in range(seeds) for row in made(text, kinds=[kind], seed=seed)]
    assert found
    return [(pair.ask, pair.reply) for row in found for pair in row.exchanges]


def flat(text: str) -> str:
    return " ".join(text.split())


def test_definitions_give_term_and_meaning() -> None:
    pairs = exchanges(LEASE, "definition")
    assert {reply for _, reply in pairs} == {
        "Berth",
        "“Berth” means any place at the quay at which a barge may lie.",
    }
    assert all("Any place at the quay" in ask for ask, reply in pairs if reply == "Berth")


@pytest.mark.parametrize(
    ("sentence", "term"),
    [
        ("“Net Proceeds” shall mean the cash received after costs have been paid.", "Net Proceeds"),
        ("Account means an extension of credit to a person who has applied for it.", "Account"),
        ('The term "Closing" means the hour at which the deeds are handed over.', "Closing"),
        ("Harbour Works Limited (the “Lessee”) takes the berth for one year.", "Lessee"),
    ],
)
def test_forms_of_definition(sentence: str, term: str) -> None:
    assert term in {reply for _, reply in exchanges(sentence, "definition")}


def test_names_are_defined_and_phrases_are_not() -> None:
    opening = "AGREEMENT by and between Quell Harbour, Inc., a coastal corporation (the “Company”), and the master."
    assert "Quell Harbour, Inc., a coastal corporation." in {reply for _, reply in exchanges(opening, "definition")}
    phrase = "The term of this lease shall be a year from the date hereof (the “First Day”), no less."
    assert not made(phrase, kinds=["definition"])


def test_nothing_is_defined_by_a_pronoun() -> None:
    assert not made(
        "This means that the barge has left the quay for good. It means nothing more.", kinds=["definition"]
    )


def test_a_title_is_asked_for_and_not_shown() -> None:
    titled = [(ask, reply) for ask, reply in exchanges(LEASE, "summary") if reply == "Mooring of Barges"]
    assert titled
    assert not any("Mooring of Barges" in ask for ask, _ in titled)
    assert all("bollards" in ask for ask, _ in titled)


def test_the_topic_sentence_sums_up() -> None:
    replies = {reply for _, reply in exchanges(LEASE, "summary")}
    assert replies == {"Mooring of Barges", "This part governs the mooring of barges in the harbour of Quell."}


def test_a_completion_hides_what_it_asks_for() -> None:
    last = "The master pays within 30 days of the invoice in order to keep the berth."
    for ask, reply in exchanges(LEASE, "completion"):
        assert reply == last and last not in ask and "nothing is forgiven in silence." in ask


def test_words_are_the_corpus_s_own_and_the_sentence_holds_them() -> None:
    for ask, reply in exchanges(LEASE, "word_to_text"):
        assert reply in flat(LEASE)
        question = ask.rsplit("silence", 1)[-1]
        named = [word for word in re.findall(r"[a-z]{5,}", reply) if not is_common(word) and word in question]
        assert len(named) >= 3


@pytest.mark.parametrize(
    ("wordings", "reply"),
    [
        ("CAUSE", "Because the old bollards had rusted through."),
        ("EFFECT", "A barge that stays for two tides owes the fee twice."),
        ("CONTRAST", "A waiver is recorded in the ledger of the quay."),
        ("CONDITION", "The keeper must warn the pilot of the next vessel."),
        ("PURPOSE", "In order to keep the berth."),
    ],
)
def test_reasoning_follows_the_connectives(wordings: str, reply: str) -> None:
    own = [template.split("{claim}")[0].strip(' "\n') for template in getattr(_wordings, wordings)]
    asked = [ask for ask, given in exchanges(LEASE, "reasoning", 120) if given == reply]
    assert asked
    assert all(any(part in ask for part in own) for ask in asked)


def test_entailment_has_three_answers_that_are_right() -> None:
    text = f"{LEASE}\n{FAR}"
    by_place: dict[int, set[str]] = {0: set(), 1: set(), 2: set()}
    for seed in range(200):
        # Short passages, so that there is an elsewhere.
        for row in made(text, kinds=["entailment"], seed=seed, passage_words=80):
            (pair,) = row.exchanges
            for template, replies in _wordings.ENTAILMENT:
                before, after = (re.escape(part) for part in template.split("{claim}"))
                match = re.search(f"{before}([^\n]+?){after}$", pair.ask)
                if match and pair.reply in replies:
                    by_place[replies.index(pair.reply)].add(match[1])
    assert "A barge that stays for two tides owes the fee twice." in by_place[0]
    assert "The quay was not widened last spring because the old bollards had rusted through." not in by_place[0]
    assert any(" not " in claim for claim in by_place[1]) and all(claim not in flat(text) for claim in by_place[1])
    assert by_place[2] and all(claim in flat(text) for claim in by_place[2])


def test_paraphrases_are_told_from_changes_of_meaning() -> None:
    pairs = exchanges(LEASE, "paraphrase", 80)
    yes = [ask for ask, reply in pairs if reply in {replies[0] for _, replies in _wordings.PARAPHRASE}]
    no = [ask for ask, reply in pairs if reply in {replies[1] for _, replies in _wordings.PARAPHRASE}]
    assert yes and no
    assert any("before the second tide" in ask for ask in yes)
    assert any("60 days" in ask or "90 days" in ask for ask in no)


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("The keeper shall inspect the quay.", "The keeper shall not inspect the quay."),
        ("The keeper shall not inspect the quay.", "The keeper shall inspect the quay."),
        ("The fee is due at noon.", "The fee is not due at noon."),
        ("The fee that is due at noon bears interest.", ""),
        ("The keeper may inspect the quay.", ""),
        ("No keeper shall leave the quay.", ""),
        ("Nothing is owed unless the tide turns.", ""),
        ("The keeper shall inspect the quay and must sign the ledger.", ""),
        ("Is the fee due at noon?", ""),
        ("The keeper inspects the quay.", ""),
    ],
)
def test_contraries_are_made_only_where_that_is_safe(sentence: str, expected: str) -> None:
    assert contrary(sentence) == expected


def test_rewording_keeps_capitals() -> None:
    assert reworded("Prior to noon, at least two barges lie here.") == "Before noon, not less than two barges lie here."
    assert reworded("Two barges lie here.") == ""


def test_numbers_are_altered_outside_of_brackets() -> None:
    rng = random.Random(0)
    assert altered("It ends after 10 days.", rng) in ("It ends after 20 days.", "It ends after 30 days.")
    assert altered("It ends after ten (10 days) or so.", rng) == ""


def test_sentences_end_where_english_ends_them() -> None:
    text = "Mr. Hale of Hale Inc. pays under Sec. 5 of the Act. The rent is due. “Who pays?” The tenant does."
    assert sentences(text) == [
        "Mr. Hale of Hale Inc. pays under Sec. 5 of the Act.",
        "The rent is due.",
        "“Who pays?”",
        "The tenant does.",
    ]
    assert not is_prose("12,450 13,991 of 4,420.") and not is_prose("Signed and sealed")


def test_wrapped_lines_are_joined_and_tables_are_not() -> None:
    wrapped = "The keeper of the berth shall\ninspect the quay.\n\nRent 12 13\nFees 99 87"
    assert list(paragraphs(wrapped)) == ["The keeper of the berth shall inspect the quay.", "Rent 12 13\nFees 99 87"]
    assert list(paragraphs("One line.\nAnother line.")) == ["One line.", "Another line."]


@pytest.mark.parametrize(
    ("line", "title"),
    [
        ("# Mooring of Barges", "Mooring of Barges"),
        ("§ 1002.2 Definitions.", "Definitions"),
        ("4. Governing Law", "Governing Law"),
        ("The fee is due at noon.", ""),
        ("12,400 99", ""),
        ("and so on", ""),
    ],
)
def test_headings(line: str, title: str) -> None:
    assert heading(line) == title


def test_headings_within_the_line() -> None:
    assert inline_heading("5.2 Insurance. The Tenant insures the barge.") == ("Insurance", "5.2 Insurance. ")
    assert inline_heading("The Tenant insures the barge.") == ("", "")


def test_kinds_have_eight_wordings() -> None:
    tables = [_wordings.TITLE, _wordings.TOPIC, _wordings.WORDS, _wordings.ENTAILMENT, _wordings.PARAPHRASE]
    tables += [_wordings.COMPLETION, _wordings.DEFINITION, _wordings.TERM, _wordings.LEADS]
    tables += [_wordings.CAUSE, _wordings.EFFECT, _wordings.CONTRAST, _wordings.CONDITION, _wordings.PURPOSE]
    for table in tables:
        assert len(set(table)) == len(table) >= 8


def test_braces_of_the_text_are_text() -> None:
    text = "“Brace” means the marks {claim} and {0} that a printer sets around his words."
    assert any("{Claim}" in part or "{claim}" in part for pair in exchanges(text, "definition") for part in pair)


def test_one_sentence_is_asked_about_once() -> None:
    text = "The keeper of the berth shall inspect the bollards prior to the tide of the morning."
    for seed in range(20):
        for row in made(text, seed=seed):
            assert len(row.tasks) == 1


def test_a_row_s_tasks_depend_on_seed_and_id_alone() -> None:
    first = made(LEASE, "a")
    convert = ReadingComprehension().begin(lambda: [LEASE] * 3)
    list(convert(FAR, "b"))  # another row before it changes nothing
    assert list(convert(LEASE, "a")) == first
    assert made(LEASE, "a", seed=1) != first or made(LEASE, "c") != first


def test_settings_decide_what_becomes_of_a_passage() -> None:
    assert [len(row.tasks) for row in made(LEASE, tasks=1)] == [1]
    assert all(not row.tasks and row.text for row in made(LEASE, plain=1.0))
    table = "12 13 14\n15 16 17"
    assert outcomes(table) == [Left("no sentence of prose in the passage")]
    assert outcomes("The barge lies at the old quay there.", kinds=["definition"]) == [
        Left("no task found in the passage")
    ]
    assert outcomes(table, without="text") == [Made(text="12 13 14\n\n15 16 17")]
    (row,) = made(LEASE, form="text")
    assert row.tasks and not row.exchanges and "bollards" in row.text


TEXTS = st.one_of(
    st.text(max_size=400),
    st.lists(
        st.sampled_from([*sentences(flat(LEASE)), *FAR.splitlines(), "\n\n", "7 8 9\n", "é" * 90]), max_size=14
    ).map(" ".join),
    st.text(alphabet=string.printable, max_size=2000),
)


@settings(max_examples=150, deadline=None)
@given(TEXTS, st.integers(0, 3), st.sampled_from([20, 60, 160]), st.sampled_from(["drop", "text"]))
def test_any_text_gives_whole_exchanges_of_bounded_size(text: str, seed: int, words: int, without: Any) -> None:
    found = outcomes(text, seed=seed, passage_words=words, without=without)
    assert found == outcomes(text, seed=seed, passage_words=words, without=without)
    source = flat(text)
    for row in found:
        if isinstance(row, Left):
            assert row.reason and without == "drop"
            continue
        assert bool(row.exchanges) == bool(row.tasks) and len(row.exchanges) == len(row.tasks) <= 3
        assert row.text or row.exchanges
        assert len(set(row.tasks)) == len(row.tasks) and set(row.tasks) <= set(KINDS)
        total = sum(size(pair.ask) + size(pair.reply) for pair in row.exchanges)
        assert total <= words * 2.5 + 40  # the lead of the first question
        for pair in row.exchanges:
            assert pair.ask.strip() and pair.reply.strip()
            # A reply stands in the text, but for its capital, its full stop and fixed answers.
            core = pair.reply[1:].rstrip(".")
            assert pair.reply in ANSWERS or core in source


@settings(max_examples=150, deadline=None)
@given(TEXTS, st.integers(20, 80))
def test_passages_keep_every_word_within_bounds(text: str, words: int) -> None:
    cut = list(passages(text, words))
    assert "".join("".join(part.text.split()) for part in cut) == "".join(text.split())
    for part in cut:
        assert len(part.text.split()) <= words and size(part.text) <= words * SIZE_A_WORD
