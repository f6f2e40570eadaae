"""The kill sweep: an operator dies before, and another one after, each of its writes, and the next one goes on.

A run of W writes has 2 W points. The proxy stops the world at the write, carried out or not, so that nothing else
passes between it and the SIGKILL.
"""

import random
from collections.abc import Iterable
from typing import Any, NamedTuple

from tests.faults.proxy import Stop, on
from tests.faults.real.place import Place, Site
from tests.faults.real.runs import Ended, Tick, run
from tests.faults.real.scenarios import SCENARIOS, Scenario


class Point(NamedTuple):
    """Where an operator dies: before or after a write of its run."""

    scenario: Scenario
    write: int
    after: bool

    @property
    def title(self) -> str:
        """Short words for a report."""
        return f"killed {'after' if self.after else 'before'} write {self.write}"


def references(site: Site, scenarios: Iterable[Scenario] = SCENARIOS) -> dict[str, Ended]:
    """The runs without a fault, by scenario; each has to be good."""
    found = {scenario.name: run(site, scenario, "without a fault") for scenario in scenarios}
    for ended in found.values():
        assert ended.violations == [], ended.wrong()
    return found


def points(known: dict[str, Ended], scenarios: Iterable[Scenario] = SCENARIOS) -> list[Point]:
    """Every write boundary of the scenarios."""
    return [
        Point(scenario, write, after)
        for scenario in scenarios
        for write in range(1, known[scenario.name].writes + 1)
        for after in (False, True)
    ]


def sample(everything: list[Point], count: int, seed: int) -> list[Point]:
    """Some of them, evenly over the scenarios."""
    chosen: list[Point] = []
    rng = random.Random(seed)
    names = list(dict.fromkeys(point.scenario.name for point in everything))
    for number in range(count):
        name = names[number % len(names)]
        rest = [point for point in everything if point.scenario.name == name and point not in chosen]
        if rest:
            chosen.append(rng.choice(rest))
    return chosen


def kill_at(site: Site, point: Point, reference: dict[str, Any]) -> Ended:
    """One run with one death."""
    called: list[str] = []

    def prepare(at: Place) -> Tick:
        assert at.proxy is not None
        proxy, stop = at.proxy, at.proxy.stop_at(Stop.at(point.write, after=point.after))

        def tick() -> bool:
            if not called and stop.reached.is_set():
                at.kill()
                called.append(str(stop.call))
                proxy.go_on()
                at.operator().launch()
            return bool(called)

        return tick

    ended = run(site, point.scenario, point.title, prepare, reference)
    ended.what = "".join(called)
    return ended


def kill_after_every_write(site: Site, scenario: Scenario, reference: dict[str, Any], *, after: bool) -> Ended:
    """One run in which each operator lives for one write only: `after` it dies of the write, else of the next one."""
    deaths = 0

    def prepare(at: Place) -> Tick:
        assert at.proxy is not None
        proxy, stop = at.proxy, at.proxy.stop_at(Stop(on("write"), after=after))

        def tick() -> bool:
            nonlocal stop, deaths
            if stop.reached.is_set():
                at.kill()
                deaths += 1
                proxy.go_on()
                stop = proxy.stop_at(Stop(on("write"), after=after))
                at.operator().launch()
            return True

        return tick

    ended = run(site, scenario, "each operator lives for one write", prepare, reference)
    ended.what = f"{deaths} operators died"
    return ended
