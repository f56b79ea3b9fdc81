"""Helper process that writes a lineage as one model: ``python -m framework.train.export ORDER_FILE``."""

from __future__ import annotations

import sys
from pathlib import Path

from transformers.utils.logging import disable_progress_bar

from framework.files import new_folder
from framework.models import copy_tokenizer
from framework.stagefile import ExportFile
from framework.train.lm import materialise


def main() -> None:
    """Merge, write beside, rename."""
    disable_progress_bar()
    order = ExportFile.model_validate_json(Path(sys.argv[1]).read_bytes())
    model = materialise(Path(order.model_dir), order.lineage, order.dtype)
    to = Path(order.to)
    if to.exists():
        to.rmdir()  # empty: the driver has asked
    with new_folder(to) as folder:
        # The attention of training is this project's own: other libraries choose theirs.
        model.set_attn_implementation("sdpa")
        model.save_pretrained(folder, safe_serialization=True)
        copy_tokenizer(Path(order.model_dir), folder)


if __name__ == "__main__":
    main()
