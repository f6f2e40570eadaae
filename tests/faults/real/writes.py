"""The write-fault sweep: one write of a run is dropped, lost after it was carried out, doubled, late, or refused.

After a fault that passes the run ends as without it. A 422 is the API server's last word, so only the promises count.
"""

from typing import Any, NamedTuple

from tests.faults.proxy import Delay, Drop, Lose, Refuse, Rule, Twice, on
from tests.faults.proxy.faults import Fault
from tests.faults.real.place import Place, Site
from tests.faults.real.runs import Ended, Tick, run
from tests.faults.real.scenarios import SCENARIOS, Scenario

FAULTS: dict[str, Fault] = {
    "dropped": Drop(),
    "lost after commit": Lose(),
    "doubled": Twice(),
    "1 s late": Delay(1.0),
    "refused with 409": Refuse(409),
    "refused with 422": Refuse(422),
    "refused with 429": Refuse(429, retry_after=1),
    "refused with 500": Refuse(500),
    "refused with 503": Refuse(503),
}
LASTING = frozenset({"refused with 422"})


class Point(NamedTuple):
    """What happens to which write of a run."""

    scenario: Scenario
    write: int
    fault: str

    @property
    def title(self) -> str:
        """Short words for a report."""
        return f"write {self.write} {self.fault}"


def points(known: dict[str, Ended]) -> list[Point]:
    """Every write of every scenario with every fault."""
    return [
        Point(scenario, write, fault)
        for scenario in SCENARIOS
        for write in range(1, known[scenario.name].writes + 1)
        for fault in FAULTS
    ]


def strike(site: Site, point: Point, reference: dict[str, Any]) -> Ended:
    """One run with one fault."""
    rules: list[Rule] = []

    def prepare(at: Place) -> Tick:
        assert at.proxy is not None
        rules.append(at.proxy.add(Rule(on("write", write=point.write), FAULTS[point.fault])))
        return lambda: rules[0].hits > 0

    return run(site, point.scenario, point.title, prepare, None if point.fault in LASTING else reference)
