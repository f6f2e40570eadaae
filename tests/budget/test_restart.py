"""A restart with nothing changed writes nothing, whatever there is: what waits, what runs, what is over."""

import asyncio
from collections import Counter

import pytest

from task_pipeline.api.resources import PIPELINE_JOBS, PIPELINES
from tests.scenario.world import World, running, shell

pytestmark = [pytest.mark.looptime]

LONG = 36_000.0
REST = 60.0  # seconds after which all that follows from something has been told


async def fill(world: World) -> None:
    """Pipelines in every situation in which one can stay for long."""
    world.client("shut", maxRunningJobs=0)
    world.submit("done", shell("a", "s"), shell("b", "t"))
    world.submit("warned", shell("a", exit_code=1, allowFailure=True), shell("b"))
    world.submit("failed", shell("a", exit_code=1), shell("b", "t"))
    world.submit("wrong", {"name": "a", "stage": "s", "kind": "Nope", "version": "1.0.0"})
    world.submit("cancelled", shell("a", seconds=LONG), shell("b", "t"))
    await asyncio.sleep(5)
    world.edit("cancelled", cancel="Now")
    world.submit("retried", shell("a", exit_code=1, retryAttempt=3))
    await asyncio.sleep(5)
    for name in ("runs", "holds", "drains"):
        world.submit(name, shell("a", seconds=LONG), shell("b", seconds=0), shell("c", "t"))
    await asyncio.sleep(5)
    world.edit("drains", cancel="Drain")
    world.submit("queued", shell("a"), shell("b"))
    world.submit("limited", shell("a"), clientId="shut")
    world.submit("held", shell("a"), suspend=True)
    for number in range(5):
        world.submit(f"outside-{number}", shell("a"), shell("b"))
    await asyncio.sleep(REST)


def states(world: World) -> Counter[str]:
    """How many Pipelines there are of each state and reason."""
    found = (world.pipeline(thing["metadata"]["name"]) for thing in world.cluster.admin.list(PIPELINES))
    return Counter(f"{status['state']} {status['reason']}" for status in found)


@pytest.mark.parametrize("way", ["stopped", "killed"])
async def test_a_restart_with_nothing_changed_writes_nothing(way: str) -> None:
    async with running(max_running_jobs=3, queue_size=4, retry_backoff=LONG) as world:
        world.cluster.latency = 0.005
        await fill(world)
        before = states(world)
        print(before)
        assert len(before) == 11, before
        jobs = {f"{job['status']['state']} {job['status']['reason']}" for job in world.jobs()}
        assert {"READY Queued", "READY RetryBackoff", "IN PROGRESS Running", "DONE Succeeded"} <= jobs, jobs
        await (world.stop() if way == "stopped" else world.kill())
        world.cluster.journal.clear()
        await world.start()
        await asyncio.sleep(REST)
        assert not world.cluster.journal.writes, world.cluster.journal.lines()
        lists = Counter(request.resource for request in world.cluster.journal.of("list"))
        assert set(lists.values()) == {1}, lists
        assert PIPELINE_JOBS in lists
        assert states(world) == before
