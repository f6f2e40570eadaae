"""QUEUE_SIZE on whole objects: a window over one order, which says what is divided ahead of its turn. It never keeps a
slot empty, never inverts the order, and nothing that fails holds room or a slot in it for ever.
"""

import asyncio
from typing import Any

import pytest

from task_pipeline.api.resources import PIPELINE_JOBS, PIPELINES
from task_pipeline.kube.errors import KubeError
from tests.fakes.faults import Request
from tests.fakes.refusals import forbidden, server_error
from tests.scenario.world import World, running, shell

pytestmark = [pytest.mark.looptime]

LONG = 3600.0
TERMINATING = "unable to create new content in namespace locked because it is being terminated"
NO_RIGHT = 'User "system:serviceaccount:task-pipeline:operator" cannot create resource "pipelinejobs"'
NO_ROOM = "exceeded quota: q, requested: count/pipelinejobs.taskpipeline.dev=1, used: 0, limited: 0"


async def hold(world: World, seconds: float = 60.0) -> None:
    """Take the only slot for a while."""
    world.submit("hold", shell("a", seconds=seconds), priority=0)
    await asyncio.sleep(1)
    assert world.spy.launches == ["hold/a"]


async def submit_all(world: World, *names: str, jobs: int = 1, **spec: Any) -> None:
    """Pipelines that arrive one after the other."""
    for name in names:
        world.submit(name, *(shell(f"j{number}") for number in range(jobs)), **spec)
        await asyncio.sleep(0.1)


def divided(world: World, *names: str) -> list[str]:
    """Those of the Pipelines that have children."""
    return [name for name in names if world.jobs(name)]


async def test_pipelines_that_do_not_fit_wait_undivided_and_start_in_order() -> None:
    async with running(max_running_jobs=1, queue_size=4) as world:
        await hold(world)
        await submit_all(world, "p", "q", "r", "s", jobs=2)
        await asyncio.sleep(5)
        assert divided(world, "p", "q", "r", "s") == ["p", "q"]
        assert [world.pipeline(name)["reason"] for name in ("r", "s")] == ["QueueFull", "QueueFull"]
        await world.until_final()
        assert world.spy.launches[1:] == [f"{name}/j{number}" for name in "pqrs" for number in range(2)]
        made = [request.body["spec"]["pipeline"] for request in world.cluster.journal.of("create", PIPELINE_JOBS)]
        assert list(dict.fromkeys(made)) == ["hold", "p", "q", "r", "s"]


async def test_one_that_does_not_fit_is_not_overtaken_by_smaller_ones_behind_it() -> None:
    async with running(max_running_jobs=1, queue_size=3) as world:
        await hold(world)
        await submit_all(world, "p", jobs=2)
        await submit_all(world, "large", jobs=2)
        await submit_all(world, "small")
        assert divided(world, "p", "large", "small") == ["p"]
        await world.until_final()
        assert world.spy.launches[1:] == ["p/j0", "p/j1", "large/j0", "large/j1", "small/j0"]


async def test_an_urgent_newcomer_is_divided_at_once_and_takes_the_next_slot() -> None:
    async with running(max_running_jobs=1, queue_size=3) as world:
        await hold(world)
        await submit_all(world, "p", jobs=3)
        await submit_all(world, *(f"q{number}" for number in range(50)))
        await submit_all(world, "urgent", priority=1)
        assert divided(world, "urgent") == ["urgent"]
        await asyncio.sleep(5)
        assert [world.job("p", name)["reason"] for name in ("j1", "j2")] == ["Queued", "QueueFull"]
        await world.until_final("urgent")
        assert world.spy.launches[:2] == ["hold/a", "urgent/j0"]


async def test_the_next_stage_of_what_runs_displaces_what_is_worse() -> None:
    async with running(max_running_jobs=1, queue_size=2) as world:
        world.submit("p", shell("a", seconds=10), shell("b", "t"), shell("c", "t"), priority=1)
        await submit_all(world, "q", "r", "s", jobs=1)
        await world.until_final()
        assert world.spy.launches == ["p/a", "p/b", "p/c", "q/j0", "r/j0", "s/j0"]


@pytest.mark.parametrize("blocked", [{"maxRunningJobs": 1}, {"suspend": True}, {"maxRunningJobs": 0}])
async def test_a_window_full_of_one_clients_blocked_work_stops_nobody_else(blocked: dict[str, Any]) -> None:
    async with running(max_running_jobs=5, queue_size=4) as world:
        world.client("acme", priority=1)
        world.submit("busy", shell("a", seconds=LONG), clientId="acme")
        await asyncio.sleep(1)
        world.change_settings(max_running_jobs=1)
        await submit_all(world, "p", "q", "r", clientId="acme", jobs=2)
        world.client("acme", priority=1, **blocked)
        await submit_all(world, "other1", "other2", jobs=2)
        world.change_settings(max_running_jobs=5)
        assert await world.until_final("other1", "other2", seconds=20) == {"other1": "DONE", "other2": "DONE"}
        assert world.spy.launches[1:] == ["other1/j0", "other1/j1", "other2/j0", "other2/j1"]
        world.client("acme", priority=1)
        assert set((await world.until_final("p", "q", "r", seconds=20)).values()) == {"DONE"}


@pytest.mark.parametrize(("size", "jobs"), [(1, 1), (1, 5), (3, 5), (2, 2)])
@pytest.mark.parametrize("slots", [1, 2, 7])
async def test_small_windows_keep_order_and_slots_busy(size: int, jobs: int, slots: int) -> None:
    """Size 1, and sizes smaller than one stage: slower to divide, never out of order, no slot left empty."""
    async with running(max_running_jobs=0, queue_size=size) as world:
        for number in range(5):
            world.submit(f"p{number}", *(shell(f"j{one}", seconds=9 - one % 2) for one in range(jobs)))
            await asyncio.sleep(0.1)
        await asyncio.sleep(1)  # every acceptance is written: a Pipeline is not divided while its status is on its way
        world.change_settings(max_running_jobs=slots)
        await asyncio.sleep(1)
        assert len(world.spy.running.members) == min(slots, 5 * jobs)
        assert set((await world.until_final()).values()) == {"DONE"}
        assert world.spy.launches == [f"p{number}/j{one}" for number in range(5) for one in range(jobs)]
        assert world.spy.running.most == min(slots, 5 * jobs)


@pytest.mark.parametrize("how", ["kill", "stop"])
async def test_a_restart_with_the_queue_full_gives_the_same_order(how: str) -> None:
    async with running(max_running_jobs=1, queue_size=5) as world:
        world.client("acme", priority=5, queueSize=2)
        await hold(world)
        for number in range(12):
            client = ("default", "acme")[number % 2]
            jobs = (shell(f"j{one}", priority=10 - one) for one in range(1 + number % 3))
            world.submit(f"p{number}", *jobs, clientId=client, priority=10 - number % 4)
            await asyncio.sleep(0.1)
        await asyncio.sleep(3)
        assert world.runtime is not None
        before = list(world.runtime.scheduler.queue.order())
        await getattr(world, how)()
        await world.start()
        await asyncio.sleep(3)
        assert world.runtime is not None
        after = list(world.runtime.scheduler.queue.order())
        assert [(entry.id, entry.zone) for entry in after] == [(entry.id, entry.zone) for entry in before]
        assert [entry.key for entry in after] == [entry.key for entry in before]
        await world.until_final()
        assert world.spy.running.most == 1


def in_locked(request: Request) -> bool:
    return (request.verb, request.resource, request.namespace) == ("create", PIPELINE_JOBS, "locked")


@pytest.mark.parametrize("why", [TERMINATING, NO_RIGHT, NO_ROOM])
@pytest.mark.parametrize("size", [1, 1000])
async def test_a_namespace_that_takes_no_jobs_holds_no_slot_and_no_room(size: int, why: str) -> None:
    async with running(max_running_jobs=1, queue_size=size) as world:
        world.cluster.admin.namespace("locked")
        refuse = world.cluster.fault(in_locked, before=lambda: forbidden(PIPELINE_JOBS, "x", why), times=None)
        await submit_all(world, "bad1", "bad2", namespace="locked", priority=1, jobs=3)
        await submit_all(world, "p", "q")
        assert await world.until_final("p", "q", seconds=10) == {"p": "DONE", "q": "DONE"}
        await asyncio.sleep(300)
        assert refuse.hits <= 2 * 3 * 12
        told = world.pipeline("bad1")
        assert (told["state"], told["reason"]) == ("READY", "QuotaExceeded" if why == NO_ROOM else "Queued")
        assert why in told["message"]
        await submit_all(world, "r", "s")
        assert await world.until_final("r", "s", seconds=10) == {"r": "DONE", "s": "DONE"}
        refuse.remove()
        assert await world.until_final("bad1", "bad2", seconds=60) == {"bad1": "DONE", "bad2": "DONE"}


@pytest.mark.parametrize(
    ("answer", "most"), [(forbidden(PIPELINE_JOBS, "x", NO_RIGHT), 11 * 16), (server_error(), 16 * 100)]
)
async def test_a_large_stage_that_cannot_be_created_costs_few_requests(answer: KubeError, most: int) -> None:
    async with running() as world:
        world.cluster.admin.namespace("locked")
        refuse = world.cluster.fault(in_locked, before=answer, times=None)
        await submit_all(world, "bad", namespace="locked", jobs=100)
        await asyncio.sleep(300)
        assert refuse.hits <= most


@pytest.mark.parametrize("slots", [1, 3])
@pytest.mark.parametrize("failures", [1, 3, 40])
async def test_a_division_that_fails_half_way_leaks_no_slot(slots: int, failures: int) -> None:
    """Every second creation fails, so that some jobs of each stage exist and run before others exist."""
    async with running(max_running_jobs=slots, queue_size=4) as world:
        calls = 0

        def every_second(request: Request) -> bool:
            nonlocal calls
            calls += (request.verb, request.resource) == ("create", PIPELINE_JOBS)
            return (request.verb, request.resource) == ("create", PIPELINE_JOBS) and calls % 2 == 0

        world.cluster.fault(every_second, before=server_error(), times=failures)
        for number in range(3):
            jobs = (shell(f"j{one}", f"s{one // 4}", seconds=3) for one in range(8))
            world.submit(f"p{number}", *jobs)
        assert set((await world.until_final()).values()) == {"DONE"}
        assert len(world.spy.launches) == 24
        assert world.spy.running.most == slots
        assert world.runtime is not None
        assert world.runtime.scheduler.queue.running == 0
        assert world.runtime.scheduler.queue.enqueued == 0


@pytest.mark.parametrize("answer", [server_error(), forbidden(PIPELINE_JOBS, "x", TERMINATING)])
@pytest.mark.parametrize("end", ["delete", "cancel", "suspend"])
async def test_what_ends_while_its_division_fails_leaves_nothing_in_the_queue(answer: KubeError, end: str) -> None:
    async with running(max_running_jobs=1, queue_size=2) as world:
        world.cluster.admin.namespace("locked")
        world.cluster.fault(in_locked, before=answer, times=None)
        await submit_all(world, "bad", namespace="locked", priority=1, jobs=3)
        await asyncio.sleep(1)
        if end == "delete":
            world.cluster.admin.delete(PIPELINES, "bad", "locked")
        else:
            world.edit("bad", **({"cancel": "Now"} if end == "cancel" else {"suspend": True}))
        await asyncio.sleep(1)
        assert world.runtime is not None
        assert len(world.runtime.scheduler.queue) == 0
        assert world.runtime.scheduler.queue.running == 0
        await submit_all(world, "p")
        assert await world.until_final("p", seconds=5) == {"p": "DONE"}
