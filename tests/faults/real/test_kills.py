"""Operators that die at a write: a sample of the sweep that `make test-faults` makes whole."""

import pytest

from tests.faults.real.kills import kill_after_every_write, kill_at, points, sample
from tests.faults.real.place import Site
from tests.faults.real.runs import Ended
from tests.faults.real.scenarios import SCENARIOS
from tests.faults.real.sweeps import sweep

pytestmark = pytest.mark.cluster


def test_killed_at_a_write_each_run_ends_the_same(site: Site, known: dict[str, Ended]) -> None:
    chosen = sample(points(known), 12, seed=8)
    entry = sweep("kills", chosen, lambda point: kill_at(site, point, known[point.scenario.name].outcome))
    assert entry.violations == []
    assert entry.missed <= 4


def test_operators_that_live_for_one_write_only_come_to_the_same_end(site: Site, known: dict[str, Ended]) -> None:
    scenario = SCENARIOS[0]
    reference = known[scenario.name]
    ended = kill_after_every_write(site, scenario, reference.outcome, after=True)
    assert ended.violations == [], ended.wrong()
    assert int(ended.what.split()[0]) >= reference.writes // 2
