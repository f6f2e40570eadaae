"""What metrics cost: so many bytecodes for a job that succeeds at once, and nothing that the API server notices."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from task_pipeline.api.resources import PIPELINE_JOBS
from task_pipeline.observability.meters import Meters
from task_pipeline.observability.requests import ApiRequests
from tests.budget.limits import METRICS_BYTECODES, METRICS_SHARE, WRITES_PER_JOB
from tests.budget.work import Work, counted
from tests.scenario.metered import Metered
from tests.scenario.world import World, running, shell

pytestmark = [pytest.mark.looptime]

STAGES, JOBS = 4, 5


async def cost(world: World) -> float:
    """Bytecodes for each job of a Pipeline, from its creation to its end."""
    jobs = [shell(f"{stage}-{job}", f"s{stage}") for stage in range(STAGES) for job in range(JOBS)]
    world.submit("warm-up", shell("a"))
    await world.until_final()
    await asyncio.sleep(20)
    work = Work()
    with counted(work):
        world.submit("p", *jobs)
        await world.until_final()
        await asyncio.sleep(20)
    return work.bytecodes / len(jobs)


async def measured(look: Callable[[World], object]) -> float:
    async with running() as world:
        look(world)
        return await cost(world)


async def test_a_job_costs_little_more_with_metrics() -> None:
    """Requests are counted below the in-memory cluster, so their price is added: the first to a job's status reads its
    path, the other 3.3 have one that was seen before.
    """
    count, costs = ApiRequests(Meters()), list[int]()
    path = PIPELINE_JOBS.path("default", "a-job-of-somebody", "status")
    count("PATCH", PIPELINE_JOBS.path("default", "another", "status"), 200)
    for _ in range(2):
        work = Work()
        with counted(work):
            count("PATCH", path, 200)
        costs.append(work.bytecodes)
    without, with_ = await measured(lambda world: None), await measured(Metered)
    more = with_ - without + costs[0] + (WRITES_PER_JOB - 1) * costs[1]
    print(f"bytecodes for a job: {without:.0f} without metrics, {more:.0f} for them; {costs} for a request")
    assert 0 < more <= METRICS_BYTECODES
    assert more <= METRICS_SHARE * without


async def test_a_scrape_asks_the_cluster_for_nothing() -> None:
    async with running() as world:
        world.submit("p", shell("a", seconds=1000), shell("b", "t"))
        await asyncio.sleep(20)
        it = Metered(world)
        world.cluster.journal.clear()
        for _ in range(10):
            await it.scrape()
        assert world.cluster.journal.lines() == []


async def test_what_a_scrape_holds_up_does_not_grow_with_the_number_of_jobs() -> None:
    """The records are counted some hundred at a time; what is done at one moment is a copy in C, and the clients."""

    async def longest(count: int) -> int:
        async with running() as world:
            world.submit("p", shell("a"))
            await world.until_final()
            assert world.runtime is not None
            it, jobs = Metered(world), world.runtime.store.jobs
            uid, job = next(iter(jobs.items()))
            extra = {f"{uid}-{number}": job for number in range(count)}
            jobs.update(extra)
            steps = await in_turns(it.sample())
            for key in extra:
                del jobs[key]
            return max(steps)

    few, many = await longest(2_000), await longest(20_000)
    print(f"bytecodes at one moment: {few} with 2,000 jobs, {many} with 20,000")
    assert many <= 1.1 * few


async def in_turns(sample: Coroutine[Any, Any, Any]) -> list[int]:
    """The bytecodes of each turn that a coroutine takes."""
    steps = list[int]()
    while True:
        work = Work()
        try:
            with counted(work):
                sample.send(None)
        except StopIteration:
            return [*steps, work.bytecodes]
        steps.append(work.bytecodes)
        await asyncio.sleep(0)
