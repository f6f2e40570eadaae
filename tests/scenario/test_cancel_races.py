"""Both orders of every race between a cancel and something else (semantics row 20: first committed end wins).

Which of two things the operator hears of first is decided by silencing a watch.
"""

import asyncio
from typing import Any

import pytest

from task_pipeline.api.resources import PIPELINE_JOBS, PIPELINES, PODS, Resource
from tests.fakes.fates import Fate
from tests.scenario.laws import Laws
from tests.scenario.test_cancel_matrix import (
    CANCELLED,
    DONE,
    LATER,
    WISHES,
    cancel,
    ends,
    in_backoff,
    nothing_is_left,
    run,
    until_final,
    until_told,
    waiting,
)
from tests.scenario.world import World, running, shell

pytestmark = [pytest.mark.looptime]

SLOW_TO_STOP = 20.0


def finish(world: World, exit_code: int = 0) -> None:
    """Let the pod of `a` end now."""
    world.cluster.kubelet.finish(world.pods()[0]["metadata"]["uid"], exit_code)


async def run_slow_to_stop(world: World, **fields: Any) -> None:
    """`a` runs, and takes its time to end when it is told to."""
    world.cluster.kubelet.fate = lambda _: Fate(seconds=600, stop_seconds=SLOW_TO_STOP, stop_exit_code=0)
    world.submit("p", shell("a", **fields), LATER)
    await until_told(world, "IN PROGRESS", "Running")


NEWS: dict[str, Resource | None] = {
    "the end": None,
    "the end, Pipelines are silent": PIPELINES,
    "the end, PipelineJobs are silent": PIPELINE_JOBS,
}


@pytest.mark.parametrize("wish", WISHES)
@pytest.mark.parametrize("exit_code", [0, 3])
@pytest.mark.parametrize("silent", NEWS)
async def test_row_20_what_has_ended_is_told_although_a_cancel_follows(silent: str, exit_code: int, wish: str) -> None:
    async with running() as world:
        laws = Laws(world.cluster)
        await run(world)
        resource = NEWS[silent]
        if resource is not None:
            world.cluster.freeze_watches(resource)
        finish(world, exit_code)
        if resource is not None:
            await asyncio.sleep(0)
            cancel(world, wish)
            await asyncio.sleep(0.05)
            world.cluster.freeze_watches(resource, False)
        else:
            await until_told(world, "ERROR" if exit_code else "DONE")
            cancel(world, wish)
        await until_final(world, 60)
        of_job, of_pipeline = ends(world)
        assert of_job == (("ERROR", "ExitCode") if exit_code else DONE)
        if exit_code and wish.startswith("PipelineJob"):
            assert of_pipeline == ("ERROR", "JobFailed")
        elif exit_code:
            assert of_pipeline in (("ERROR", "JobFailed"), CANCELLED)
        else:
            assert of_pipeline == (DONE if world.states("p").get("later") == "DONE" else CANCELLED)
            assert of_pipeline == DONE or wish.startswith("Pipeline ")
        nothing_is_left(world, laws)


@pytest.mark.parametrize("wish", ["Pipeline Now", "PipelineJob Now"])
@pytest.mark.parametrize("exit_code", [0, 3])
async def test_row_20_a_result_that_comes_after_the_cancel_changes_nothing(exit_code: int, wish: str) -> None:
    async with running() as world:
        laws = Laws(world.cluster)
        await run(world)
        world.cluster.freeze_watches(PODS)
        cancel(world, wish)
        finish(world, exit_code)
        await until_told(world, "READY", "Stopping")
        world.cluster.freeze_watches(PODS, False)
        await until_final(world, 60)
        assert ends(world) == (CANCELLED, CANCELLED)
        nothing_is_left(world, laws)


@pytest.mark.parametrize("wish", ["Pipeline Now", "PipelineJob Now"])
async def test_row_20_a_program_that_ends_well_when_it_is_told_to_stop_is_cancelled_all_the_same(wish: str) -> None:
    async with running() as world:
        laws = Laws(world.cluster)
        await run_slow_to_stop(world, retryAttempt=3)
        cancel(world, wish)
        await asyncio.sleep(SLOW_TO_STOP - 5)
        job = world.job("p", "a")
        assert (job["state"], job["reason"]) == ("READY", "Stopping")
        assert world.runtime is not None
        assert world.runtime.scheduler.queue.running == 1, "its slot is taken as long as its pod lives"
        await until_final(world, 10)
        assert ends(world) == (CANCELLED, CANCELLED)
        assert [one["outcome"] for one in world.job("p", "a")["attempts"]] == ["Cancelled"]
        nothing_is_left(world, laws)


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("wish", ["Pipeline Now", "PipelineJob Now"])
@pytest.mark.parametrize("instead", [None, "Drain"])
async def test_row_20_a_cancel_that_is_withdrawn_while_it_stops_has_cancelled(
    instead: str | None, wish: str, restart: bool
) -> None:
    async with running() as world:
        laws = Laws(world.cluster)
        await run_slow_to_stop(world)
        cancel(world, wish)
        await until_told(world, "READY", "Stopping")
        await asyncio.sleep(1)
        if restart:
            await world.kill()
        if wish.startswith("PipelineJob"):
            world.edit_job("p", "a", cancel=instead)
        else:
            world.edit("p", cancel=instead)
        if restart:
            await world.start()
        await until_final(world, SLOW_TO_STOP + 5)
        assert ends(world) == (CANCELLED, CANCELLED)
        assert "p/later" not in world.spy.launches
        nothing_is_left(world, laws)


async def test_row_20_a_withdrawn_cancel_keeps_its_reason_whatever_fails_meanwhile() -> None:
    async with running() as world:
        world.cluster.kubelet.fate = lambda pod: Fate(seconds=600, stop_seconds=SLOW_TO_STOP)
        world.submit("p", shell("a"), shell("bad"), LATER, failFast=True)
        await until_told(world, "IN PROGRESS", "Running")
        await until_told(world, "IN PROGRESS", "Running", "bad")
        world.edit_job("p", "a", cancel="Now")
        await until_told(world, "READY", "Stopping")
        bad = world.job("p", "bad")["workload"]["uid"]
        world.cluster.kubelet.finish(bad, 1)
        await until_told(world, "ERROR", job="bad")
        world.edit_job("p", "a", cancel=None)
        await until_final(world, SLOW_TO_STOP + 5)
        assert ends(world) == (CANCELLED, CANCELLED)
        assert world.job("p", "a")["message"] == "the job was cancelled (Now)"


async def test_row_20_a_cancel_that_is_withdrawn_before_it_is_seen_never_was() -> None:
    async with running() as world:
        await run(world)
        world.cluster.freeze_watches(PIPELINES)
        world.edit("p", cancel="Now")
        world.edit("p", cancel=None)
        world.cluster.freeze_watches(PIPELINES, False)
        assert await world.until_final("p", seconds=700) == {"p": "DONE"}


@pytest.mark.parametrize("what", [PIPELINES, PIPELINE_JOBS])
async def test_row_20_deleted_while_it_stops(what: Resource) -> None:
    async with running(max_running_jobs=1) as world:
        laws = Laws(world.cluster)
        await run_slow_to_stop(world)
        world.edit("p", cancel="Now")
        await until_told(world, "READY", "Stopping")
        world.cluster.kubelet.fate = lambda _: None
        world.submit("next", shell("x"))
        name = "p" if what is PIPELINES else world.jobs("p")[0]["metadata"]["name"]
        world.cluster.admin.delete(what, name)
        await asyncio.sleep(5)
        assert world.spy.launches == ["p/a"], "the slot is taken as long as the pod lives"
        assert await world.until_final("next", seconds=SLOW_TO_STOP + 40) == {"next": "DONE"}
        if what is PIPELINE_JOBS:
            assert await world.until_final("p", seconds=5) == {"p": "CANCELLED"}
        laws.check()


@pytest.mark.parametrize("how", ["Now", "Drain"])
@pytest.mark.parametrize("before", [0.0, 0.001])
async def test_row_9_a_cancel_in_the_instant_of_the_deadline_counts_more(how: str, before: float) -> None:
    async with running() as world:
        laws = Laws(world.cluster)
        world.submit("p", shell("a", seconds=600), LATER, timeout=30)
        await until_told(world, "IN PROGRESS")
        launched = world.spy.launched_at["p/a"]
        await asyncio.sleep(launched + 30 - before - world.now)
        world.edit("p", cancel=how)
        await until_final(world, 60)
        assert ends(world) == (CANCELLED, CANCELLED)
        assert world.now < launched + 32, "the deadline stops what Drain would let finish"
        nothing_is_left(world, laws)


async def test_row_20_drain_and_then_now() -> None:
    async with running(max_running_jobs=1) as world:
        laws = Laws(world.cluster)
        world.submit("p", shell("a", seconds=600), shell("b"), LATER)
        await until_told(world, "IN PROGRESS", "Running")
        world.edit("p", cancel="Drain")
        await until_told(world, "CANCELLED", job="b", seconds=1)
        await asyncio.sleep(30)
        assert world.states("p")["a"] == "IN PROGRESS"
        assert world.pipeline("p")["state"] == "IN PROGRESS"
        world.edit("p", cancel="Now")
        await until_final(world, 2)
        assert ends(world) == (CANCELLED, CANCELLED)
        nothing_is_left(world, laws)


async def test_row_20_drain_that_is_withdrawn_lets_the_rest_go_on() -> None:
    """What it has cancelled stays cancelled, and counts."""
    async with running(max_running_jobs=1) as world:
        world.submit("p", shell("a", seconds=60), shell("b"), LATER)
        await until_told(world, "IN PROGRESS", "Running")
        world.edit("p", cancel="Drain")
        await until_told(world, "CANCELLED", job="b", seconds=1)
        world.edit("p", cancel=None)
        await until_final(world, 100)
        assert world.states("p") == {"a": "DONE", "b": "CANCELLED"}
        assert ends(world)[1] == CANCELLED


@pytest.mark.parametrize("times", [2, 10])
async def test_row_20_b034_many_cancels_are_one(times: int) -> None:
    async with running() as world:
        laws = Laws(world.cluster)
        await run_slow_to_stop(world)
        for number in range(times):
            cancel(world, WISHES[0 if number % 2 else 2])
            await asyncio.sleep(0.1)
        await until_final(world, SLOW_TO_STOP + 5)
        assert ends(world) == (CANCELLED, CANCELLED)
        assert len(world.cluster.journal.of("delete", PODS)) == 1
        nothing_is_left(world, laws)


@pytest.mark.parametrize("situation", [waiting, in_backoff])
async def test_row_20_a_cancel_and_a_resume_in_one_edit(situation: Any) -> None:
    async with running(max_running_jobs=1, retry_backoff=30.0) as world:
        laws = Laws(world.cluster)
        await situation(world)
        world.edit("p", suspend=True)
        await asyncio.sleep(60)
        launches = len(world.spy.launches)
        world.edit("p", suspend=False, cancel="Now")
        await until_final(world, 1)
        assert ends(world) == (CANCELLED, CANCELLED)
        assert len(world.spy.launches) == launches
        nothing_is_left(world, laws)
