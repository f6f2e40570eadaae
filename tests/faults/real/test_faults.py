"""Single faults on a real API server: a sample of the sweeps of writes, watches, stale lists and hands."""

import random

import pytest

from tests.faults.proxy import Call, Late, Rule
from tests.faults.real import byhand, clocks, watches, writes
from tests.faults.real.place import Place, Site
from tests.faults.real.runs import Ended, Tick, run
from tests.faults.real.scenarios import SCENARIOS
from tests.faults.real.sweeps import sweep

pytestmark = pytest.mark.cluster
SEED = 8


def test_a_write_that_fails_changes_nothing_in_the_end(site: Site, known: dict[str, Ended]) -> None:
    chosen = random.Random(SEED).sample(writes.points(known), 9)
    entry = sweep("writes", chosen, lambda point: writes.strike(site, point, known[point.scenario.name].outcome))
    assert entry.violations == []
    assert entry.missed <= 4


def test_events_that_are_late_doubled_or_lost_change_nothing_in_the_end(site: Site, known: dict[str, Ended]) -> None:
    chosen = random.Random(SEED).sample(watches.points(), 9)
    entry = sweep("watches", chosen, lambda point: watches.strike(site, point, known[point.scenario.name].outcome))
    assert entry.violations == []


def test_one_slow_answer_does_not_hold_the_end_of_a_pipeline_back(site: Site, known: dict[str, Ended]) -> None:
    scenario = SCENARIOS[4]  # the second Pipeline waits for its place, and says so, before it starts

    def told(call: Call) -> bool:
        return call.resource == "pipelines/status" and call.name == "run-1"

    def prepare(at: Place) -> Tick:
        assert at.proxy is not None
        rule = at.proxy.add(Rule(told, Late(5.0)))
        return lambda: rule.hits > 0

    ended = run(site, scenario, "one slow answer", prepare, known[scenario.name].outcome, patience=90.0)
    assert ended.violations == [], ended.wrong()


def test_an_operator_that_is_shown_the_past_launches_nothing_again(site: Site, known: dict[str, Ended]) -> None:
    def strike(number: int) -> Ended:
        scenario = SCENARIOS[number]
        reference = known[scenario.name]
        return watches.stale(site, scenario, reference.writes // 2, SEED + number, reference.outcome)

    assert sweep("stale", range(len(SCENARIOS)), strike).violations == []


def test_pods_that_somebody_deletes_are_replaced_once(site: Site) -> None:
    entry = sweep("by hand", byhand.STAGES, lambda stage: byhand.deleted(site, stage))
    assert entry.violations == []


@pytest.mark.skipif(clocks.library() is None, reason="no libfaketime on this machine (Debian: apt install faketime)")
@pytest.mark.parametrize(
    ("moment", "seconds"),
    [
        ("between two attempts", clocks.HOUR),
        ("in the last stage", -clocks.HOUR),
        ("between two attempts", -clocks.HOUR),
    ],
)
def test_a_clock_that_jumps_doubles_nothing_and_stops_nothing(site: Site, moment: str, seconds: int) -> None:
    faketime = clocks.library()
    assert faketime is not None
    ended = clocks.jump(site, faketime, moment, seconds, 30.0)
    assert ended.violations == [], ended.wrong()
