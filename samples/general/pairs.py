"""Safety rows and preference pairs on everyday subjects."""

import random
from collections.abc import Iterable

from samples.banks import read_sections, split_pair
from samples.general.formats import format_pairs
from samples.general.tasks import SKILL_TURNS, skills
from samples.rows import Row

SKILL_PAIR_TURNS = range(SKILL_TURNS, SKILL_TURNS + 5)
"""Turns of the skills that the instruct rows do not use."""
TASK_OF_SECTION = {"train": "refusal", "lookalike": "lookalike", "ambiguous": "ambiguous"}
SLICE_OF_SECTION = {"refuse": "harmful", "comply": "lookalike"}


def safety_rows(seed: int) -> list[Row]:
    """Refusals of harmful requests, answers to harmless look-alikes, questions back to ambiguous requests."""
    rows: list[Row] = []
    for section, entries in read_sections("general/refusals").items():
        for entry in entries:
            prompt, response = split_pair(entry)
            task = TASK_OF_SECTION[section]
            rows.append({"instruction": prompt, "context": "", "response": response, "task": task, "slice": task})
    random.Random(f"safety-{seed}").shuffle(rows)
    return rows


def style_pairs(seed: int) -> list[Row]:
    """Training pairs: the answer keeps to the request and is clear, or it does not and is not."""
    written = _pairs(read_sections("general/style_pairs")["train"], "style", "clarity")
    return _mixed([*written, *format_pairs(seed), *_skill_pairs(seed)], f"style-{seed}")


def safety_pairs(seed: int) -> list[Row]:
    """Training pairs: the right side refuses harm and helps with look-alikes."""
    sections = read_sections("general/safety_pairs").items()
    rows = [row for name, entries in sections for row in _pairs(entries, "safety", SLICE_OF_SECTION[name])]
    return _mixed(rows, f"safety-pairs-{seed}")


def held_out_pairs(law: Iterable[Row]) -> list[Row]:
    """The preference evaluation: law, style and safety in equal parts."""
    style = _pairs(read_sections("general/style_pairs")["preference"], "style", "style")
    safety_sections = read_sections("general/safety_preference").values()
    safety = [row for entries in safety_sections for row in _pairs(entries, "safety", "safety")]
    return [
        {**{key: row[key] for key in ("prompt", "chosen", "rejected")}, "slice": name}
        for name, rows in (("law", law), ("style", style), ("safety", safety))
        for row in rows
    ]


def breadth_rows() -> list[Row]:
    """A good and a bad answer for every type of task."""
    return [
        {key: row[key] for key in ("prompt", "chosen", "rejected", "task")}
        for task, entries in read_sections("general/breadth").items()
        for row in _pairs(entries, task, task)
    ]


def _skill_pairs(seed: int) -> list[Row]:
    """Training pairs: the right short answer against a wrong one of the same kind."""
    asked = skills(SKILL_PAIR_TURNS, random.Random(f"skill-pairs-{seed}"))
    return [
        {
            "prompt": skill.prompt,
            "chosen": skill.answer,
            "rejected": skill.rival,
            "task": "style",
            "slice": "correctness",
        }
        for skill in asked
    ]


def _pairs(entries: Iterable[str], task: str, slice_: str) -> list[Row]:
    rows: list[Row] = []
    for entry in entries:
        prompt, chosen, rejected = entry.split(" => ")
        rows.append({"prompt": prompt, "chosen": chosen, "rejected": rejected, "task": task, "slice": slice_})
    return rows


def _mixed(rows: list[Row], salt: str) -> list[Row]:
    random.Random(salt).shuffle(rows)
    return rows
