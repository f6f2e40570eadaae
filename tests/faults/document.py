"""Writes the numbers of docs/reliability.md from a report: `python -m tests.faults.document`.

The report that the page is made from is docs/reliability.json; a run's report is put there by `--report FILE`. Nothing
between the two marks of the page is written by hand.
"""

import json
from pathlib import Path
from typing import Any

import click

DOCS = Path(__file__).parents[2] / "docs"
PAGE, KEPT = DOCS / "reliability.md", DOCS / "reliability.json"
BEGIN, END = "<!-- numbers: begin -->", "<!-- numbers: end -->"
HEAD = "| what was done | where | runs | did not strike | violations | measured | date, commit |"


def numbers(report: dict[str, Any]) -> str:
    """The table of a report, with the machine below it."""
    rows = [HEAD, "|---" * 7 + "|"]
    for entry in sorted(report["entries"], key=lambda one: (one["tier"], one["name"])):
        measured = ", ".join(f"{name} {value:g}" for name, value in entry["numbers"].items())
        seed = f", seed {entry['seed']}" if entry["seed"] is not None else ""
        cells = (
            entry["name"] + seed, entry["tier"], entry["cases"], entry["missed"], len(entry["violations"]), measured,
            f"{entry['date']}, `{entry['commit']}`",
        )  # fmt: skip
        rows.append("| " + " | ".join(str(cell) for cell in cells) + " |")
    return "\n".join(
        [*rows, "", f"Python {report['python']}, {report['machine']}, two cores that others used as well."]
    )


def page(text: str, report: dict[str, Any]) -> str:
    """The page with the numbers of the report. Raises ValueError when a mark is missing."""
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n\n{numbers(report)}\n\n{END}{after}"


@click.command(help="Write the numbers of docs/reliability.md.")
@click.option("--report", type=click.Path(path_type=Path, exists=True), help="Take this report over first.")
def main(report: Path | None) -> None:
    """Writes the page, and the report beside it when one is given."""
    if report is not None:
        KEPT.write_text(report.read_text())
    PAGE.write_text(page(PAGE.read_text(), json.loads(KEPT.read_text())))


if __name__ == "__main__":
    main()
