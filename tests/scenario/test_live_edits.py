"""Priorities, limits and suspensions that change while work waits and runs: nothing is killed, what is allowed starts
within a second, and the next free slot follows the new order.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from task_pipeline.controller.workqueue import Of
from tests.scenario.world import World, running, shell

pytestmark = [pytest.mark.looptime]

AT_ONCE = 1.0
LONG = 3600.0


async def hold(world: World, seconds: float = 60.0) -> None:
    """Take the only slot for a while."""
    world.submit("hold", shell("a", seconds=seconds), priority=0)
    await asyncio.sleep(1)
    assert world.spy.launches == ["hold/a"]


async def order_of(world: World) -> list[str]:
    """What is launched after `hold`, in order."""
    await world.until_final()
    return world.spy.launches[1:]


@pytest.mark.parametrize("size", [1000, 1], ids=["divided", "undivided"])
async def test_the_priority_of_a_pipeline(size: int) -> None:
    async with running(max_running_jobs=1, queue_size=size) as world:
        await hold(world)
        for name in ("p", "q", "r"):
            world.submit(name, shell("a"), shell("b", "t"))
            await asyncio.sleep(0.1)
        world.edit("r", priority=5)
        world.edit("p", priority=20)
        assert await order_of(world) == ["r/a", "r/b", "q/a", "q/b", "p/a", "p/b"]


async def test_the_priority_of_a_pipeline_that_runs_counts_for_its_later_stages() -> None:
    async with running(max_running_jobs=1) as world:
        world.submit("p", shell("a", seconds=60), shell("b", "t"))
        await asyncio.sleep(1)
        world.submit("q", shell("a"), priority=10)
        world.edit("p", priority=11)
        await world.until_final()
        assert world.spy.launches == ["p/a", "q/a", "p/b"]


async def test_the_priority_of_a_pipeline_job() -> None:
    async with running(max_running_jobs=1) as world:
        await hold(world)
        world.submit("p", *(shell(name) for name in "abcd"))
        await asyncio.sleep(1)
        world.edit_job("p", "c", priority=1)
        world.edit_job("p", "a", priority=99)
        assert await order_of(world) == ["p/c", "p/b", "p/d", "p/a"]


@pytest.mark.parametrize("restart", [False, True])
async def test_the_priority_of_a_pipeline_job_outlives_edits_of_its_pipeline(restart: bool) -> None:
    async with running(max_running_jobs=1) as world:
        await hold(world, 100)
        world.submit("p", *(shell(name) for name in "abcd"))
        await asyncio.sleep(1)
        world.edit_job("p", "c", priority=1)
        await asyncio.sleep(1)
        if restart:
            await world.kill()
            await world.start()
        uids = [job["metadata"]["uid"] for job in world.jobs("p")]
        for edit in ({"suspend": True}, {"suspend": False}, {"priority": 20}, {"failFast": True}):
            world.edit("p", **edit)
            await asyncio.sleep(1)
        assert [job["metadata"]["uid"] for job in world.jobs("p")] == uids
        world.edit("p", jobs=[shell("a"), shell("b", priority=2), shell("c"), shell("d", timeout=9)])
        assert await order_of(world) == ["p/c", "p/b", "p/a", "p/d"]


async def test_the_priority_of_a_client_moves_all_that_is_its() -> None:
    async with running(max_running_jobs=1, queue_size=3) as world:
        world.client("acme", priority=5)
        world.client("best", priority=4)
        await hold(world)
        for name, client in (("p", "acme"), ("q", "best"), ("r", "acme"), ("s", "best")):
            world.submit(name, shell("a"), shell("b"), clientId=client)
            await asyncio.sleep(0.1)
        world.client("best", priority=6)
        assert await order_of(world) == ["p/a", "p/b", "r/a", "r/b", "q/a", "q/b", "s/a", "s/b"]


async def test_new_priorities_are_those_of_a_restarted_operator_too() -> None:
    async with running(max_running_jobs=1) as world:
        await hold(world)
        for name in ("p", "q"):
            world.submit(name, shell("a"), shell("b"))
            await asyncio.sleep(0.1)
        world.edit("q", priority=1)
        world.edit_job("q", "b", priority=1)
        await asyncio.sleep(1)
        await world.kill()
        world.edit_job("p", "b", priority=1)
        await world.start()
        assert await order_of(world) == ["q/b", "q/a", "p/b", "p/a"]


def by_settings(world: World, limit: int | None) -> None:
    world.change_settings(max_running_jobs=limit)


def by_client(world: World, limit: int | None) -> None:
    world.client("default", **({} if limit is None else {"maxRunningJobs": limit}))


@pytest.mark.parametrize("set_limit", [by_settings, by_client])
async def test_a_limit_of_running_jobs(set_limit: Callable[[World, int | None], None]) -> None:
    async with running(max_running_jobs=50) as world:
        set_limit(world, 3)
        world.submit("p", *(shell(f"j{number}", seconds=60 + 10 * number) for number in range(9)))
        await asyncio.sleep(30)
        set_limit(world, 1)
        await asyncio.sleep(25)
        assert list(world.states("p").values()).count("IN PROGRESS") == 3
        await asyncio.sleep(20)
        assert list(world.states("p").values()).count("IN PROGRESS") == 1
        assert len(world.spy.launches) == 3
        set_limit(world, 0)
        await asyncio.sleep(600)
        assert list(world.states("p").values()) == ["DONE"] * 3 + ["READY"] * 6
        set_limit(world, 2)
        await asyncio.sleep(AT_ONCE)
        assert world.spy.launches[3:] == ["p/j3", "p/j4"]
        set_limit(world, 4)
        await asyncio.sleep(AT_ONCE)
        assert world.spy.launches[5:] == ["p/j5", "p/j6"]
        set_limit(world, None)
        await asyncio.sleep(AT_ONCE)
        assert len(world.spy.launches) == 9
        assert await world.until_final() == {"p": "DONE"}
        assert {job["status"]["attempt"] for job in world.jobs("p")} == {1}


def size_by_settings(world: World, size: int | None) -> None:
    world.change_settings(queue_size=size)


def size_by_client(world: World, size: int | None) -> None:
    world.client("default", **({} if size is None else {"queueSize": size}))


@pytest.mark.parametrize("set_size", [size_by_settings, size_by_client])
async def test_a_size_of_the_queue(set_size: Callable[[World, int | None], None]) -> None:
    async with running(max_running_jobs=1) as world:
        set_size(world, 2)
        await hold(world)
        for number in range(6):
            world.submit(f"p{number}", shell("a", seconds=10))
            await asyncio.sleep(0.1)
        assert [bool(world.jobs(f"p{number}")) for number in range(6)] == [True, True, False, False, False, False]
        set_size(world, 1)
        await asyncio.sleep(AT_ONCE)
        assert len(world.jobs("p1")) == 1  # what exists stays
        set_size(world, 4)
        await asyncio.sleep(AT_ONCE)
        assert [bool(world.jobs(f"p{number}")) for number in range(6)] == [True, True, True, True, False, False]
        set_size(world, 0)
        await asyncio.sleep(120)
        assert world.states("hold") == {"a": "DONE"}
        assert world.spy.launches == ["hold/a"]  # a closed queue starts nothing
        set_size(world, 1)
        await asyncio.sleep(AT_ONCE)
        assert world.spy.launches == ["hold/a", "p0/a"]
        set_size(world, None)
        await asyncio.sleep(AT_ONCE)
        assert all(world.jobs(f"p{number}") for number in range(6))
        assert await order_of(world) == [f"p{number}/a" for number in range(6)]


async def test_the_suspension_of_a_client() -> None:
    async with running(max_running_jobs=2, queue_size=2) as world:
        world.client("acme", priority=1)
        world.submit("p", *(shell(f"j{number}", seconds=20) for number in range(4)), clientId="acme")
        await asyncio.sleep(1)
        world.client("acme", priority=1, suspend=True)
        world.submit("late", shell("a"), clientId="acme")
        world.submit("other", *(shell(f"j{number}", seconds=1) for number in range(3)))
        await world.cluster.admin.wait_for(lambda: world.pipeline("other").get("state") == "DONE", 60)
        assert world.states("p") == {"j0": "DONE", "j1": "DONE", "j2": "READY", "j3": "READY"}
        assert world.spy.launches == ["p/j0", "p/j1", "other/j0", "other/j1", "other/j2"]
        world.client("acme", priority=1)
        await asyncio.sleep(AT_ONCE)
        assert world.spy.launches[5:] == ["p/j2", "p/j3"]
        assert set((await world.until_final()).values()) == {"DONE"}


async def test_the_suspension_of_a_pipeline_gives_its_place_to_the_next() -> None:
    async with running(max_running_jobs=1) as world:
        await hold(world)
        world.submit("p", shell("a", seconds=5), shell("b", seconds=5), priority=1)
        world.submit("q", shell("a", seconds=60))
        await asyncio.sleep(1)
        world.edit("p", suspend=True)
        await asyncio.sleep(90)
        world.edit("p", suspend=False)
        assert await order_of(world) == ["q/a", "p/a", "p/b"]


@pytest.mark.parametrize("edit", [{"maxRunningJobs": 3}, {"priority": 1}, {"queueSize": 9}, {"suspend": True}])
async def test_an_edit_of_a_client_looks_at_no_pipeline_of_it(edit: dict[str, Any]) -> None:
    """However much of it waits: only what decides whether a Pipeline is taken at all is judged anew."""
    async with running(max_running_jobs=0, queue_size=1) as world:
        for number in range(50):
            world.submit(f"p{number}", shell("a"))
        await asyncio.sleep(10)
        assert world.runtime is not None
        looks: list[str] = []
        reconcile = world.runtime._reconcile[Of.PIPELINE]

        async def count(uid: str) -> None:
            looks.append(uid)
            await reconcile(uid)

        world.runtime._reconcile[Of.PIPELINE] = count
        world.client("default", **edit)
        await asyncio.sleep(0.5)
        assert not looks
        world.client("default", **edit, allowedKinds=["K8S/Job"])
        await asyncio.sleep(0.5)
        assert len(set(looks)) == 50
