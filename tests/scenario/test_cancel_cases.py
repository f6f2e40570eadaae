"""Field cases about cancels: B033 to B038, B100, B102."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from task_pipeline.api.resources import DEPLOYMENTS, KUBERNETES_JOBS, PIPELINE_JOBS, PIPELINES, PODS
from task_pipeline.kube.errors import KubeError, Unreachable
from tests.fakes import fates, on
from tests.fakes.deployments import Rollout
from tests.fakes.fates import Fate
from tests.fakes.refusals import forbidden, server_error, too_many
from tests.scenario.laws import Laws
from tests.scenario.test_cancel_matrix import CANCELLED, ends, k8s_job, nothing_is_left, run, until_final, until_told
from tests.scenario.world import World, running, shell

pytestmark = [pytest.mark.looptime]

KINDS: dict[str, Callable[..., dict[str, Any]]] = {
    "Shell": lambda name: shell(name, seconds=3600),
    "K8S/Job": lambda name: k8s_job(name),
}
REFUSALS: dict[str, Callable[[], KubeError]] = {
    "no answer": lambda: Unreachable("refused"),
    "broken": server_error,
    "overloaded": lambda: too_many(1),
    "forbidden": lambda: forbidden(PODS, "x", "a webhook says no"),
}


@pytest.mark.parametrize("refusal", REFUSALS)
@pytest.mark.parametrize("kind", KINDS)
async def test_b033_a_pipeline_is_not_cancelled_before_the_deletions_that_were_refused_have_succeeded(
    kind: str, refusal: str
) -> None:
    async with running() as world:
        laws = Laws(world.cluster)
        world.submit("c1", KINDS[kind]("a"), KINDS[kind]("b"))
        resource = PODS if kind == "Shell" else KUBERNETES_JOBS
        await world.cluster.admin.wait_for(lambda: set(world.states("c1").values()) == {"IN PROGRESS"}, 10)
        refused = world.cluster.fault(on("delete", resource), before=REFUSALS[refusal], times=14)
        world.edit("c1", cancel="Now")
        await world.cluster.admin.wait_for(lambda: refused.hits > 0, 5)
        await asyncio.sleep(0.5)
        told = world.pipeline("c1")
        assert (told["state"], told["reason"]) == ("IN PROGRESS", "Stopping")
        assert told["message"] == "the Pipeline was cancelled (Now)"
        assert await world.until_final("c1", seconds=60) == {"c1": "CANCELLED"}
        assert refused.spent
        assert not world.cluster.admin.list(resource)
        assert not world.pods()
        laws.check()


async def _at_once(world: World) -> None:
    world.submit("p", k8s_job("a"))


async def _between_pipeline_job_and_workload(world: World) -> None:
    world.cluster.fault(on("create", KUBERNETES_JOBS), delay=3)
    world.submit("p", k8s_job("a"))
    await until_told(world, "READY")
    await asyncio.sleep(1)


async def _while_the_pod_starts(world: World) -> None:
    world.cluster.kubelet.times.start = 30.0
    world.submit("p", k8s_job("a"))
    await until_told(world, "IN PROGRESS")
    await asyncio.sleep(3)


async def _while_it_runs(world: World) -> None:
    world.submit("p", k8s_job("a"))
    await until_told(world, "IN PROGRESS", "Running")


async def _twice(world: World) -> None:
    await _while_it_runs(world)
    world.edit("p", cancel="Drain")
    world.edit("p", cancel="Now")


async def _operator_down(world: World) -> None:
    await _while_it_runs(world)
    await world.kill()


@pytest.mark.parametrize(
    "moment",
    [_at_once, _between_pipeline_job_and_workload, _while_the_pod_starts, _while_it_runs, _twice, _operator_down],
)
async def test_b034_no_kubernetes_job_is_left_a_minute_after_a_cancel(
    moment: Callable[[World], Awaitable[None]],
) -> None:
    async with running() as world:
        laws = Laws(world.cluster, seen_after=3.0)
        await moment(world)
        world.edit("p", cancel="Now")
        await asyncio.sleep(30)
        if world.runtime is None:
            await world.start()
        assert await world.until_final("p", seconds=30) == {"p": "CANCELLED"}
        assert not world.cluster.admin.list(KUBERNETES_JOBS)
        assert not world.pods()
        before = len(world.cluster.journal.of("create", KUBERNETES_JOBS))
        await asyncio.sleep(3600)
        assert len(world.cluster.journal.of("create", KUBERNETES_JOBS)) == before
        nothing_is_left(world, laws)


@pytest.mark.parametrize("seconds_before", [0, 10])
@pytest.mark.parametrize("what", ["PipelineJob", "Job", "Job, its pods orphaned"])
async def test_b035_a_child_that_was_gone_before_the_cancel(what: str, seconds_before: int) -> None:
    async with running() as world:
        laws = Laws(world.cluster)
        world.cluster.kubelet.fate = lambda _: Fate(seconds=600, stop_seconds=5)
        world.submit("c5", k8s_job("a"), shell("b", seconds=600))
        await world.cluster.admin.wait_for(lambda: set(world.states("c5").values()) == {"IN PROGRESS"}, 10)
        await asyncio.sleep(2)
        job, kubernetes_job = world.jobs("c5")[0], world.cluster.admin.list(KUBERNETES_JOBS)[0]
        if what == "PipelineJob":
            world.cluster.admin.delete(PIPELINE_JOBS, job["metadata"]["name"])
        else:
            how = "Orphan" if "orphaned" in what else "Background"
            world.cluster.admin.delete(KUBERNETES_JOBS, kubernetes_job["metadata"]["name"], propagation=how)
        await asyncio.sleep(seconds_before)
        world.edit("c5", cancel="Now")
        assert await world.until_final("c5", seconds=20) == {"c5": "CANCELLED"}
        assert set(world.states("c5").values()) == {"CANCELLED"}
        await asyncio.sleep(60)
        assert not world.pods()
        laws.check()


async def test_b036_a_cancel_of_what_waits_for_a_slot_takes_none_and_lets_others_move_up() -> None:
    async with running(max_running_jobs=1) as world:
        laws = Laws(world.cluster)
        world.submit("filler", shell("x", seconds=3600))
        await world.cluster.admin.wait_for(lambda: world.states("filler").get("x") == "IN PROGRESS", 10)
        for name in ("c6", "next"):
            world.submit(name, shell("a"))
        both = {"a": "READY"}
        await world.cluster.admin.wait_for(lambda: world.states("c6") == world.states("next") == both, 10)
        assert world.runtime is not None
        queue = world.runtime.scheduler.queue
        assert queue.enqueued == 2
        world.edit("c6", cancel="Now")
        assert await world.until_final("c6", seconds=1) == {"c6": "CANCELLED"}
        assert queue.enqueued == 1
        assert "startTime" not in world.job("c6", "a")
        assert "startTime" not in world.pipeline("c6")
        assert world.spy.running.most == 1
        assert await world.until_final("next", seconds=4000) == {"next": "DONE"}
        assert world.spy.launches == ["filler/x", "next/a"]
        laws.check()


@pytest.mark.parametrize("kind", KINDS)
async def test_b037_a_pod_that_waits_for_a_node_is_deleted_and_never_comes_to_life(kind: str) -> None:
    async with running() as world:
        laws = Laws(world.cluster)
        world.cluster.kubelet.fate = lambda _: fates.unschedulable()
        world.submit("p", KINDS[kind]("a"))
        await until_told(world, "IN PROGRESS")
        await asyncio.sleep(60)
        assert len(world.pods()) == 1
        world.edit("p", cancel="Now")
        await until_final(world, 5)
        assert ends(world) == (CANCELLED, CANCELLED)
        assert not world.pods()
        world.cluster.kubelet.fate = lambda _: None
        await asyncio.sleep(3600)
        assert not world.pods()
        nothing_is_left(world, laws)


@pytest.mark.parametrize("wish", ["Now", "Drain"])
async def test_b038_a_cancel_while_a_job_runs_that_may_fail_is_no_success(wish: str) -> None:
    async with running() as world:
        laws = Laws(world.cluster)
        world.submit("p", shell("a", "s1", seconds=600, allow_failure=True), shell("b", "s2"))
        await until_told(world, "IN PROGRESS")
        world.edit("p", cancel=wish)
        await until_final(world, 700)
        assert ends(world) == (CANCELLED if wish == "Now" else ("DONE", "Succeeded"), CANCELLED)
        assert world.spy.launches == ["p/a"]
        nothing_is_left(world, laws)


@pytest.mark.parametrize("how", ["timeout", "startTimeout", "cancel", "deletion"])
@pytest.mark.parametrize("kind", KINDS)
async def test_b100_an_image_that_never_comes_leaves_nothing_behind(kind: str, how: str) -> None:
    async with running() as world:
        laws = Laws(world.cluster)
        world.cluster.kubelet.fate = lambda _: fates.no_image()
        limits = {how: 60} if "imeout" in how else {}
        world.submit("p", KINDS[kind]("a") | limits)
        await until_told(world, "IN PROGRESS")
        await asyncio.sleep(50)
        if how == "cancel":
            world.edit("p", cancel="Now")
        elif how == "deletion":
            world.cluster.admin.delete(PIPELINES, "p")
        await asyncio.sleep(60)
        assert not world.pods()
        assert not world.cluster.admin.list(KUBERNETES_JOBS)
        world.cluster.kubelet.fate = lambda _: None
        await asyncio.sleep(3600)
        assert not world.pods()
        if how != "deletion":
            reasons = {"timeout": "Timeout", "startTimeout": "StartTimeout", "cancel": "UserCancelled"}
            assert world.job("p", "a")["reason"] == reasons[how]
        laws.check()


async def _evict_first(world: World) -> None:
    """Attempt 1 is evicted through the eviction API at minute 9, and takes its time to end."""
    world.cluster.kubelet.fate = lambda _: Fate(seconds=9000, stop_seconds=20)
    world.submit("p", shell("a", retry_attempt=1, timeout=1200))
    await until_told(world, "IN PROGRESS")
    await asyncio.sleep(540)
    world.cluster.admin.delete(PODS, world.pods()[0]["metadata"]["name"])
    await world.cluster.admin.wait_for(lambda: len(world.spy.launches) == 2, 60)
    await until_told(world, "IN PROGRESS", "Running")


async def test_b102_a_cancel_of_the_second_attempt_while_that_is_evicted_too() -> None:
    async with running() as world:
        laws = Laws(world.cluster)
        await _evict_first(world)
        world.cluster.admin.delete(PODS, world.pods()[0]["metadata"]["name"])
        await asyncio.sleep(5)
        world.edit("p", cancel="Now")
        await asyncio.sleep(5)
        assert world.job("p", "a")["reason"] == "Stopping", "its pod is still there"
        await until_final(world, 15)
        assert ends(world) == (CANCELLED, CANCELLED)
        assert [one["outcome"] for one in world.job("p", "a")["attempts"]] == ["Lost", "Cancelled"]
        nothing_is_left(world, laws)


async def test_b102_the_timeout_of_the_second_attempt_is_armed() -> None:
    async with running() as world:
        laws = Laws(world.cluster)
        await _evict_first(world)
        second = world.now
        await world.cluster.admin.wait_for(lambda: len(world.job("p", "a").get("attempts", ())) > 1, 1300)
        assert 1190 <= world.now - second <= 1230
        assert [one["reason"] for one in world.job("p", "a")["attempts"]] == ["Lost", "Timeout"]
        world.edit("p", cancel="Now")
        await until_final(world, 60)
        laws.check()


async def test_row_20_a_deployment_whose_job_is_cancelled_stays() -> None:
    async with running() as world:
        params = {"name": "web", "image": "busybox:1.36", "replicas": 2}
        world.cluster.deployments.rollout = lambda _: Rollout(stuck=True)
        world.submit("p", {"name": "a", "stage": "s", "kind": "K8S/Deployment", "version": "1.0.0", "params": params})
        await until_told(world, "IN PROGRESS")
        world.edit("p", cancel="Now")
        await until_final(world, 5)
        assert ends(world) == (CANCELLED, CANCELLED)
        assert world.cluster.admin.find(DEPLOYMENTS, "web") is not None


async def test_row_21_a_pipeline_that_is_cancelled_and_deleted_while_the_operator_is_down() -> None:
    async with running() as world:
        laws = Laws(world.cluster)
        await run(world)
        await world.kill()
        world.edit("p", cancel="Now")
        world.cluster.admin.delete(PIPELINES, "p")
        await asyncio.sleep(60)
        assert not world.pods()
        await world.start()
        await asyncio.sleep(60)
        assert not world.jobs()
        nothing_is_left(world, laws)
