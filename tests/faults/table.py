"""The table of the faults that were tried."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

MARKS = ("<!-- faults -->", "<!-- /faults -->")


def write_table(terminalreporter: Any) -> None:
    """The table, and into the document that TRIPTYCH_FAULT_TABLE names, between its marks."""
    if hasattr(terminalreporter.config, "workerinput"):  # one of several; the process that started them has all reports
        return
    counted: dict[tuple[str, str], list[int]] = {}
    for outcome in ("passed", "failed"):
        for report in terminalreporter.getreports(outcome):
            for name, value in report.user_properties if report.when == "call" else ():
                if name == "fault":
                    sums = counted.setdefault((value[0], value[1]), [0, 0])
                    sums[0] += value[2]
                    sums[1] += value[3]
    if not counted:
        return
    lines = ["| fault | how it is made to happen | tried | kept |", "|---|---|---|---|"]
    lines += [f"| {fault} | {how} | {tried} | {kept} |" for (fault, how), (tried, kept) in sorted(counted.items())]
    tried, kept = (sum(sums[place] for sums in counted.values()) for place in (0, 1))
    lines.append(f"| all | | {tried} | {kept} |")
    terminalreporter.write_line("\n".join(lines))
    if document := os.environ.get("TRIPTYCH_FAULT_TABLE"):
        path = Path(document)
        before, _, rest = path.read_text(encoding="utf-8").partition(MARKS[0])
        _, _, after = rest.partition(MARKS[1])
        table = "\n".join(lines)
        path.write_text(f"{before}{MARKS[0]}\n\n{table}\n\n{MARKS[1]}{after}", encoding="utf-8")
