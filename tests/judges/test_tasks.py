from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framework.judges.tasks import _PATTERNS, infer_task

TYPED = {
    "Write a Python function that sorts words.": "code",
    "Translate this into French: the door is open.": "translate",
    "Summarise the following minutes.": "summarise",
    "Proofread my note.": "grammar",
    "Rephrase: we will come late.": "rewrite",
    "Extract every date from the text below.": "extract",
    "Is the review positive or negative? Good boots.": "classify",
    "Is it raining? Yes or no.": "classify",
    "Generate a question about the passage.": "write",
    "Put these into a sentence: kettle, roof.": "write",
    "List three rivers.": "list",
    "What is 3 x 4?": "arithmetic",
    "Why do boats float?": "explain",
    "Who painted the harbour?": "open_qa",
    "Mm.": "other",
}


@pytest.mark.parametrize(("prompt", "task"), TYPED.items())
def test_types(prompt: str, task: str) -> None:
    assert infer_task(prompt) == task


def test_a_long_prompt_that_ends_with_a_question_is_about_its_text() -> None:
    text = "The program compared two plans for a better table and explained why. " * 8
    assert infer_task(f"{text}\n\nWho wrote them?") == "closed_qa"


def test_anchors_are_part_of_every_match() -> None:
    for name, anchors, pattern in _PATTERNS:
        for prompt in TYPED:
            if match := pattern.search(prompt.lower()):
                assert any(anchor in match.group() for anchor in anchors), (name, prompt)


@given(st.text())
def test_any_text_has_a_type(text: str) -> None:
    assert infer_task(text)
