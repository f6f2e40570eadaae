"""Every single fault at every place of a scenario: writes, watch events, revisions.

A sweep is made from the run without faults, whose length gives the places. `stride` takes every so manyth case, from
`offset` on, so that a part of a sweep is the same part each time.
"""

from collections.abc import Callable, Iterator
from time import perf_counter

from tests.faults.memory.runs import Run, play
from tests.faults.memory.scenarios import Scenario
from tests.faults.memory.script import ANSWERS, KILLS, Event, EventFault, Fault, StaleStart, WriteFault
from tests.faults.report import Entry

LATER = (1, 8, 25, 40)  # how many revisions after the one that is shown the operator is killed


def kills(reference: Run) -> Iterator[Fault]:
    """Killed before and after every write."""
    for number in range(len(reference.script.writes)):
        for kind in KILLS:
            yield WriteFault(number, kind)


def answers(reference: Run) -> Iterator[Fault]:
    """Every answer that a write may get, to every write."""
    for number in range(len(reference.script.writes)):
        for kind in ANSWERS:
            yield WriteFault(number, kind)


def events(reference: Run) -> Iterator[Fault]:
    """Everything that may become of a watch event, to every event."""
    for number in range(len(reference.script.events)):
        for kind in Event:
            yield EventFault(number, kind)


def stale_starts(reference: Run) -> Iterator[Fault]:
    """A restart after which the lists are older than what was true, for every revision."""
    revisions = sorted(version.revision for version in reference.history.versions)
    for place, seen in enumerate(revisions):
        for later in LATER:
            if place + later < len(revisions):
                yield StaleStart(killed=revisions[place + later], seen=seen)


SWEEPS: dict[str, Callable[[Run], Iterator[Fault]]] = {
    "kill": kills,
    "write": answers,
    "watch": events,
    "stale": stale_starts,
}


def sweep(name: str, scenario: Scenario, *, stride: int = 1, offset: int = 0) -> Entry:
    """Go through a sweep of a scenario; what it came to."""
    began = perf_counter()
    reference = play(scenario)
    entry = Entry(name=f"{name}: {scenario.name}", tier="memory")
    entry.add(reference.title, reference.violations)
    for fault in list(SWEEPS[name](reference))[offset % stride :: stride]:
        run = play(scenario, fault, reference=reference.history)
        entry.add(run.title, run.violations, struck=run.script.spent)
    entry.seconds = perf_counter() - began
    return entry
