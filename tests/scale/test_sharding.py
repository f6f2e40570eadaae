"""The protocol of docs/scale.md keeps its promises in every order of steps; and each of its rules is needed."""

import pytest

from tests.scale.sharding import Rules, Simulation, Size, Violation, writes_per_job

SEEDS, PATIENCE = 25, 200
CROWDED = Size(shards=2, jobs=40, clients=1, limit=4, faults=60)


@pytest.mark.parametrize("shards", [1, 2, 4, 8])
def test_limits_and_order_hold_and_nothing_is_lost_or_doubled(shards: int) -> None:
    replaced = writes = jobs = 0
    for seed in range(SEEDS):
        done = Simulation(seed, Size(shards=shards)).run()
        assert done.server.writes["pod"] == done.size.jobs
        assert done.server.writes["status"] == 2 * done.size.jobs
        replaced += done.replaced.total()
        writes, jobs = writes + done.server.writes["ledger"], jobs + done.size.jobs
    print(f"{shards} shards: {replaced} processes were replaced, {writes / jobs:.2f} writes of ledgers per job")
    assert replaced > SEEDS


@pytest.mark.parametrize("rule", ["fence", "inherit", "names", "versions"])
def test_without_one_of_its_rules_a_promise_is_broken(rule: str) -> None:
    for seed in range(PATIENCE):
        try:
            Simulation(seed, CROWDED, Rules(**{rule: False})).run()
        except Violation as violation:
            print(f"without {rule}, order {seed}: {violation}")
            return
    raise AssertionError(f"{PATIENCE} orders keep every promise without {rule}")


def test_what_begins_together_is_granted_together() -> None:
    assert writes_per_job(rate=50, shards=4, gap=0.0) == 1
    assert writes_per_job(rate=400, shards=4, gap=0.05) < 0.25
