"""TRL's loss by step over given batches, from a given adapter. Run by the interpreter of a venv that has TRL.

    python benchmarks/trl_curve.py MODEL_DIR ADAPTER_DIR ROWS.jsonl.gz BATCHES.json LEARNING_RATE

``BATCHES.json`` lists the rows of each step by their place in the file. The last line printed is the list of losses.
"""

from __future__ import annotations

import gzip
import json
import sys
import tempfile

import torch
from datasets import Dataset
from peft import PeftModel
from torch.utils.data import DataLoader
from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: TID251 - the peer loads its own model
from trl import SFTConfig, SFTTrainer


def messages(row: dict[str, str]) -> dict[str, list[dict[str, str]]]:
    """A row of Dolly as the prompt and the completion that TRL takes."""
    prompt = "\n\n".join(text for text in (row["instruction"], row["context"]) if text)
    return {
        "prompt": [{"role": "user", "content": prompt}],
        "completion": [{"role": "assistant", "content": row["response"]}],
    }


def without_newline(row: dict[str, list[int]], newline: list[int]) -> dict[str, list[int]]:
    """A tokenised row whose targets end with the stop token: the newline that the template puts after it is none.

    TRL counts it among the targets, and its mean loss is the lower for it.
    """
    labels = row["labels"]
    return {"labels": [*labels[:-1], -100] if row["input_ids"][-1:] == newline else labels}


class InOrder(SFTTrainer):
    """The trainer, with the batches as they are given."""

    batches: list[list[int]]

    def get_train_dataloader(self) -> DataLoader:
        """The rows of each step."""
        loader = DataLoader(self.train_dataset, batch_sampler=self.batches, collate_fn=self.data_collator)
        return self.accelerator.prepare(loader)


def main() -> None:
    """Train and print."""
    directory, adapter, rows, batches, rate = sys.argv[1:]
    with gzip.open(rows, "rt", encoding="utf-8") as stream:
        dataset = Dataset.from_list([messages(json.loads(line)) for line in stream])
    with open(batches, encoding="utf-8") as stream:
        steps = json.load(stream)
    base = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32)
    model = PeftModel.from_pretrained(base, adapter, is_trainable=True)
    settings = SFTConfig(
        output_dir=tempfile.mkdtemp(),
        num_train_epochs=1,
        per_device_train_batch_size=1,
        learning_rate=float(rate),
        lr_scheduler_type="constant",
        max_grad_norm=1.0,
        logging_steps=1,
        save_strategy="no",
        report_to=[],
        use_cpu=True,
        bf16=False,
        max_length=None,
        completion_only_loss=True,
        gradient_checkpointing=False,
    )
    tokenizer = AutoTokenizer.from_pretrained(directory)
    trainer = InOrder(model=model, args=settings, train_dataset=dataset, processing_class=tokenizer)
    trainer.batches = steps
    newline = tokenizer.encode("\n")
    trainer.train_dataset = trainer.train_dataset.map(lambda row: without_newline(row, newline))
    trainer.train()
    print(json.dumps([entry["loss"] for entry in trainer.state.log_history if "loss" in entry]))


if __name__ == "__main__":
    main()
