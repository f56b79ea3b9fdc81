"""Writes the sample data: `python -m samples.generate [--check | --list] [--seed N] [--to FOLDER]`."""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from samples.banks import read_sections
from samples.general import evals, formats, pairs, tasks
from samples.law import documents, questions, scenarios
from samples.law.documents import AREAS
from samples.law.pairs import law_pairs
from samples.rows import Row, as_jsonl, number, texts_of, write
from samples.world.build import build_world
from samples.world.model import Kind, World

SEED = 0
FOLDER = Path(__file__).parent / "legal"
NAMED_KINDS = (Kind.TERM, Kind.OFFICE, Kind.COURT, Kind.ROLL)
"""Kinds whose values are words of the domain itself."""


def all_files(seed: int) -> dict[str, str]:
    """The text of every file by its path below the output folder."""
    world = build_world(seed)
    rows = {**_training(world, seed), **_evaluation(world, seed)}
    files = {f"{name}.jsonl": as_jsonl(number(name, own)) for name, own in rows.items()}
    return {**files, "taxonomy.json": _taxonomy(world)}


def differing(files: dict[str, str], root: Path) -> list[str]:
    """Paths whose content below `root` is another, is missing, or should not be there."""
    found = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    changed = {
        path for path, text in files.items() if path in found and (root / path).read_bytes() != text.encode("utf-8")
    }
    return sorted(changed | (found ^ set(files)))


def main(arguments: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(description="Writes the bundled sample data.")
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--check", action="store_true", help="write nothing; exit 1 when the files differ")
    action.add_argument("--list", action="store_true", help="write nothing; print the rows and words of every file")
    parser.add_argument("--seed", type=int, default=SEED, help="seed of the world (default: %(default)s)")
    parser.add_argument("--to", type=Path, default=FOLDER, help="output folder (default: %(default)s)")
    options = parser.parse_args(arguments)
    files = all_files(options.seed)
    if options.list:
        print("\n".join(_listing(files, build_world(options.seed))))
        return 0
    if not options.check:
        write(files, options.to)
        print(f"Wrote {len(files)} files below {options.to}.")
        return 0
    changes = differing(files, options.to)
    for path in changes:
        print(f"Differs: {path}. Run `python -m samples.generate`.")
    return 1 if changes else 0


def _listing(files: dict[str, str], world: World) -> Iterator[str]:
    """The size of the world, then a line for each file of rows."""
    topics = len(world.topics)
    yield f"{len(world.acts)} acts over {len(AREAS)} areas and {topics} topics, {len(world.facts)} facts"
    for name, text in sorted(files.items()):
        rows = [json.loads(line) for line in text.splitlines()] if name.endswith(".jsonl") else []
        if rows:
            words = sum(len(part.split()) for row in rows for part in texts_of(row))
            yield f"{name:<30}{len(rows):>6} rows{words:>9,} words"


def _training(world: World, seed: int) -> dict[str, list[Row]]:
    law, _ = law_pairs(world, seed)
    texts = documents.domain_documents(world, seed)
    passages = read_sections("general/passages")["train"]
    return {
        **{f"domain/{area}": rows for area, rows in texts.items()},
        "domain/qa": questions.qa_rows(world, seed),
        "domain/general": [{"text": text} for text in passages],
        "instruct/tasks": tasks.task_rows(seed),
        "instruct/skills": tasks.skill_rows(seed),
        "instruct/format": formats.format_rows(seed),
        "instruct/safety": pairs.safety_rows(seed),
        "align/law": law,
        "align/style": pairs.style_pairs(seed),
        "align/safety": pairs.safety_pairs(seed),
    }


def _evaluation(world: World, seed: int) -> dict[str, list[Row]]:
    _, law = law_pairs(world, seed)
    passages = read_sections("general/passages")["eval"]
    return {
        "eval/law_choice": questions.choice_rows(world, seed),
        "eval/law_reasoning": scenarios.reasoning_rows(world, seed),
        "eval/law_exact": questions.exact_rows(world, seed),
        "eval/law_text": questions.text_rows(world, seed),
        "eval/deployment": questions.deployment_rows(world, seed),
        "eval/format": formats.format_eval_rows(seed),
        "eval/refusal": evals.refusal_rows(),
        "eval/paraphrase": evals.paraphrase_rows(seed),
        "eval/breadth": pairs.breadth_rows(),
        "eval/preference": pairs.held_out_pairs(law),
        "eval/general_text": [{"text": text} for text in passages],
    }


def _taxonomy(world: World) -> str:
    topics = [
        {"topic": topic.name, "area": topic.area, "head": topic.head, "share": topic.share} for topic in world.topics
    ]
    said = {fact.value for fact in world.facts}
    terms = [value.removeprefix("the ") for kind in NAMED_KINDS for value in world.pools[kind] if value in said]
    return json.dumps({"topics": topics, "terms": terms}, ensure_ascii=False, indent=2) + "\n"


if __name__ == "__main__":
    sys.exit(main())
