"""What goes wrong between the parts: wake-ups that nobody gives, workloads that nobody claims, loops without rest."""

import asyncio
from typing import Any

import pytest

from task_pipeline.api.resources import PIPELINE_JOBS, PODS
from task_pipeline.controller.workqueue import Of
from task_pipeline.kinds import registry
from task_pipeline.kube.errors import Gone, Unreachable
from tests.fakes import on
from tests.scenario.world import World, running, shell

pytestmark = [pytest.mark.looptime]


async def until(world: World, pipeline: str, job: str, state: str, seconds: float = 10) -> None:
    await world.cluster.admin.wait_for(
        lambda: world.states(pipeline).get(job) == state, seconds, what=f"{pipeline}/{job} to be {state}"
    )


async def test_a_launch_makes_room_in_the_queue_for_the_next_pipeline() -> None:
    async with running(queue_size=1) as world:
        for name in ("p", "q", "r"):
            world.submit(name, shell("a", seconds=600))
        for name in ("p", "q", "r"):
            await until(world, name, "a", "IN PROGRESS")


async def test_the_cancel_of_a_waiting_job_makes_room_in_the_queue() -> None:
    async with running(queue_size=1, max_running_jobs=0) as world:
        world.submit("p", shell("a"))
        await until(world, "p", "a", "READY")
        world.submit("q", shell("a"))
        await world.cluster.admin.wait_for(lambda: world.pipeline("q").get("reason") == "QueueFull", 10)
        assert not world.jobs("q")
        world.edit("p", cancel="Now")
        await until(world, "q", "a", "READY")


async def test_a_pipeline_that_is_let_in_and_cancelled_before_it_is_divided_makes_room() -> None:
    async with running(queue_size=2) as world:
        for number in range(6):
            world.submit(f"p{number}", shell("a"), shell("b"))
            world.edit(f"p{number}", cancel="Now")
        world.submit("last", shell("a"), shell("b"))
        states = await world.until_final(seconds=30)
        assert states["last"] == "DONE"


async def test_an_edit_of_a_pipelines_priority_moves_its_waiting_jobs() -> None:
    async with running(max_running_jobs=1) as world:
        world.submit("hold", shell("a", seconds=60))
        await until(world, "hold", "a", "IN PROGRESS")
        world.submit("p", shell("a", seconds=60))
        world.submit("q", shell("a", seconds=60))
        await until(world, "p", "a", "READY")
        await until(world, "q", "a", "READY")
        world.edit("q", priority=1)
        await until(world, "q", "a", "IN PROGRESS", 100)
        assert world.states("p") == {"a": "READY"}


@pytest.mark.parametrize("crash", [False, True])
async def test_a_workload_whose_creation_nobody_heard_of_is_removed_when_its_job_is_cancelled(crash: bool) -> None:
    async with running() as world:
        lost = world.cluster.fault(on("create", PODS), after=Unreachable("no answer"))
        world.submit("p", shell("a", seconds=6000))
        await world.cluster.admin.wait_for(lambda: lost.spent, 10)
        if crash:
            await world.kill()
        world.edit("p", cancel="Now")
        if crash:
            await world.start()
        assert await world.until_final(seconds=60) == {"p": "CANCELLED"}
        await world.cluster.admin.wait_for(lambda: not world.pods(), 60, what="the pod to be removed")


async def test_a_workload_without_its_label_is_followed_without_haste() -> None:
    async with running() as world:
        world.submit("p", shell("a", seconds=100))
        await until(world, "p", "a", "IN PROGRESS")
        world.cluster.journal.clear()
        labels = {"metadata": {"labels": {"taskpipeline.dev/job-hash": None}}}
        world.cluster.admin.patch(PODS, world.pods()[0]["metadata"]["name"], labels)
        assert await world.until_final(seconds=200) == {"p": "DONE"}
        assert len(world.cluster.journal.of("get", PODS)) <= 60


async def test_what_was_created_and_vanished_while_no_watch_was_there_is_noticed() -> None:
    async with running(max_running_jobs=1) as world:
        for resource in (PODS,):
            world.cluster.freeze_watches(resource, True)
        world.submit("p", shell("a", seconds=500))
        await until(world, "p", "a", "IN PROGRESS")
        world.cluster.admin.delete(PODS, world.pods()[0]["metadata"]["name"], grace=0)
        world.cluster.break_watches(PODS, Gone(410, "Expired", "too old"))
        world.cluster.freeze_watches(PODS, False)
        assert await world.until_final(seconds=900) == {"p": "DONE"}


async def test_a_retry_at_once_keeps_to_the_order() -> None:
    async with running(max_running_jobs=1, retry_backoff=0.0) as world:
        world.submit("low", shell("a", seconds=20, exit_code=1, retryAttempt=1), priority=50)
        await until(world, "low", "a", "IN PROGRESS")
        world.submit("high", shell("a", seconds=20), priority=1)
        await until(world, "high", "a", "IN PROGRESS", 25)
        assert world.states("low") == {"a": "READY"}


async def test_nothing_is_remembered_of_what_is_gone() -> None:
    async with running() as world:
        world.submit("p", shell("a", seconds=50, retryAttempt=1))
        await until(world, "p", "a", "IN PROGRESS")
        world.cluster.admin.delete(PODS, world.pods()[0]["metadata"]["name"], grace=0)
        assert await world.until_final() == {"p": "DONE"}
        world.cluster.admin.delete(PIPELINE_JOBS, world.jobs("p")[0]["metadata"]["name"])
        await asyncio.sleep(30)
        assert world.runtime is not None
        workloads = getattr(world.runtime._reconcile[Of.JOB], "__self__")._workloads  # noqa: B009 (a bound method's own)
        assert not workloads._gone
        assert not workloads._live
        assert not workloads._below


async def test_an_answer_that_is_no_json_does_not_end_a_watch() -> None:
    async with running() as world:
        assert world.runtime is not None
        listing = world.cluster.list
        broken = 2

        async def garbage(*arguments: Any, **options: Any) -> bytes:
            nonlocal broken
            broken -= 1
            return b"<html>" if broken >= 0 else await listing(*arguments, **options)

        world.cluster.list = garbage  # type: ignore[method-assign]
        world.cluster.break_watches(PODS, Gone(410, "Expired", "too old"))
        await asyncio.sleep(30)
        assert world.runtime.fault() is None
        world.submit("p", shell("a"))
        assert await world.until_final() == {"p": "DONE"}


async def test_params_that_another_operator_found_right_end_the_job_and_free_its_slot(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def parse(kind: str, version: str, params: Any) -> Any:
        raise ValueError("image: is not known any more")

    async with running(max_running_jobs=1) as world:
        monkeypatch.setattr(registry, "parse", parse)
        world.submit("p", shell("a"))
        assert await world.until_final(seconds=60) == {"p": "ERROR"}
        monkeypatch.undo()
        assert "not known any more" in world.job("p", "a")["message"]
        world.submit("q", shell("a"))
        assert await world.until_final(seconds=60) == {"p": "ERROR", "q": "DONE"}
