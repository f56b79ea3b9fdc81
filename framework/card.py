"""The model card of an exported model: where it comes from and what was measured."""

from __future__ import annotations

from typing import Any

from framework.schema import Config


def model_card(config: Config, summary: dict[str, Any]) -> str:
    """Markdown for people; the figures are the run's own."""
    base = config.model.path or config.model.name
    lines = [
        f"# {config.name}",
        "",
        f"Made from {base} in these stages: {', '.join(stage['kind'] for stage in summary['stages'])}.",
        "",
        f"- plan key: `{summary['plan_key']}`, seed {summary['seed']}",
        f"- adapter: {config.adapter.kind}, merged into the weights",
        f"- tokens trained on: {summary['totals']['tokens']:,}",
        "",
    ]
    retention = summary["retention"]
    if retention:
        columns = retention["columns"]
        lines += ["## Measured", "", f"| suite | metric | {' | '.join(columns)} |", "|" + "---|" * (len(columns) + 2)]
        for row in retention["rows"]:
            cells = ["" if cell is None else f"{cell['value']:.3f}" for cell in row["cells"]]
            lines.append(f"| {row['suite']} | {row['metric']} | {' | '.join(cells)} |")
        lines.append("")
    lines += ["## Data", ""]
    for label, sources in summary["mix"].items():
        shares = ", ".join(f"{name} {mix['realised']:.0%}" for name, mix in sources.items())
        lines.append(f"- {label}: {shares}")
    return "\n".join(lines) + "\n"
