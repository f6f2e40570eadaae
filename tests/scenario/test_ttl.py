"""Cleaning up after the time to live (semantics 22 and 23): what goes, when, and what never does."""

from typing import Any

import pytest

from task_pipeline.api.resources import DEPLOYMENTS, KUBERNETES_JOBS, PIPELINE_JOBS, PIPELINES
from task_pipeline.kube.errors import Unreachable
from tests.fakes import on
from tests.scenario.world import NAMESPACE, World, running, shell

pytestmark = [pytest.mark.looptime]


async def gone(world: World, seconds: float = 120, pipeline: str = "p") -> None:
    """Wait until the Pipeline has no PipelineJobs any more."""
    await world.cluster.admin.wait_for(lambda: not world.jobs(pipeline), seconds, what="no PipelineJobs")


def left(world: World) -> list[Any]:
    """All that was made for jobs and is still there."""
    kinds = (PIPELINE_JOBS, KUBERNETES_JOBS)
    return [*world.pods(), *(found for kind in kinds for found in world.cluster.admin.list(kind, NAMESPACE))]


async def test_semantics_23_slim_removes_the_children_and_keeps_the_pipeline_with_its_result() -> None:
    async with running() as world:
        world.submit("p", shell("a"), shell("b", exit_code=3), ttlSecondsAfterFinished=60)
        await world.until_final()
        before, ended = world.pipeline("p"), world.now
        await gone(world)
        assert world.now - ended >= 59
        await world.cluster.admin.wait_for(lambda: not left(world), 30)
        after = world.pipeline("p")
        assert after.pop("cleanupTime") >= before["completionTime"]
        assert after == before


async def test_b070_what_failed_can_be_read_until_the_operators_time_to_live_is_over() -> None:
    async with running(ttl_seconds_after_finished=9000) as world:
        world.submit("p", shell("a", exit_code=9), shell("b"))
        await world.until_final()
        await world.cluster.admin.wait_for(lambda: world.now > 8990, 9000)
        assert (len(world.jobs()), len(world.pods())) == (2, 2)
        await gone(world, 100)
        assert 9000 <= world.now < 9010


async def test_b069_nothing_of_many_failed_pipelines_stays_but_the_pipelines() -> None:
    async with running(ttl_seconds_after_finished=300) as world:
        for number in range(50):
            world.submit(f"fail-{number:03}", shell("a", exit_code=1))
        await world.until_final()
        await world.cluster.admin.wait_for(lambda: not left(world), 600)
        found = world.cluster.admin.list(PIPELINES)
        assert {one["status"]["state"] for one in found} == {"ERROR"}
        assert len(found) == 50


async def test_a_time_to_live_of_zero_cleans_up_at_once() -> None:
    async with running() as world:
        world.submit("p", shell("a"), shell("b", "t"), ttlSecondsAfterFinished=0)
        assert await world.until_final() == {"p": "DONE"}
        ended = world.now
        await gone(world)
        assert world.now - ended < 5


async def test_delete_removes_the_pipeline_as_well() -> None:
    async with running() as world:
        world.submit("p", shell("a"), ttlSecondsAfterFinished=60, ttlPolicy="Delete")
        await world.until_final()
        await world.cluster.admin.wait_for(lambda: not world.cluster.admin.list(PIPELINES), 120)
        await world.cluster.admin.wait_for(lambda: not left(world), 60)


async def test_delete_removes_one_that_was_never_valid() -> None:
    async with running() as world:
        world.submit("p", shell("a") | {"kind": "Nonsense"}, ttlSecondsAfterFinished=60, ttlPolicy="Delete")
        assert await world.until_final() == {"p": "ERROR"}
        await world.cluster.admin.wait_for(lambda: not world.cluster.admin.list(PIPELINES), 120)


async def test_b056_a_pipeline_is_not_deleted_unless_its_author_says_so() -> None:
    async with running(ttl_seconds_after_finished=60) as world:
        world.submit("p", shell("migrate"))
        await world.until_final()
        await gone(world)
        pods = len(world.cluster.journal.of("create"))
        spec = world.cluster.admin.get(PIPELINES, "p", NAMESPACE)["spec"]
        for _ in range(50):
            world.edit("p", **spec)
        await world.cluster.admin.wait_for(lambda: world.now > 500, 600)
        assert len(world.cluster.journal.of("create")) == pods
        assert world.pipeline("p")["state"] == "DONE"


async def test_b067_the_time_to_live_belongs_to_the_pipeline_not_to_its_name() -> None:
    async with running() as world:
        world.submit("nightly", shell("a"), ttlSecondsAfterFinished=60, ttlPolicy="Delete")
        await world.until_final()
        await world.cluster.admin.wait_for(lambda: world.now > 55, 100)
        world.cluster.admin.delete(PIPELINES, "nightly")
        world.submit("nightly", shell("a", seconds=240), ttlSecondsAfterFinished=60, ttlPolicy="Delete")
        assert await world.until_final() == {"nightly": "DONE"}
        assert world.now > 290


async def test_b067_a_rerun_counts_its_own_time_to_live() -> None:
    async with running() as world:
        world.submit("p", shell("a", seconds=100), ttlSecondsAfterFinished=60, ttlPolicy="Delete")
        await world.until_final()
        await world.cluster.admin.wait_for(lambda: world.now > 155, 200)
        world.edit("p", rerun={"id": "1", "scope": "All"})
        await world.cluster.admin.wait_for(lambda: world.pipeline("p").get("run") == 2, 10)
        await world.until_final()
        assert world.now > 250
        assert len(world.jobs()) == 2
        await world.cluster.admin.wait_for(lambda: not world.cluster.admin.list(PIPELINES), 120)


async def test_what_is_asked_for_while_the_pipeline_is_about_to_go_is_not_lost() -> None:
    async with running() as world:
        world.submit("p", shell("a"), ttlSecondsAfterFinished=60, ttlPolicy="Delete")
        await world.until_final()
        late = world.cluster.fault(on("delete", PIPELINES), delay=1.0)
        await world.cluster.admin.wait_for(lambda: late.hits, 120)
        world.edit("p", rerun={"id": "1", "scope": "All"})
        (deletion,) = world.cluster.journal.of("delete", PIPELINES)
        await world.cluster.admin.wait_for(lambda: deletion.outcome != "open", 120)
        assert (deletion.outcome, world.pipeline("p")["run"]) == ("Conflict", 2)
        await world.until_final()


async def test_it_goes_on_after_a_restart_in_the_middle() -> None:
    async with running() as world:
        world.submit("p", *(shell(f"j{number}") for number in range(20)), ttlSecondsAfterFinished=60)
        await world.until_final()
        await world.cluster.admin.wait_for(lambda: len(world.jobs()) == 10, 120)
        await world.kill()
        assert len(world.jobs()) in range(1, 12)
        await world.start()
        await gone(world, 10)


async def test_what_came_due_while_the_operator_was_down_is_cleaned_up_one_after_the_other() -> None:
    async with running(ttl_seconds_after_finished=60) as world:
        for number in range(20):
            world.submit(f"p{number}", shell("a"), shell("b"))
        await world.until_final()
        await world.stop()
        await world.cluster.admin.wait_for(lambda: world.now > 1000, 2000)
        await world.start()
        await world.cluster.admin.wait_for(lambda: not world.jobs(), 60)


async def test_another_time_to_live_can_be_given_when_all_is_over() -> None:
    async with running() as world:
        world.submit("p", shell("a"))
        await world.until_final()
        world.edit("p", ttlSecondsAfterFinished=5)
        await gone(world, 10)


async def test_a_write_that_fails_is_tried_again() -> None:
    async with running(ttl_seconds_after_finished=60) as world:
        world.submit("p", shell("a"), shell("b"))
        await world.until_final()
        refused = world.cluster.fault(on("delete", PIPELINE_JOBS), before=Unreachable("reset"), times=3)
        await gone(world, 200)
        assert refused.hits == 3


async def test_b066_a_deployment_outlives_the_clean_up() -> None:
    deployment = {
        "name": "web", "stage": "d", "kind": "K8S/Deployment", "version": "1.0.0",
        "params": {"name": "shop", "image": "nginx:1.26", "replicas": 1},
    }  # fmt: skip
    async with running() as world:
        world.submit("p", deployment, ttlSecondsAfterFinished=60, ttlPolicy="Delete")
        assert await world.until_final() == {"p": "DONE"}
        await world.cluster.admin.wait_for(lambda: not world.cluster.admin.list(PIPELINES), 120)
        await world.cluster.admin.wait_for(lambda: world.now > 1000, 2000)
        assert [found["metadata"]["name"] for found in world.cluster.admin.list(DEPLOYMENTS)] == ["shop"]


async def test_an_idle_operator_with_finished_pipelines_writes_nothing() -> None:
    async with running() as world:
        for number in range(5):
            world.submit(f"p{number}", shell("a"))
        await world.until_final()
        await world.cluster.admin.wait_for(lambda: world.now > 100, 200)  # counts of clients are written late
        written = len(world.cluster.journal.writes)
        await world.cluster.admin.wait_for(lambda: world.now > 5_000, 6_000)
        assert len(world.cluster.journal.writes) == written
