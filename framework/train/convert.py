"""Helper process that writes model directories: ``python -m framework.train.convert DIR {gguf FILE | tiny}``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def from_gguf(file: Path, to: Path) -> None:
    """De-quantise a GGUF file into bf16 safetensors with tokenizer and chat template."""
    # Reading in fp32 de-quantises; the loaded model refuses to be saved while its config says that it is quantised.
    loaded = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32)
    settings = loaded.config.to_dict()
    settings.pop("quantization_config", None)
    settings.pop("_name_or_path", None)
    model = AutoModelForCausalLM.from_config(type(loaded.config)(**settings), dtype=torch.bfloat16)
    model.load_state_dict(loaded.state_dict())
    model.save_pretrained(to)
    AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name).save_pretrained(to)


def tiny(to: Path) -> None:
    """A random two-layer model over bytes, with a ChatML template. Always the same weights."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    tokenizer = Tokenizer(models.BPE(vocab={token: id for id, token in enumerate([*specials, *alphabet])}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)  # type: ignore[assignment]
    tokenizer.decoder = decoders.ByteLevel()  # type: ignore[assignment]
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token=specials[0],
        bos_token=specials[1],
        eos_token=specials[2],
        pad_token=specials[2],
        chat_template=CHATML,
    )
    ids: list[Any] = [fast.convert_tokens_to_ids(token) for token in specials]
    config = LlamaConfig(
        vocab_size=len(fast),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=4096,
        tie_word_embeddings=True,
        bos_token_id=ids[1],
        eos_token_id=ids[2],
        pad_token_id=ids[2],
    )
    torch.manual_seed(0)
    LlamaForCausalLM(config).bfloat16().save_pretrained(to)
    fast.save_pretrained(to)


if __name__ == "__main__":
    folder, kind, *rest = sys.argv[1:]
    if kind == "gguf":
        from_gguf(Path(rest[0]), Path(folder))
    else:
        tiny(Path(folder))
