"""How annotators voted on a preference pair."""

from __future__ import annotations

from typing import Any, cast

_SIDES = ("chosen", "rejected")


def agreement(votes: Any) -> float | None:
    """Share of the annotators for the chosen side, 0 to 1; ``None`` when the row does not say.

    ``votes`` is that share itself, counts by side (``{"chosen": 4, "rejected": 1}``), or a list of votes
    (``["chosen", "chosen", "rejected"]``). Raises ``ValueError`` with a countable reason for anything else.
    """
    if votes is None or votes == []:
        return None
    if isinstance(votes, dict):
        counts = [cast("dict[str, Any]", votes).get(side, 0) for side in _SIDES]
        if votes.keys() <= set(_SIDES) and all(type(count) is int and count >= 0 for count in counts) and any(counts):
            return counts[0] / sum(counts)
    elif isinstance(votes, list):
        said = cast("list[Any]", votes)
        if all(vote in _SIDES for vote in said):
            return said.count("chosen") / len(said)
    elif isinstance(votes, (int, float)) and not isinstance(votes, bool) and 0 <= votes <= 1:
        return float(votes)
    raise ValueError("annotators is neither a share from 0 to 1 nor votes for chosen or rejected")
