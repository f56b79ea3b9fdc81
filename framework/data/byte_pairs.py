"""What a ``tokenizer.json`` tells of byte-pair tokenizers: whether texts come back whole, and where they are cut."""

from __future__ import annotations

from typing import Any

SPACE = "\u0120"
"""What stands for a space in the byte-level alphabet; letters of ASCII stand for themselves."""
_KEEPING = {("Split", behaviour) for behaviour in ("Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous")}
"""Ways to cut a text that leave nothing out."""
_ENDINGS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
_REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_PATTERNS = frozenset(
    (
        r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
        rf"{_ENDINGS}\p{{N}}{_REST}",
        rf"{_ENDINGS}\p{{N}}{{1,3}}{_REST}",
    )
)
"""Cuts of GPT-2, Qwen 2 and Llama 3. No match goes on from something else than white space into a space, nor from a
letter or a digit into anything else; none looks back, and only white space looks ahead. So each cuts at these places,
and what it does behind them does not depend on what is before."""


def parts(setting: dict[str, Any] | None, nested: str) -> list[dict[str, Any]]:
    """A normalizer or pre-tokenizer as the list of its steps."""
    if not setting:
        return []
    return list(setting[nested]) if setting["type"] == "Sequence" else [setting]


def without_token(settings: dict[str, Any]) -> bytes | None:
    """The bytes that no token stands for, when the ids of every text without them decode to it; else ``None``.

    So it is with byte pairs where nothing is normalised, put before or taken out: a text is cut, its bytes become
    symbols, each of which is a token, and merges only join neighbours.
    """
    from tokenizers.pre_tokenizers import ByteLevel

    model = settings["model"]
    *cuts, last = parts(settings.get("pre_tokenizer"), "pretokenizers") or [{"type": "none"}]
    whole = (
        model["type"] == "BPE"
        and not settings.get("normalizer")
        and not any(model.get(key) for key in ("dropout", "continuing_subword_prefix", "end_of_word_suffix"))
        and (last["type"], last.get("add_prefix_space")) == ("ByteLevel", False)
        and all(cut["type"] == "Digits" or (cut["type"], cut.get("behavior")) in _KEEPING for cut in cuts)
        and not any(token["lstrip"] or token["rstrip"] for token in settings["added_tokens"])
    )
    if not whole:
        return None
    missing = sorted(set(ByteLevel.alphabet()) - model["vocab"].keys())
    symbols = _symbols()
    return bytes(symbols[symbol] for symbol in missing)


def _symbols() -> dict[str, int]:
    """The byte that each symbol of the byte-level alphabet stands for (Radford et al. 2019).

    Bytes that are printable in Latin-1 stand for themselves; the others follow one another from 256 on.
    """
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + place): byte for place, byte in enumerate(others)}


def cuts_words(settings: dict[str, Any]) -> bool:
    """Whether a text without added tokens has the ids of its ``pieces``, one after the other.

    What cannot be told is denied.
    """
    model = settings["model"]
    steps = parts(settings.get("pre_tokenizer"), "pretokenizers")
    normalizers = parts(settings.get("normalizer"), "normalizers")
    return (
        model["type"] == "BPE"
        and not model.get("dropout")
        and all(step["type"] == "NFC" for step in normalizers)  # composes nothing with an ASCII character after it
        and not (normalizers and any(token["normalized"] for token in settings["added_tokens"]))
        and all(step["type"] in ("Digits", "ByteLevel") or _is_known(step) for step in steps)
        and any(_is_known(step) or (step["type"] == "ByteLevel" and step.get("use_regex", True)) for step in steps)
        and steps[-1]["type"] == "ByteLevel"
        and not any(step.get("add_prefix_space") for step in steps)
    )


def _is_known(step: dict[str, Any]) -> bool:
    return (
        step["type"] == "Split"
        and step["pattern"].get("Regex") in _PATTERNS
        and step["behavior"] == "Isolated"
        and not step["invert"]
    )
