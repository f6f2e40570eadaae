"""Put each bug of the catalog into a copy of the operator, let the harness hunt for it, and print what came of it.

    python -m tests.faults.mutants [--only TEXT] [--report FILE]

Fails when the operator as it is has a violation, when an anchor is not found, or when too few bugs are.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

from tests.faults import report
from tests.faults.mutants.catalog import MUTANTS, PACKAGE, Mutant
from tests.faults.mutants.hunt import FOUND
from tests.faults.rules import Violation

ROOT = Path(__file__).parents[3]
OPERATOR = ROOT / "operator"
WANTED = 13 / 15  # of the bugs have to be found
PATIENCE = 1800.0  # seconds for one hunt


class WrongAnchor(Exception):
    """The text of the operator is not what a bug was made for."""


class Hunt(NamedTuple):
    """What a hunt came to: whether something was found, the last line that was printed, and seconds."""

    found: bool
    text: str
    seconds: float


def put_in(mutant: Mutant, operator: Path) -> None:
    """Change the copy of the operator in the folder `operator`."""
    for edit in mutant.edits:
        path = operator / PACKAGE / edit.file
        text = path.read_text()
        if text.count(edit.anchor) != 1:
            raise WrongAnchor(f"{mutant.name}: {edit.file} has the anchor {text.count(edit.anchor)} times")
        path.write_text(text.replace(edit.anchor, edit.by))


def hunt(mutant: Mutant | None) -> Hunt:
    """Hunt in a copy with the bug, or without one."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        operator = Path(folder) / "operator"
        shutil.copytree(OPERATOR, operator, ignore=shutil.ignore_patterns("__pycache__"))
        if mutant is not None:
            put_in(mutant, operator)
        began = perf_counter()
        try:
            done = subprocess.run(
                [sys.executable, "-m", "tests.faults.mutants.hunt"],
                env={**os.environ, "PYTHONPATH": f"{operator}{os.pathsep}{ROOT}", "PYTHONHASHSEED": "0"},
                cwd=ROOT, capture_output=True, text=True, check=False, timeout=PATIENCE,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return Hunt(True, f"it does not come to an end within {PATIENCE:.0f} s", PATIENCE)
    lines = done.stdout.strip().splitlines() or ["no output"]
    if lines[0] != f"operator: {operator}" or done.returncode not in (0, FOUND):
        raise RuntimeError(f"{mutant and mutant.name}: the harness itself failed: {done.stderr[-2000:]}")
    return Hunt(done.returncode == FOUND, lines[-1], perf_counter() - began)


def _print(word: str, result: Hunt, name: str) -> None:
    print(f"{word:9} {result.seconds:6.1f} s  {name}: {result.text}", flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Hunt for every bug; 0 when enough are found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lanes", type=int, default=2, help="hunts at a time")
    parser.add_argument("--only", default="", help="bugs whose name has this text")
    parser.add_argument("--report", type=Path, default=report.REPORT, help="the JSON report to add the result to")
    options = parser.parse_args(arguments)
    chosen = [mutant for mutant in MUTANTS if options.only in mutant.name]
    began = perf_counter()
    control = hunt(None)
    _print("NOT CLEAN" if control.found else "clean", control, "no bug")
    entry = report.Entry("seeded bugs", "memory")
    found = 0
    with ThreadPoolExecutor(options.lanes) as lanes:
        for mutant, result in zip(chosen, lanes.map(hunt, chosen), strict=True):
            found += result.found
            _print("found" if result.found else "MISSED", result, mutant.name)
            entry.add(mutant.name, () if result.found else (Violation("G24", 0, "was not found"),))
    print(f"{found} of {len(chosen)} bugs were found")
    entry.numbers, entry.seconds = {"found": found, "of": len(chosen)}, perf_counter() - began
    report.write(options.report, [entry])
    return 0 if not control.found and found >= WANTED * len(chosen) else 1


if __name__ == "__main__":
    sys.exit(main())
