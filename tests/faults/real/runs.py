"""One run of a scenario, with something that happens to it, and what is to be said about it afterwards."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.cluster.polling import wait_for
from tests.faults.real import checking
from tests.faults.real.outcomes import outcome, over
from tests.faults.real.place import Place, Site, place
from tests.faults.real.scenarios import Scenario
from tests.faults.rules import Violation

PATIENCE = 120.0  # seconds in which a run has to end, whatever has happened to it
TURN = 0.02
AFTERWARDS = 2.0  # seconds after the end in which what was to happen may still happen
LINGER = 1.0  # seconds for which a run is watched after it has ended as it should
Tick = Callable[[], bool]
"""Called in every turn; whether all that was to happen has happened."""


@dataclass
class Ended:
    """How a run ended. `happened`: its fault has struck; `what` says where. It is good without violations."""

    scenario: str
    title: str
    happened: bool = True
    what: str = ""
    seconds: float = 0.0
    writes: int = 0
    violations: list[Violation] = field(default_factory=list)
    outcome: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What a report calls it."""
        return " ".join(part for part in (f"{self.scenario}:", self.title, self.what and f"({self.what})") if part)

    def wrong(self) -> list[str]:
        """What a failed test shows."""
        return [f"{self.name}: {found.id} {found.text}" for found in self.violations]


def run(
    site: Site,
    scenario: Scenario,
    title: str,
    prepare: Callable[[Place], Tick] | None = None,
    reference: dict[str, Any] | None = None,
    *,
    patience: float = PATIENCE,
) -> Ended:
    """Run a scenario to its end, within `patience` seconds; it is to be that of the reference if there is one.

    `prepare` scripts the proxy before the operator starts, and returns the tick. An operator that ends by itself is
    started again, as Kubernetes would do.
    """
    ended, began = Ended(scenario.name, title), time.monotonic()
    with place(site, scenario.environment()) as at:
        assert at.proxy is not None
        tick = prepare(at) if prepare else lambda: True
        at.operator().launch()
        try:
            ended.happened = _drive(at, scenario, tick, patience)
            _settle(at, reference)
        except TimeoutError as error:
            ended.violations.append(Violation("L1", 0, f"{error}: {json.dumps(outcome(at.view))}"))
        ended.seconds, ended.outcome = round(time.monotonic() - began, 2), outcome(at.view)
        ended.writes = len(at.proxy.writes)
        if reference is not None:
            ended.violations += checking.differences(reference, ended.outcome)
        ended.violations += [Violation("log", 0, line) for line in at.faults()]
        acks = checking.acks(at.proxy, "operator")
        history = site.recorder.forget(at.namespace)
    history.acks += acks
    ended.violations += checking.broken(history, checking.rules(scenario.running, scenario.queue))
    if ended.violations:
        history.save(site.folder / f"{at.namespace}.jsonl")
    return ended


def _drive(at: Place, scenario: Scenario, tick: Tick, patience: float) -> bool:
    for name, spec in scenario.pipelines.items():
        at.create(name, spec)
    deeds, deadline, grace = list(scenario.deeds), time.monotonic() + patience, 0.0
    while True:
        at.site.recorder.check()
        happened = tick()
        if not at.operators[-1].running:
            at.operator().launch()
        if deeds and deeds[0].when(at.view):
            deeds.pop(0).do(at)
        if not deeds and over(at.view, len(scenario.pipelines)):
            grace = grace or time.monotonic() + AFTERWARDS
            if happened or time.monotonic() > grace:
                return happened
        if time.monotonic() > deadline:
            raise TimeoutError(f"not over after {patience} s")
        time.sleep(TURN)


def _settle(at: Place, reference: dict[str, Any] | None) -> None:
    """Wait until the state is that of the reference, or until nothing happens any more; then look on for a while."""
    if reference is None:
        wait_for(lambda: time.monotonic() - at.view.changed > AFTERWARDS, "rest", PATIENCE)
    else:
        wait_for(lambda: outcome(at.view) == reference, "the final state", PATIENCE)
    time.sleep(LINGER)
