"""The report of the harness: one JSON file that says what was tried and what was found.

Format: `{"commit", "date", "python", "machine", "entries": [...]}`. An entry is one sweep, or one run of made-up
histories: `name`, `tier` (`memory` or `real`), `cases` (how many runs), `violations` (a list of
`{"case", "id", "text"}`), `seconds`, `seed` (null where nothing is random), `missed` (cases whose fault did not come to
strike), `numbers` (what else was measured, by name), `commit` and `date` of its run. Entries of the same tier and name
replace each other when a report is written again, so that each tier can add its own.
"""

import json
import platform
import subprocess
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.faults.rules import Violation

REPORT = Path(".faults/report.json")
SHOWN = 50  # violations of one entry that are kept


@dataclass
class Entry:
    """One sweep, or one run of random histories."""

    name: str
    tier: str
    cases: int = 0
    violations: list[dict[str, str]] = field(default_factory=list)
    seconds: float = 0.0
    seed: int | None = None
    missed: int = 0
    numbers: dict[str, float] = field(default_factory=dict)

    def add(self, case: str, violations: Iterable[Violation], *, struck: bool = True) -> None:
        """Count one case and what was found in it."""
        self.cases += 1
        self.missed += not struck
        for violation in violations:
            if len(self.violations) < SHOWN:
                text = f"{violation.text} (revision {violation.revision})" if violation.revision else violation.text
                self.violations.append({"case": case, "id": violation.id, "text": text})

    def line(self) -> str:
        """One line for people."""
        return (
            f"{self.tier} {self.name}: {self.cases} cases, {len(self.violations)} violations, {self.seconds:.1f} s"
            + (f", seed {self.seed}" if self.seed is not None else "")
            + (f", {self.missed} did not strike" if self.missed else "")
        )


def write(path: Path, entries: Iterable[Entry]) -> None:
    """Put entries into the report at `path`, which is made if it is not there."""
    report: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {"entries": []}
    origin = {"commit": _git("rev-parse", "--short=12", "HEAD"), "date": datetime.now(UTC).date().isoformat()}
    new = [asdict(entry) | origin for entry in entries]
    names = {(entry["tier"], entry["name"]) for entry in new}
    kept = [entry for entry in report["entries"] if (entry["tier"], entry["name"]) not in names]
    whole = {
        **origin,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "entries": kept + new,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(whole, indent=1) + "\n")


def _git(*arguments: str) -> str:
    found = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    return found.stdout.strip() or "unknown"
