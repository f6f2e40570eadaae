"""What the operator computes for one event does not grow with what waits, nor with the number of a Pipeline's jobs."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from task_pipeline.api.resources import PIPELINE_JOBS, PIPELINES
from tests.budget import crowded
from tests.budget.crowded import FREED, MODEL
from tests.budget.limits import WORK_GROWTH, WORK_SLACK
from tests.budget.work import Work, counted
from tests.scenario.world import NAMESPACE, World, running, shell

pytestmark = [pytest.mark.looptime]

FEW, MANY = 20, 10_000
WIDE = 2 * MANY  # a queue that takes all of them
LARGE = 2_000  # jobs of one Pipeline
AFTERMATH = 10.0  # seconds in which all that follows has been written

Costs = dict[str, int]


@dataclass
class Meter:
    """Lets things happen, and notes the bytecodes that each of them costs."""

    world: World
    costs: Costs

    async def of(self, what: str, happen: Callable[[], object] = lambda: None) -> None:
        """Let it happen, and all that follows from it."""
        work = Work()
        with counted(work):
            happen()
            await asyncio.sleep(AFTERMATH)
        self.costs[what] = work.bytecodes

    async def at(self, moment: float, what: str) -> None:
        """Note what the work around a moment of the loop's time costs."""
        await asyncio.sleep(moment - self.world.now - AFTERMATH / 2)
        await self.of(what)


def touch(world: World, resource: object, name: str) -> None:
    """An event that changes nothing of interest."""
    kind = PIPELINES if resource is PIPELINES else PIPELINE_JOBS
    world.cluster.admin.patch(kind, name, {"metadata": {"annotations": {"seen": str(world.now)}}}, NAMESPACE)


async def where_jobs_wait(waiting: int, window: int) -> Costs:
    """The cost of events where `waiting` jobs wait, ten to a Pipeline; those outside of the window are not divided."""
    async with running(max_running_jobs=2, queue_size=window) as world:
        began = await crowded.pipelines(world, waiting // 10, 10)
        meter = Meter(world, {})
        created = world.jobs(MODEL)
        if created:
            await meter.of("a job's event", lambda: touch(world, PIPELINE_JOBS, created[0]["metadata"]["name"]))
        await meter.of("a Pipeline's event", lambda: touch(world, PIPELINES, MODEL))
        await meter.of("another priority, first now", lambda: world.edit(MODEL, priority=1))
        await meter.of("another priority, last now", lambda: world.edit(MODEL, priority=99))
        await meter.of("a client's limit", lambda: world.client("default", maxRunningJobs=5))
        await meter.of("a new Pipeline", lambda: world.submit("new", shell("a"), priority=100))
        await meter.at(began + FREED, "a slot freed")
        if created:
            await meter.of("a job's cancel", lambda: world.edit_job(MODEL, "j0001", cancel="Now"))
        await meter.of("a Pipeline's cancel", lambda: world.edit(MODEL, cancel="Now"))
        return meter.costs


async def among_siblings(count: int) -> Costs:
    """The cost of events in a Pipeline with one stage of `count` jobs."""
    async with running(max_running_jobs=3, queue_size=WIDE) as world:
        began = await crowded.siblings(world, count)
        meter = Meter(world, {})
        waits = next(job for job in world.jobs(MODEL) if job["spec"]["name"] == "j0002")
        await meter.of("a job's event", lambda: touch(world, PIPELINE_JOBS, waits["metadata"]["name"]))
        world.edit_job(MODEL, "j0002", cancel="Now")  # the first that ends badly lets all others look, once
        await asyncio.sleep(AFTERMATH)
        await meter.of("another job's cancel", lambda: world.edit_job(MODEL, "j0003", cancel="Now"))
        await meter.at(began + FREED, "a job is done, and the next begins")
        await asyncio.sleep(FREED)  # nor is the first that fails counted
        await meter.at(began + 3 * FREED, "another failed, and the next begins")
        return meter.costs


def judge(few: Costs, many: Costs) -> None:
    """Tell all of it, and fail with all that grows."""
    for what, cost in few.items():
        print(f"{what:40} {cost:>9,} {many[what]:>9,}")
    assert few.keys() == many.keys()
    grown = {what: (few[what], cost) for what, cost in many.items() if cost > WORK_GROWTH * few[what] + WORK_SLACK}
    assert not grown, f"bytecodes with few and with many: {grown}"


async def test_an_event_costs_the_same_however_many_jobs_wait() -> None:
    judge(await where_jobs_wait(FEW, WIDE), await where_jobs_wait(MANY, WIDE))


async def test_an_event_costs_the_same_however_many_wait_outside_of_the_queue() -> None:
    judge(await where_jobs_wait(FEW, 1), await where_jobs_wait(MANY, 1))


async def test_an_event_costs_the_same_however_many_jobs_its_pipeline_has() -> None:
    judge(await among_siblings(FEW), await among_siblings(LARGE))
