"""The text of ``--help``, made from what is there."""

from __future__ import annotations

from framework.compose import CONF, groups

_VERBS = {
    "run": "plan, check, then train stage by stage (default); resumes a run in the same run_dir",
    "plan": "print the plan and write plan.json; exit 1 when it has error findings",
    "audit": "look at the data alone: audit.html and audit.json; exit 1 as do=plan",
    "evaluate": "measure a finished run again: run=RUN_DIR",
    "export": "write the result of a run as one model: run=RUN_DIR to=DIR",
    "chat": "talk to the result of a run: run=RUN_DIR",
}

_EXAMPLES = [
    "python train.py",
    "python train.py do=plan",
    "python train.py do=audit",
    "python train.py stage=domain adapter=qlora",
    "python train.py stage.domain.lr=1e-4 stage.domain.epochs=2 adapter.r=32 seed=1",
    "python train.py stage=instruct data=files data.instruct.sources.mine.path=rows.jsonl eval=none",
    "python train.py model=path model.path=DIR_OR_HUB_ID run_dir=out/x",
]


def _purpose(group: str, choice: str) -> str:
    lines = (CONF / group / f"{choice}.yaml").read_text(encoding="utf-8").splitlines()
    comments = [line.removeprefix("#").strip() for line in lines if line.startswith("#")]
    return next((comment for comment in comments if not comment.startswith("@package")), "")


def help_text() -> str:
    """Verbs, groups with their choices, and examples."""
    lines = ["python train.py [do=VERB] [group=choice ...] [key=value ...]", "", "verbs (do=)"]
    lines += [f"  {name:<10}{text}" for name, text in _VERBS.items()]
    for group, choices in groups().items():
        if group == "training":
            continue  # composed by the stage orders
        lines += ["", f"{group}="]
        lines += [f"  {choice:<18}{_purpose(group, choice)}" for choice in choices]
    lines += ["", "keys", "  every key of the files under conf/, by its dotted path; unknown keys are errors"]
    lines += ["", "examples", *(f"  {example}" for example in _EXAMPLES)]
    return "\n".join(lines)
