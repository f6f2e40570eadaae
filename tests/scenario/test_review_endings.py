"""Ends of runs that meet something else: another wish, another setting, a queue in which the clean-up waits."""

import asyncio
from typing import Any

import pytest

from task_pipeline.api.resources import DEPLOYMENTS, EVENTS, PIPELINE_JOBS, PIPELINES, PODS
from task_pipeline.api.times import parse_time
from task_pipeline.kube.errors import ApiError, Forbidden, Invalid
from tests.fakes import fates, on
from tests.scenario.test_fates_rollout import BAD, OLD, image_of, made_by_hand, rollout, shop, stuck_is
from tests.scenario.world import World, running, shell

pytestmark = [pytest.mark.looptime]


def run_of(world: World) -> int:
    """The number of the run of Pipeline p."""
    return int(world.pipeline("p").get("run", 1))


async def in_the_cleaners_queue(world: World, **spec: Any) -> None:
    """Pipeline p is over and due, and waits behind another whose removal takes its time."""
    slow = world.cluster.fault(on("delete"), delay=60.0)
    world.submit("first", shell("a"), ttlSecondsAfterFinished=10)
    world.submit("p", shell("a", seconds=1), ttlSecondsAfterFinished=11, **spec)
    await world.until_final()
    await world.cluster.admin.wait_for(lambda: slow.hits, 120)
    await asyncio.sleep(3)


async def test_a_rerun_that_ends_while_the_clean_up_waits_keeps_what_it_made() -> None:
    async with running() as world:
        await in_the_cleaners_queue(world)
        world.edit("p", rerun={"id": "1", "scope": "All"}, ttlSecondsAfterFinished=5000)
        await world.cluster.admin.wait_for(lambda: run_of(world) == 2, 2)
        assert await world.until_final("p") == {"p": "DONE"}
        await asyncio.sleep(300)
        assert [job["spec"]["run"] for job in world.jobs("p")].count(2) == 1


async def test_a_pipeline_that_is_to_stay_after_all_is_not_deleted() -> None:
    async with running() as world:
        await in_the_cleaners_queue(world, ttlPolicy="Delete")
        world.edit("p", ttlPolicy="Slim")
        await asyncio.sleep(300)
        assert "p" in {one["metadata"]["name"] for one in world.cluster.admin.list(PIPELINES)}


async def test_a_longer_time_to_live_saves_what_waits_for_its_removal() -> None:
    async with running() as world:
        await in_the_cleaners_queue(world)
        world.edit("p", ttlSecondsAfterFinished=100000)
        await asyncio.sleep(300)
        assert len(world.jobs("p")) == 1


async def test_a_shorter_time_to_live_in_the_settings_counts_at_once() -> None:
    async with running() as world:
        world.submit("p", shell("a"))
        await world.until_final()
        await asyncio.sleep(100)
        world.change_settings(ttl_seconds_after_finished=60)
        await asyncio.sleep(10)
        assert not world.jobs("p")


async def test_a_launch_that_is_refused_is_no_slow_start() -> None:
    async with running() as world:
        world.cluster.fault(on("create", PODS), before=Invalid(422, "Invalid", "spec.x: no"))
        world.submit("p", shell("a"))
        assert await world.until_final() == {"p": "ERROR"}
        await asyncio.sleep(10)
        found = sorted((one["reason"], one["action"]) for one in world.cluster.admin.list(EVENTS))
        assert found == [("JobFailed", "End"), ("PodRejected", "End")]


async def test_an_answer_to_a_rerun_is_no_second_failure() -> None:
    async with running() as world:
        world.submit("p", shell("a", exit_code=1))
        await world.until_final()
        await asyncio.sleep(1000)
        before = len(world.cluster.admin.list(EVENTS))
        world.edit("p", cancel="Now", rerun={"id": "1"})
        await world.cluster.admin.wait_for(lambda: "rerun 1 waits" in world.pipeline("p")["message"], 60)
        await asyncio.sleep(10)
        assert len(world.cluster.admin.list(EVENTS)) == before


async def test_a_rerun_that_is_not_asked_for_any_more_is_not_told_of() -> None:
    async with running() as world:
        world.submit("p", shell("a", exit_code=1))
        await world.until_final()
        said = world.pipeline("p")["message"]
        world.edit("p", cancel="Now", rerun={"id": "1"})
        await world.cluster.admin.wait_for(lambda: "rerun 1 waits" in world.pipeline("p")["message"], 60)
        world.edit("p", cancel=None, rerun=None)
        await asyncio.sleep(30)
        assert world.pipeline("p")["message"] == said


async def test_a_removal_that_is_refused_for_good_is_not_asked_for_all_the_time() -> None:
    async with running() as world:
        world.submit("p", shell("a"), ttlSecondsAfterFinished=1)
        await world.until_final()
        refused = world.cluster.fault(on("delete"), before=Forbidden(403, "Forbidden", "denied by policy"), times=None)
        await asyncio.sleep(3600)
        assert 2 <= refused.hits <= 10
        refused.remove()
        await world.cluster.admin.wait_for(lambda: not world.jobs(), 700)


async def test_a_rerun_that_waited_too_long_keeps_its_turn_when_it_is_divided() -> None:
    """maxWaitSeconds bounds the wait from the moment at which the run was asked for, not from its division."""
    async with running(queue_size=1, max_running_jobs=1) as world:
        world.client("patient", maxWaitSeconds=300, priority=50)
        world.submit("p", shell("a"), clientId="patient")
        await world.until_final()
        for number in range(40):
            world.submit(f"other-{number:02}", shell("a", seconds=30))
        await asyncio.sleep(5)
        world.edit("p", rerun={"id": "1", "scope": "All"})
        await world.cluster.admin.wait_for(lambda: world.pipeline("p").get("startTime") and run_of(world) == 2, 2000)
        status = world.pipeline("p")
        waited = parse_time(status["startTime"]) - parse_time(status["acceptedTime"])
        assert 300 <= waited.total_seconds() < 300 + 35
        await world.until_final(seconds=2000)


async def test_a_rerun_waits_for_what_a_deleted_job_has_left_behind() -> None:
    """Two pods that do the same work at the same time are what nobody asked for."""
    async with running() as world:
        world.cluster.kubelet.fate = lambda _: fates.Fate(seconds=100, stop_seconds=25.0)
        world.submit("p", shell("a"))
        await asyncio.sleep(10)
        world.cluster.admin.delete(PIPELINE_JOBS, world.jobs("p")[0]["metadata"]["name"])
        assert await world.until_final("p") == {"p": "ERROR"}
        world.edit("p", rerun={"id": "1"})
        waits = "rerun 1 waits until the workloads of deleted PipelineJobs have ended"
        await world.cluster.admin.wait_for(lambda: world.pipeline("p")["message"] == waits, 10)
        assert len(world.pods()) == 1
        await world.cluster.admin.wait_for(lambda: run_of(world) == 2, 30)
        assert not world.pods()
        assert await world.until_final("p") == {"p": "DONE"}


@pytest.mark.parametrize("error", [Forbidden(403, "Forbidden", "denied by policy"), Invalid(422, "Invalid", "too big")])
async def test_a_rollback_that_is_refused_for_good_does_not_hold_the_end_back(error: ApiError) -> None:
    async with running() as world:
        await made_by_hand(world, OLD)
        stuck_is(world, BAD)
        world.cluster.fault(on("patch", DEPLOYMENTS), before=error, times=None)
        world.submit("p", rollout(image=BAD, progressDeadlineSeconds=30, onFailure="Rollback", force=True))
        assert await world.until_final("p", seconds=100) == {"p": "ERROR"}
        status = world.job("p", "web")
        assert status["reason"] == "ProgressDeadlineExceeded"
        assert status["message"].endswith(f"; the rollback was refused: {error.message}")
        assert image_of(shop(world)) == BAD


async def test_a_rollback_that_meets_another_write_is_tried_again() -> None:
    """The Deployment controller writes at the same time as we do; that is no refusal."""
    async with running() as world:
        await made_by_hand(world, OLD)
        stuck_is(world, BAD)
        late = world.cluster.fault(on("patch", DEPLOYMENTS), delay=1.0)
        world.submit("p", rollout(image=BAD, progressDeadlineSeconds=30, onFailure="Rollback", force=True))
        await world.cluster.admin.wait_for(lambda: late.hits, 100)
        world.cluster.admin.patch(DEPLOYMENTS, "shop", {"metadata": {"labels": {"other": "write"}}})
        assert await world.until_final("p", seconds=100) == {"p": "ERROR"}
        assert "rolled back to the revision before" in world.job("p", "web")["message"]
        assert image_of(shop(world)) == OLD
        assert next(one.outcome for one in world.cluster.journal.of("patch", DEPLOYMENTS)) == "Conflict"
