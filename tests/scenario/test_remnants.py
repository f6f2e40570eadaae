"""The slot of a PipelineJob that is deleted while its workload runs (semantics 6 and 13)."""

import pytest

from task_pipeline.api.resources import PIPELINE_JOBS, PODS
from tests.fakes import fates
from tests.scenario.world import World, running, shell

pytestmark = [pytest.mark.looptime]


async def deleted(world: World) -> float:
    """Delete the PipelineJob of Pipeline `p` while it runs; returns when."""
    await world.cluster.admin.wait_for(lambda: world.states("p").get("a") == "IN PROGRESS", 10)
    world.submit("next", shell("n"))
    world.cluster.admin.delete(PIPELINE_JOBS, world.jobs("p")[0]["metadata"]["name"])
    return world.now


async def test_its_slot_is_free_once_its_pod_has_gone() -> None:
    async with running(max_running_jobs=1) as world:
        world.cluster.kubelet.fate = lambda _: fates.hangs(stop_seconds=20)
        world.submit("p", shell("a"))
        since = await deleted(world)
        world.cluster.kubelet.fate = lambda _: fates.succeeds()
        await world.until_final()
        started = world.job("next", "n")["startTime"]
        assert started
        assert 20 <= world.now - since < 60


async def test_its_slot_is_free_a_minute_after_the_grace_period_when_the_node_does_not_answer() -> None:
    async with running(max_running_jobs=1) as world:
        world.cluster.kubelet.times.node_lost = fates.FOREVER
        world.cluster.kubelet.fate = lambda _: fates.node_lost(1)
        world.submit("p", shell("a"))
        await world.cluster.admin.wait_for(lambda: world.now > 10, 20)
        since = await deleted(world)
        world.cluster.kubelet.fate = lambda _: fates.succeeds()
        await world.until_final()
        assert 90 <= world.now - since < 100
        assert world.pipeline("next")["state"] == "DONE"


async def test_its_slot_is_kept_over_a_restart_that_comes_after_its_end() -> None:
    async with running(max_running_jobs=1) as world:
        world.cluster.kubelet.fate = lambda _: fates.hangs(stop_seconds=20)
        world.submit("p", shell("a"))
        await world.cluster.admin.wait_for(lambda: world.pipeline("p").get("divided") == 0, 10)
        since = await deleted(world)
        world.cluster.kubelet.fate = lambda _: fates.succeeds()
        await world.cluster.admin.wait_for(lambda: not world.jobs("p"), 10)
        await world.kill()
        await world.start()
        await world.until_final()
        assert world.spy.launched_at["next/n"] - since >= 20
        assert world.runtime is not None
        assert world.runtime.scheduler.queue.running == 0


async def test_what_has_ended_or_belongs_to_nobody_keeps_no_slot_over_a_restart() -> None:
    async with running(max_running_jobs=1) as world:
        world.submit("p", shell("a"))
        await world.until_final()
        pod = world.pods()[0]
        copy = {"metadata": {"name": "copy", "labels": pod["metadata"]["labels"]}, "spec": pod["spec"]}
        world.cluster.kubelet.fate = lambda _: fates.hangs()
        world.cluster.admin.create(PODS, copy)
        world.cluster.garbage.enabled = False
        world.cluster.admin.delete(PIPELINE_JOBS, world.jobs("p")[0]["metadata"]["name"])
        await world.kill()
        await world.start()
        assert world.runtime is not None
        assert world.runtime.scheduler.queue.running == 0
