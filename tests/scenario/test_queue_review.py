"""Histories in which the queue once stopped, leaked, or told the wrong thing: edits and deletions at a bad moment."""

import asyncio
from typing import Any

import pytest

from task_pipeline.api.resources import PIPELINE_JOBS, PIPELINES, PODS, Resource
from tests.fakes import on
from tests.fakes.refusals import server_error
from tests.scenario.world import running, shell

pytestmark = [pytest.mark.looptime]
NAMESPACES = Resource("", "v1", "namespaces", "Namespace")


def changed(name: str) -> dict[str, Any]:
    job = shell(name)
    job["params"]["script"] = "changed"
    return job


async def test_a_pipeline_deleted_while_an_edit_is_carried_out_stops_nobody() -> None:
    async with running(max_running_jobs=1) as world:
        world.submit("hold", shell("a", seconds=60), priority=0)
        await asyncio.sleep(1)
        world.submit("p", shell("a"), shell("b"), priority=1)
        await asyncio.sleep(3)
        world.cluster.fault(on("delete", PIPELINE_JOBS), delay=1.0, times=None)
        world.edit("p", jobs=[changed("a"), shell("b")])
        await asyncio.sleep(0.3)
        world.cluster.admin.delete(PIPELINES, "p", "default")
        await asyncio.sleep(5)
        world.submit("other", shell("a"))
        assert await world.until_final("other", seconds=100) == {"other": "DONE"}
        assert world.runtime is not None
        assert len(world.runtime.scheduler.queue) == 0


async def test_nothing_of_an_old_spec_starts_while_it_is_being_replaced() -> None:
    async with running(max_running_jobs=1) as world:
        world.cluster.latency = 0.02
        world.submit("hold", shell("a", seconds=10), priority=0)
        await asyncio.sleep(1)
        names = [f"j{number}" for number in range(100)]
        world.submit("p", *map(shell, names), priority=1)
        await world.cluster.admin.wait_for(lambda: len(world.jobs("p")) == 100, 8)
        await asyncio.sleep(2)
        world.edit("p", jobs=[changed(name) for name in names])
        await asyncio.sleep(0.05)
        world.change_settings(max_running_jobs=5)
        assert await world.until_final("p", seconds=2000) == {"p": "DONE"}
        pods = [request for request in world.cluster.journal.of("create", PODS) if request.committed]
        assert sum("changed" in str(request.body) for request in pods) == len(pods) - 1 == 100


async def test_made_up_clients_leave_nothing_behind() -> None:
    async with running() as world:
        for number in range(50):
            world.submit(f"p{number}", shell("a"), clientId=f"nobody-{number}")
        await asyncio.sleep(2)
        assert world.runtime is not None
        assert list(world.runtime.scheduler.queue.lanes) == ["default"]


async def test_launches_that_keep_failing_keep_no_slot() -> None:
    async with running(max_running_jobs=2) as world:

        def is_broken(request: Any) -> bool:
            return request.verb == "create" and request.resource is PODS and request.namespace == "bad"

        world.cluster.fault(is_broken, before=server_error(), times=None)
        world.cluster.admin.create(NAMESPACES, {"metadata": {"name": "bad"}})
        world.client("bad", priority=1)
        world.submit("bad", *(shell(f"j{number}") for number in range(6)), namespace="bad", clientId="bad")
        await asyncio.sleep(1)
        world.submit("good", shell("a"), shell("b"))
        assert await world.until_final("good", seconds=60) == {"good": "DONE"}
        await asyncio.sleep(60)
        statuses = [job["status"] for job in world.cluster.admin.list(PIPELINE_JOBS, "bad")]
        assert all(status["state"] == "READY" for status in statuses)
        assert any("the launch fails" in status.get("message", "") for status in statuses)


async def test_a_slot_given_before_an_edit_counts_for_the_new_client() -> None:
    async with running(max_running_jobs=5) as world:
        world.client("closed", maxRunningJobs=0)
        world.cluster.fault(on("create", PIPELINE_JOBS), before=server_error(), times=4)
        world.submit("p", shell("a", seconds=50))
        await asyncio.sleep(0.1)
        world.edit("p", clientId="closed")
        await asyncio.sleep(10)
        assert world.spy.launches == []
        assert [job["spec"]["clientId"] for job in world.jobs("p")] == ["closed"]


async def test_pipelines_that_cannot_tell_keep_nobody_else_from_telling() -> None:
    async with running(max_running_jobs=1) as world:
        world.client("s")
        world.submit("hold", shell("a", seconds=10_000), priority=0)
        await asyncio.sleep(1)
        world.change_settings(queue_size=1)
        world.submit("first", shell("a"), priority=1)
        await asyncio.sleep(3)
        for number in range(20):
            world.submit(f"d{number}", shell("a"), shell("b"), clientId="s", priority=5)
            world.cluster.admin.patch(PIPELINES, f"d{number}", {"metadata": {"finalizers": ["x/y"]}}, "default")
        world.submit("y", shell("a"), shell("b"), clientId="s", priority=60)
        await asyncio.sleep(10)
        for number in range(20):
            world.cluster.admin.delete(PIPELINES, f"d{number}", "default")
        await asyncio.sleep(10)
        world.client("s", suspend=True)
        await world.cluster.admin.wait_for(lambda: world.pipeline("y").get("reason") == "ClientSuspended", 10)
        for number in range(20):
            world.cluster.admin.patch(PIPELINES, f"d{number}", {"metadata": {"finalizers": None}}, "default")
        world.edit("hold", cancel="Now")
        await asyncio.sleep(30)
