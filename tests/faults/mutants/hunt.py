"""Look for a violation, from the quick cases to the slow ones, and stop at the first one: exit code 3 if there is one.

    python -m tests.faults.mutants.hunt

It is run in a process of its own, whose `PYTHONPATH` says which operator is meant. Exit code 0: nothing was found.
"""

import os
import signal
import sys
import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import task_pipeline
from tests.faults.memory.handovers import hand_over, handovers
from tests.faults.memory.more import ALL
from tests.faults.memory.runs import Run, play
from tests.faults.memory.sweeps import SWEEPS

STRIDES = {"kill": 9, "handover": 17, "write": 23, "stale": 29, "watch": 41}
HANDED_OVER = ("two stages", "retry", "cancel")
CLOSELY = {"lost": 8, "cancel at launch": 4}  # so many times as many cases: what they are about happens at one place
FOUND = 3
ENDLESS = 30.0  # seconds of processor time; a case takes less than one
BIG = 100  # writes: a scenario with more of them is taken more thinly


def cases() -> Iterator[partial[Run]]:
    """What is played, in order."""
    references: dict[str, Run] = {}
    for scenario in ALL:
        yield partial(play, scenario)
        references[scenario.name] = play(scenario)
    for name, stride in STRIDES.items():
        for scenario in ALL:
            reference = references[scenario.name]
            step = stride * (5 if len(reference.script.writes) > BIG else 1)
            step = max(1, step // CLOSELY.get(scenario.name, 1))
            if name != "handover":
                for fault in list(SWEEPS[name](reference))[1::step]:
                    yield partial(play, scenario, fault, reference=reference.history)
            elif scenario.name in HANDED_OVER:
                for handover in list(handovers(reference))[2::step]:
                    yield partial(hand_over, scenario, handover, reference.history)


def _give_up(*_: object) -> None:
    """A bug may keep the operator busy without any time passing: nothing in the loop would ever end it."""
    print(f"found: a case does not end within {ENDLESS:.0f} s of processor time", flush=True)
    os._exit(FOUND)


def main() -> int:
    """Hunt, and say what was found."""
    warnings.simplefilter("ignore")
    print("operator:", Path(task_pipeline.__file__).parent.parent, flush=True)
    signal.signal(signal.SIGVTALRM, _give_up)
    number = 0
    for number, case in enumerate(cases(), 1):
        signal.setitimer(signal.ITIMER_VIRTUAL, ENDLESS)
        run = case()
        if run.violations:
            first = run.violations[0]
            print(f"found by case {number}, {run.title}: {first.id} {first.text}")
            return FOUND
    print(f"nothing found in {number} cases")
    return 0


if __name__ == "__main__":
    sys.exit(main())
