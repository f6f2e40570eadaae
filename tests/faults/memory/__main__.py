"""The long run of the in-memory tier: every sweep of every scenario, and many made-up histories; one JSON report.

    python -m tests.faults.memory [--stride N] [--examples N] [--seed N] [--only TEXT] [--report FILE]

The stride 1 is every case. Exit code 1 when a promise was broken.
"""

import argparse
import random
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import perf_counter

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.faults import report
from tests.faults.memory import handovers, sweeps
from tests.faults.memory.model import Plan, plans, play_plan
from tests.faults.memory.more import ALL
from tests.faults.rules import Violation

QUIET = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example)


def made_up(examples: int, number: int) -> report.Entry:
    """So many histories from a seed; the first that breaks a promise is made small and told."""
    entry = report.Entry("made-up histories", "memory", seed=number)
    began = perf_counter()

    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=QUIET, phases=list(Phase))
    @seed(number)
    @given(plans)
    def play(plan: Plan) -> None:
        entry.cases += 1
        violations = play_plan(plan).violations
        assert not violations, f"{violations[0].id} {violations[0].text}"

    try:
        play()
    except AssertionError as error:
        notes = " ".join(getattr(error, "__notes__", []))
        entry.add(notes or "a made-up history", (Violation("made up", 0, str(error)),))
    entry.seconds = perf_counter() - began
    return entry


def entries(stride: int, examples: int, number: int, only: str) -> Iterator[report.Entry]:
    """All of it, one entry after the other."""
    for scenario in ALL:
        for name in sweeps.SWEEPS:
            if only in f"{name}: {scenario.name}":
                yield sweeps.sweep(name, scenario, stride=stride)
        if only in f"handover: {scenario.name}":
            yield handovers.sweep(scenario, stride=stride)
    if only in "made-up histories" and examples:
        yield made_up(examples, number)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print a line for each entry, and write the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stride", type=int, default=1, help="take every so manyth case")
    parser.add_argument("--examples", type=int, default=5000, help="made-up histories")
    parser.add_argument("--seed", type=int, default=random.randrange(2**32), help="of the made-up histories")
    parser.add_argument("--only", default="", help="entries whose name has this text")
    parser.add_argument("--report", type=Path, default=report.REPORT, help="the JSON report to add the results to")
    options = parser.parse_args(arguments)
    warnings.simplefilter("ignore")
    broken = 0
    for entry in entries(options.stride, options.examples, options.seed, options.only):
        print(entry.line(), flush=True)
        for violation in entry.violations:
            print("   ", violation["id"], violation["case"], "|", violation["text"])
        broken += len(entry.violations)
        report.write(options.report, [entry])
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
