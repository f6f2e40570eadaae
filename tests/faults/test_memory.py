"""A part of every sweep, the same part each time; `make test-faults` goes through all of them.

The fraction is chosen so that this takes about a minute of processor time. What fails names its scenario and fault:
`play(scenario, fault)` of tests.faults.memory.runs plays it again.
"""

import pytest

from tests.faults.memory import handovers
from tests.faults.memory.more import ALL
from tests.faults.memory.runs import play
from tests.faults.memory.scenarios import SCENARIOS, Scenario
from tests.faults.memory.sweeps import SWEEPS, sweep

STRIDE = {"kill": 5, "write": 17, "watch": 41, "stale": 23}
BIG = 5  # the longest scenario has so many times the places of the others
HANDOVER = 11
HANDED_OVER = ("two stages", "retry", "cancel", "again")


@pytest.mark.parametrize("scenario", ALL, ids=[scenario.name for scenario in ALL])
@pytest.mark.parametrize("name", SWEEPS)
def test_every_promise_is_kept_through_one_fault(name: str, scenario: Scenario) -> None:
    stride = STRIDE[name] * (BIG if scenario.name == "queue" else 1)
    entry = sweep(name, scenario, stride=stride, offset=1)
    assert entry.violations == []
    assert entry.cases > 1
    assert entry.missed == 0


@pytest.mark.parametrize("name", HANDED_OVER)
def test_every_promise_is_kept_through_a_handover(name: str) -> None:
    scenario = next(one for one in SCENARIOS if one.name == name)
    entry = handovers.sweep(scenario, stride=HANDOVER, offset=2)
    assert entry.violations == []
    assert entry.cases > 3
    assert entry.missed == 0
    assert entry.numbers["slowest takeover, s"] <= 20.0


def test_the_same_run_twice_is_the_same() -> None:
    first, second = play(SCENARIOS[1]), play(SCENARIOS[1])
    assert [str(call) for call in first.script.writes] == [str(call) for call in second.script.writes]
    assert first.script.events == second.script.events
