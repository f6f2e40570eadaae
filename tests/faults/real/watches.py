"""The watch-fault sweep: an event is doubled, late, or lost together with the operator's place; a stream breaks or
falls silent; a new operator is shown the past.
"""

import random
import time
from typing import Any, NamedTuple

from tests.faults.proxy import Altered, Broken, Call, Rule, Silent, Stale, Stop, on
from tests.faults.real.place import Place, Site
from tests.faults.real.runs import Ended, Tick, run
from tests.faults.real.scenarios import SCENARIOS, Scenario

STREAMS = ("pipelines", "pipelinejobs", "pods", "deployments")
DEEDS = ("doubled", "1 s late", "lost with the place", "ERROR 410", "ERROR 500", "ERROR 504")
MOST_EVENTS = {"pipelines": 6, "pipelinejobs": 12, "pods": 12, "deployments": 4}
LOST_SECONDS = 1.0


class Point(NamedTuple):
    """What happens to which event of which stream."""

    scenario: Scenario
    stream: str
    event: int
    deed: str

    @property
    def title(self) -> str:
        """Short words for a report."""
        return f"event {self.event} of {self.stream}: {self.deed}"


def points() -> list[Point]:
    """The first events of every stream of every scenario, with every deed."""
    return [
        Point(scenario, stream, event, deed)
        for scenario in SCENARIOS
        for stream in STREAMS
        if stream != "deployments" or scenario.name == "deployment"
        for event in range(1, MOST_EVENTS[stream] + 1)
        for deed in DEEDS
    ]


def strike(site: Site, point: Point, reference: dict[str, Any]) -> Ended:
    """One run with one fault."""

    def prepare(at: Place) -> Tick:
        assert at.proxy is not None
        proxy, fault = at.proxy, _fault(point)
        proxy.add(Rule(on("watch", point.stream), fault, times=None))
        struck: list[float] = []

        def tick() -> bool:
            if fault.struck and not struck:
                struck.append(time.monotonic())
            if point.deed != "lost with the place":
                return bool(struck)
            if struck and struck[0] > 0 and time.monotonic() - struck[0] > LOST_SECONDS:
                struck[0] = 0.0
                proxy.rules[:] = [Rule(on("watch", stream), Broken(0, 410), times=None) for stream in STREAMS]
                proxy.close()
                proxy.open()
            return struck == [0.0]

        return tick

    return run(site, point.scenario, point.title, prepare, reference)


def _fault(point: Point) -> Altered | Broken:
    if point.deed.startswith("ERROR"):
        return Broken(point.event, int(point.deed.split()[1]))
    if point.deed == "doubled":
        return Altered(point.event, "doubled")
    return Altered(point.event, "lost") if point.deed.startswith("lost") else Altered(point.event, "delayed", 1.0)


def silent(site: Site, scenario: Scenario, stream: str, event: int, reference: dict[str, Any], most: float) -> Ended:
    """One run in which a stream says nothing more from an event on; it has to end within `most` seconds."""

    def prepare(at: Place) -> Tick:
        assert at.proxy is not None
        fault = Silent(event)
        at.proxy.add(Rule(on("watch", stream), fault, times=None))
        return lambda: fault.struck

    title = f"{stream} silent from event {event} on"
    return run(site, scenario, title, prepare, reference, patience=most)


def stale(site: Site, scenario: Scenario, write: int, seed: int, reference: dict[str, Any]) -> Ended:
    """One run whose operator dies after a write; the first lists of the next one show an older revision of the run.

    The list with which a new leader catches up asks for what is true now, so it is not stale.
    """
    rng, called = random.Random(seed), list[str]()

    def prepare(at: Place) -> Tick:
        assert at.proxy is not None
        proxy, stop = at.proxy, at.proxy.stop_at(Stop.at(write, after=True))

        def tick() -> bool:
            if not called and stop.reached.is_set():
                at.kill()
                proxy.go_on()
                revision = _past(at, rng)
                called.append(f"{stop.call}; lists as of {revision}")
                for stream in STREAMS:
                    proxy.add(Rule(_first_list(stream), Stale(revision)))
                at.operator().launch()
            return bool(called)

        return tick

    ended = run(site, scenario, f"stale lists after write {write}, seed {seed}", prepare, reference)
    ended.what = "".join(called)
    return ended


def _past(at: Place, rng: random.Random) -> int:
    """A revision of the run, not before its PipelineClient."""
    versions = at.view.history.versions
    first = min(version.revision for version in versions)
    return rng.choice(sorted({version.revision for version in versions if version.revision >= first}))


def _first_list(stream: str) -> Any:
    def pick(call: Call) -> bool:
        return on("list", stream)(call) and "fieldSelector" not in call.query and call.query.get("limit") != "1"

    return pick
