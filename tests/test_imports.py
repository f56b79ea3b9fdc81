"""Planning stays free of what takes seconds to import."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from framework.paths import PROJECT

HEAVY = ["torch", "transformers", "peft", "deepspeed", "bitsandbytes", "wandb", "datasets", "pyarrow", "matplotlib"]
PLAN = """
import sys
from framework.compose import compose
from framework.plan import make_plan
made = make_plan(compose(sys.argv[1:]), lambda message, done, total: None)
assert made.stages and not made.errors, made.findings
print(sorted({heavy} & set(sys.modules)))
"""


def test_planning_imports_nothing_heavy(write_rows: Any, tmp_path: Path) -> None:
    talk = [{"instruction": f"Ask {n}", "response": "Answer."} for n in range(9)]
    text = [{"text": f"Section {n}."} for n in range(9)]
    pairs = [{"prompt": f"Ask {n}", "chosen": "Yes.", "rejected": "No."} for n in range(9)]
    arguments = ["model=tiny", "data=files", "eval=legal", "adapter=qlora", "tracker=wandb"]
    for stage, rows in (("instruct", talk), ("domain", text), ("align", pairs)):
        arguments.append(f"data.{stage}.sources.own.path={write_rows(tmp_path / f'{stage}.jsonl', rows)}")
        arguments += [f"stage.{stage}.max_length=64", f"stage.{stage}.batch.tokens=256"]
    code = PLAN.format(heavy=set(HEAVY))
    for light in ([], ["numpy", "tokenizers", "jinja2"]):  # the second plan finds the data cached
        code = PLAN.format(heavy={*HEAVY, *light})
        command = [sys.executable, "-c", code, *arguments]
        ran = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=120)
        assert ran.returncode == 0, ran.stderr
        assert ran.stdout.splitlines()[-1] == "[]"


def test_help_and_mistakes_need_no_more() -> None:
    code = "import sys; from framework.cli import main; code = main(sys.argv[1:]); "
    code += f"print(code, {set(HEAVY)!r} & set(sys.modules))"
    for argument, expected in (("--help", 0), ("sead=1", 2)):
        ran = subprocess.run([sys.executable, "-c", code, argument], cwd=PROJECT, capture_output=True, text=True)
        assert ran.stdout.splitlines()[-1] == f"{expected} set()", ran
