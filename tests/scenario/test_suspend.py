"""`spec.suspend` of a Pipeline: nothing more starts, what runs goes on, and a resume goes on where it was."""

import asyncio

import pytest

from task_pipeline.api.resources import PIPELINE_JOBS, PODS, Resource
from tests.fakes.store import Change, ChangeType
from tests.scenario.laws import Laws
from tests.scenario.test_cancel_matrix import in_backoff, nothing_is_left, until_told, waiting
from tests.scenario.world import World, running, shell

pytestmark = [pytest.mark.looptime]


def on_first(world: World, resource: Resource, kind: ChangeType) -> asyncio.Event:
    """Suspend `p` in the moment of the first such change; the event says that it has come."""
    done = asyncio.Event()

    def see(change: Change) -> None:
        if (change.resource, change.type) == (resource, kind) and not done.is_set():
            done.set()
            asyncio.get_running_loop().call_soon(lambda: world.edit("p", suspend=True))

    world.cluster.store.listeners.append(see)
    return done


@pytest.mark.parametrize("latency", [0.0, 0.2])
@pytest.mark.parametrize("moment", [(PIPELINE_JOBS, ChangeType.ADDED), (PODS, ChangeType.ADDED)])
async def test_a_suspension_around_a_launch_never_launches_twice(
    moment: tuple[Resource, ChangeType], latency: float
) -> None:
    async with running() as world:
        laws = Laws(world.cluster)
        world.cluster.latency = latency
        done = on_first(world, *moment)
        world.submit("p", shell("a", seconds=20), shell("b", "t"))
        await asyncio.sleep(100)
        assert done.is_set()
        before = list(world.spy.launches)
        assert before in ([], ["p/a"])
        assert world.states("p") == {"a": "DONE" if before else "READY"}
        assert world.pipeline("p")["reason"] == "Suspended"
        world.edit("p", suspend=False)
        assert await world.until_final("p", seconds=60) == {"p": "DONE"}
        assert world.spy.launches == ["p/a", "p/b"]
        nothing_is_left(world, laws)


@pytest.mark.parametrize("resume_after", [10, 100])
async def test_a_suspension_in_the_middle_of_a_backoff(resume_after: int) -> None:
    """The pause goes on meanwhile; nothing is launched before both are over."""
    async with running(retry_backoff=30.0) as world:
        laws = Laws(world.cluster)
        await in_backoff(world)
        ended = world.now
        world.edit("p", suspend=True)
        await asyncio.sleep(resume_after)
        assert world.spy.launches == ["p/a"]
        world.cluster.kubelet.fate = lambda _: None
        world.edit("p", suspend=False)
        await world.cluster.admin.wait_for(lambda: len(world.spy.launches) == 2, 60)
        assert max(30, resume_after) - 1 <= world.now - ended <= max(30, resume_after) + 2
        laws.check()


async def test_flapping_launches_once_and_costs_little() -> None:
    async with running() as world:
        laws = Laws(world.cluster)
        world.submit("p", shell("a", seconds=5), shell("b", "t"), suspend=True)
        world.cluster.journal.clear()
        for number in range(50):
            world.edit("p", suspend=number % 2 == 1)
            await asyncio.sleep(0.02)
        world.edit("p", suspend=False)
        assert await world.until_final("p", seconds=60) == {"p": "DONE"}
        assert world.spy.launches == ["p/a", "p/b"]
        assert len(world.cluster.journal.writes) <= 30
        nothing_is_left(world, laws)


@pytest.mark.parametrize("crash", [False, True])
async def test_a_suspended_one_outlives_a_restart(crash: bool) -> None:
    async with running(max_running_jobs=1) as world:
        laws = Laws(world.cluster)
        await waiting(world)
        world.edit("p", suspend=True)
        await until_told(world, "READY", "Suspended")
        await (world.kill() if crash else world.stop())
        await world.start()
        world.edit("filler", cancel="Now")
        await world.until_final("filler", seconds=10)
        await asyncio.sleep(100)
        assert world.spy.launches == ["filler/x"]
        world.edit("p", suspend=False)
        assert await world.until_final("p", seconds=60) == {"p": "DONE"}
        laws.check()


async def test_a_suspended_pipeline_is_ended_by_its_own_timeout() -> None:
    """Its clock runs from the first launch, suspended or not."""
    async with running() as world:
        world.submit("p", shell("a", seconds=5), shell("b", "t"), timeout=60)
        await until_told(world, "IN PROGRESS")
        world.edit("p", suspend=True)
        assert await world.until_final("p", seconds=70) == {"p": "ERROR"}
        assert world.pipeline("p")["reason"] == "DeadlineExceeded"
        assert world.spy.launches == ["p/a"]


async def test_a_queue_timeout_goes_on_while_it_is_suspended() -> None:
    async with running(max_running_jobs=1) as world:
        world.submit("filler", shell("x", seconds=6000))
        await world.cluster.admin.wait_for(lambda: world.states("filler").get("x") == "IN PROGRESS", 10)
        world.submit("p", shell("a", queueTimeout=60))
        await until_told(world, "READY")
        world.edit("p", suspend=True)
        assert await world.until_final("p", seconds=70) == {"p": "ERROR"}
        assert world.job("p", "a")["reason"] == "QueueTimeout"
