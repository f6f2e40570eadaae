"""What GitOps tools see of a run at every single change of its status, in order.

Field cases B051, B052, B053.
"""

from typing import Any

import pytest

from task_pipeline.api.resources import PIPELINES
from tests.fakes.store import Change, ChangeType
from tests.gitops.rules import argo, conditions, is_observed, kstatus
from tests.scenario.world import World, running, shell

pytestmark = [pytest.mark.looptime]

ON_THE_WAY, WELL, BADLY = ("Progressing", "InProgress"), ("Healthy", "Current"), ("Degraded", "Failed")
HELD = ("Suspended", "Current")


class Health:
    """What Argo CD and Flux said of each Pipeline, one entry for every change of their minds."""

    def __init__(self, world: World) -> None:
        self.said: dict[str, list[tuple[str, str]]] = {}
        self.observed_at: dict[str, float] = {}
        self.created_at: dict[str, float] = {}
        world.cluster.store.listeners.append(self._see)

    def _see(self, change: Change) -> None:
        if change.resource != PIPELINES or change.type is ChangeType.DELETED:
            return
        thing: dict[str, Any] = change.object
        name = thing["metadata"]["name"]
        self.created_at.setdefault(name, change.time)
        if is_observed(thing) and "Ready" in conditions(thing):
            self.observed_at.setdefault(name, change.time)
        said = self.said.setdefault(name, [])
        now = (argo(thing), kstatus(thing))
        if said[-1:] != [now]:
            said.append(now)


ONE, TWO = shell("a", "one", seconds=40), shell("b", "two", seconds=1)
ENDS: dict[str, tuple[list[dict[str, Any]], dict[str, Any], tuple[str, str]]] = {
    "good": ([ONE, TWO], {}, WELL),
    "warned": ([ONE, TWO, shell("c", "two", exit_code=1, allowFailure=True)], {}, WELL),
    "failed": ([ONE, shell("b", "two", exit_code=1, retryAttempt=1)], {}, BADLY),
    "late": ([ONE, TWO], {"timeout": 20}, BADLY),
    "invalid": ([shell("a", kind="Nope")], {}, BADLY),
    "foreign": ([ONE], {"clientId": "nobody"}, BADLY),
}


@pytest.mark.parametrize("name", ENDS)
async def test_b051_b053_it_is_on_its_way_and_then_at_its_end_and_nothing_between(name: str) -> None:
    jobs, spec, end = ENDS[name]
    async with running() as world:
        health = Health(world)
        world.submit("p", *jobs, **spec)
        await world.until_final()
        assert health.said["p"] == [ON_THE_WAY, end]


async def test_b051_a_cancelled_and_a_suspended_run() -> None:
    async with running() as world:
        health = Health(world)
        world.submit("p", ONE, TWO)
        await world.cluster.admin.wait_for(lambda: world.pipeline("p")["state"] == "IN PROGRESS", 10)
        world.edit("p", suspend=True)
        await world.cluster.admin.wait_for(lambda: health.said["p"][-1] == HELD, 10)
        world.edit("p", suspend=False)
        await world.cluster.admin.wait_for(lambda: health.said["p"][-1] == ON_THE_WAY, 10)
        world.edit("p", cancel="Now")
        await world.until_final()
        assert health.said["p"][0] == ON_THE_WAY
        assert health.said["p"][-1] == BADLY
        assert WELL not in health.said["p"]


async def test_b052_what_no_operator_has_seen_is_not_current_and_then_is_observed_within_two_seconds() -> None:
    world = World()
    health = Health(world)
    world.submit("p", ONE)
    assert health.said["p"] == [ON_THE_WAY]
    world.cluster.latency = 0.05
    began = world.now
    await world.start()
    try:
        await world.cluster.admin.wait_for(lambda: "p" in health.observed_at, 10)
        assert health.observed_at["p"] - began < 2
        world.submit("waits", ONE, suspend=True)
        world.submit("runs", ONE)
        world.submit("queued", ONE, clientId="closed")
        world.client("closed", maxRunningJobs=0)
        world.submit("queued2", ONE, clientId="closed")
        await world.cluster.admin.wait_for(lambda: len(health.observed_at) == 5, 10)
        took = {name: health.observed_at[name] - health.created_at[name] for name in ("waits", "runs", "queued2")}
        assert max(took.values()) < 2, took
        assert health.said["runs"] == health.said["queued2"] == [ON_THE_WAY]
        await world.stop()
    finally:
        if world.runtime is not None:
            await world.kill()
