"""Helper process that talks in the terminal: ``python -m framework.train.chat ORDER_FILE``."""

from __future__ import annotations

import sys
from pathlib import Path
from threading import Thread
from typing import Any

from transformers import AutoTokenizer, TextIteratorStreamer
from transformers.utils.logging import disable_progress_bar, set_verbosity_error

from framework.stagefile import ExportFile
from framework.train.lm import materialise

_MAX_NEW_TOKENS = 512


def main() -> None:
    """Read lines, answer each as it is generated, remember the conversation."""
    disable_progress_bar()
    set_verbosity_error()
    order = ExportFile.model_validate_json(Path(sys.argv[1]).read_bytes())
    model: Any = materialise(Path(order.model_dir), order.lineage, order.dtype)
    model.set_attn_implementation("sdpa")
    model.eval()
    tokenizer = AutoTokenizer.from_pretrained(order.model_dir)
    print("a line is a message; /new forgets the conversation, /quit ends", flush=True)
    turns: list[dict[str, str]] = []
    while True:
        try:
            line = input("you> ").strip()
        except (EOFError, KeyboardInterrupt):
            print()
            return
        if line == "/quit":
            return
        if line == "/new":
            turns = []
        elif line:
            turns.append({"role": "user", "content": line})
            turns.append({"role": "assistant", "content": _reply(model, tokenizer, turns)})


def _reply(model: Any, tokenizer: Any, turns: list[dict[str, str]]) -> str:
    inputs = tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    streamer = TextIteratorStreamer(tokenizer, skip_prompt=True, skip_special_tokens=True)
    settings = {**inputs, "streamer": streamer, "max_new_tokens": _MAX_NEW_TOKENS, "do_sample": False}
    thread = Thread(target=model.generate, kwargs=settings, daemon=True)
    thread.start()
    parts: list[str] = []
    print("model> ", end="", flush=True)
    for part in streamer:
        parts.append(part)
        print(part, end="", flush=True)
    print()
    thread.join()
    return "".join(parts).strip()


if __name__ == "__main__":
    main()
