"""What users ask for while it runs: cancel, suspend, delete, edit."""

import pytest

from task_pipeline.api.resources import PIPELINE_JOBS, PIPELINES, PODS
from task_pipeline.kube.errors import Invalid
from tests.scenario.world import World, running, shell

pytestmark = [pytest.mark.looptime]


async def until_running(world: World, pipeline: str, *jobs: str) -> None:
    await world.cluster.admin.wait_for(
        lambda: all(world.states(pipeline).get(job) == "IN PROGRESS" for job in jobs), 30, what=f"{jobs} to run"
    )


async def test_row_20_cancel_now_stops_what_runs_and_what_waits() -> None:
    async with running(max_running_jobs=1) as world:
        world.submit("p", shell("runs", seconds=600), shell("waits"), shell("later", "t"))
        await until_running(world, "p", "runs")
        world.edit("p", cancel="Now")
        assert await world.until_final() == {"p": "CANCELLED"}
        assert world.states("p") == {"runs": "CANCELLED", "waits": "CANCELLED"}
        assert {job["status"]["reason"] for job in world.jobs("p")} == {"UserCancelled"}
        assert not world.pods()
        assert world.runtime is not None
        assert world.runtime.scheduler.queue.running == 0


async def test_row_20_cancel_drain_lets_what_runs_finish() -> None:
    async with running(max_running_jobs=1) as world:
        world.submit("p", shell("runs", seconds=30), shell("waits"))
        await until_running(world, "p", "runs")
        world.edit("p", cancel="Drain")
        assert await world.until_final() == {"p": "CANCELLED"}
        assert world.states("p") == {"runs": "DONE", "waits": "CANCELLED"}


async def test_row_20_cancel_before_anything_exists() -> None:
    async with running(max_running_jobs=0) as world:
        world.submit("p", shell("a"), cancel="Now")
        assert await world.until_final() == {"p": "CANCELLED"}
        assert world.jobs("p") == []


async def test_row_20_cancel_of_one_job() -> None:
    async with running() as world:
        world.submit("p", shell("a", seconds=600), shell("b", seconds=5), shell("later", "t"))
        await until_running(world, "p", "a", "b")
        name = world.jobs("p")[0]["metadata"]["name"]
        world.cluster.admin.patch(PIPELINE_JOBS, name, {"spec": {"cancel": "Now"}})
        assert await world.until_final() == {"p": "CANCELLED"}
        assert world.states("p") == {"a": "CANCELLED", "b": "DONE"}


async def test_row_20_cancel_beats_a_pending_retry() -> None:
    async with running(retry_backoff=300.0) as world:
        world.submit("p", shell("a", exit_code=1, retryAttempt=5))
        await world.cluster.admin.wait_for(
            lambda: "a" in world.states("p") and world.job("p", "a")["reason"] == "RetryBackoff"
        )
        world.edit("p", cancel="Drain")
        assert await world.until_final(seconds=5) == {"p": "CANCELLED"}
        assert world.job("p", "a")["attempt"] == 1


async def test_suspend_starts_nothing_and_resume_goes_on() -> None:
    async with running() as world:
        world.submit("p", shell("a", seconds=10), shell("b", "t"))
        await until_running(world, "p", "a")
        world.edit("p", suspend=True)
        await world.cluster.admin.wait_for(lambda: world.states("p") == {"a": "DONE"}, 60)
        await world.cluster.admin.wait_for(lambda: world.pipeline("p").get("reason") == "Suspended", 60)
        conditions = {condition["type"]: condition["status"] for condition in world.pipeline("p")["conditions"]}
        assert conditions["Suspended"] == "True"
        world.edit("p", suspend=False)
        assert await world.until_final() == {"p": "DONE"}


async def test_suspended_from_the_start_has_no_jobs() -> None:
    async with running() as world:
        world.submit("p", shell("a"), suspend=True)
        await world.cluster.admin.wait_for(lambda: world.pipeline("p").get("reason") == "Suspended", 60)
        assert world.jobs("p") == []


async def test_the_pipelines_own_timeout() -> None:
    async with running() as world:
        world.submit("p", shell("a", seconds=600), shell("b", "t"), timeout=60)
        assert await world.until_final() == {"p": "ERROR"}
        assert world.pipeline("p")["reason"] == "DeadlineExceeded"
        assert world.states("p") == {"a": "CANCELLED"}


async def test_row_21_deleting_a_pipeline_removes_all_it_owns_and_frees_the_slot() -> None:
    async with running(max_running_jobs=1) as world:
        world.submit("p", shell("a", seconds=600))
        await until_running(world, "p", "a")
        world.submit("q", shell("b"))
        world.cluster.admin.delete(PIPELINES, "p")
        assert await world.until_final("q") == {"q": "DONE"}
        assert [pod["metadata"]["labels"] for pod in world.pods()] == [world.pods()[0]["metadata"]["labels"]]
        assert world.jobs("p") == []


async def test_B019_orphaned_jobs_are_stopped_and_removed() -> None:
    async with running(max_running_jobs=1) as world:
        world.submit("hold", shell("a", seconds=6000))
        await until_running(world, "hold", "a")
        world.submit("next", shell("b"))
        world.cluster.admin.delete(PIPELINES, "hold", propagation="Orphan")
        assert await world.until_final("next", seconds=300) == {"next": "DONE"}
        assert world.jobs("hold") == []


@pytest.mark.parametrize("moment", ["running", "done"])
async def test_B010_a_job_deleted_by_hand_counts_as_failed_and_never_runs_again(moment: str) -> None:
    async with running() as world:
        world.submit("p", shell("a", seconds=5 if moment == "done" else 50), shell("keep", seconds=20), shell("b", "t"))
        state = "DONE" if moment == "done" else "IN PROGRESS"
        await world.cluster.admin.wait_for(lambda: world.states("p").get("a") == state, 60)
        world.cluster.admin.delete(PIPELINE_JOBS, world.jobs("p")[0]["metadata"]["name"])
        assert await world.until_final() == {"p": "ERROR"}
        assert world.pipeline("p")["reason"] == "JobDeleted"
        assert len(world.cluster.journal.of("create", PODS)) == 2


async def test_edits_after_the_start_are_refused_and_harmless_ones_are_not() -> None:
    async with running() as world:
        world.submit("p", shell("a", seconds=20))
        await until_running(world, "p", "a")
        await world.cluster.admin.wait_for(lambda: "startTime" in world.pipeline("p"), 10)
        world.edit("p", priority=3)
        assert await world.until_final() == {"p": "DONE"}
        with pytest.raises(Invalid):
            world.cluster.admin.patch(PIPELINES, "p", {"status": {"state": "READY"}}, subresource="status")


async def test_an_invalid_spec_is_told_whole_and_judged_again_after_an_edit() -> None:
    async with running() as world:
        bad = {"name": "a", "stage": "s", "kind": "Shell", "version": "1.0.0", "params": {"scripts": "x"}}
        worse = {"name": "b", "stage": "s", "kind": "Nope", "version": "1.0.0"}
        world.submit("p", bad, worse)
        assert await world.until_final() == {"p": "ERROR"}
        status = world.pipeline("p")
        assert status["reason"] == "InvalidSpec"
        for part in ("scripts", "image", "Nope", "spec.jobs[0]", "spec.jobs[1]"):
            assert part in status["message"]
        world.edit("p", jobs=[shell("a")])
        await world.cluster.admin.wait_for(lambda: world.pipeline("p")["state"] == "DONE", 60)


async def test_a_client_that_comes_later_lets_its_pipelines_in() -> None:
    async with running() as world:
        world.submit("p", shell("a"), clientId="team-a")
        assert await world.until_final() == {"p": "ERROR"}
        assert world.pipeline("p")["reason"] == "ClientNotAllowed"
        world.client("team-a", namespaces=["elsewhere"])
        await world.cluster.admin.wait_for(lambda: "does not list" in world.pipeline("p")["message"], 30)
        world.client("team-a", namespaces=["default"])
        await world.cluster.admin.wait_for(lambda: world.pipeline("p")["state"] == "DONE", 60)
