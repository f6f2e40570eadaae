"""Another run of what is over (semantics 22): what runs again, what is kept, and when there is no other run."""

from typing import Any

import pytest

from task_pipeline.api.resources import PIPELINE_CLIENTS, PIPELINE_JOBS, PIPELINES
from tests.fakes import fates
from tests.scenario.world import NAMESPACE, World, running, shell

pytestmark = [pytest.mark.looptime]

Ran = list[tuple[int, str, str]]


def ran(world: World, pipeline: str = "p") -> Ran:
    """Run, name and state of every PipelineJob."""
    found = [(job["spec"]["run"], job["spec"]["name"], job["status"]["state"]) for job in world.jobs(pipeline)]
    return sorted(found)


def image(*failing: str) -> Any:
    """What becomes of the pods of `job`: those of the jobs named here fail, the others succeed at once."""

    def fate(pod: dict[str, Any]) -> fates.Fate | None:
        env = pod["spec"]["containers"][0].get("env")
        if env is None:
            return None
        return fates.fails() if env[0]["value"] in failing else fates.succeeds()

    return fate


def job(name: str, stage: str = "s", **fields: Any) -> dict[str, Any]:
    """A Shell job whose pod knows its name."""
    made = shell(name, stage, **fields)
    params = {"image": "busybox:1.36", "script": "true", "env": {"NAME": name}}
    return made | {"params": params}


def delete_job(world: World, name: str) -> None:
    """Somebody deletes the PipelineJob of the job, of the first run."""
    found = next(found for found in world.jobs("p") if found["spec"]["name"] == name)
    world.cluster.admin.delete(PIPELINE_JOBS, found["metadata"]["name"])


async def answered(world: World, id: str, name: str = "p") -> None:
    """Wait until the rerun is answered."""
    await world.cluster.admin.wait_for(lambda: world.pipeline(name).get("rerunId") == id, 60, what=f"answer to {id}")


async def again(world: World, id: str, scope: str = "Failed", **spec: Any) -> dict[str, Any]:
    """Ask for another run and wait for its end; returns the status."""
    world.edit("p", rerun={"id": id, "scope": scope}, **spec)
    await answered(world, id)
    await world.until_final("p")
    return world.pipeline("p")


async def test_semantics_22_scope_failed_keeps_done_jobs_and_runs_the_others() -> None:
    async with running() as world:
        world.cluster.kubelet.fate = image("b")
        world.submit("p", job("a"), job("b"), job("c", "t"))
        assert await world.until_final() == {"p": "ERROR"}
        before = world.pipeline("p")
        world.cluster.kubelet.fate = image()
        status = await again(world, "1")
        assert (status["state"], status["reason"], status["run"]) == ("DONE", "Succeeded", 2)
        assert ran(world) == [(1, "a", "DONE"), (1, "b", "ERROR"), (2, "b", "DONE"), (2, "c", "DONE")]
        assert [(stage["state"], stage["total"], stage["done"]) for stage in status["stages"]] == [
            ("DONE", 2, 2),
            ("DONE", 1, 1),
        ]
        assert status["progress"] == "3/3"
        assert status["startTime"] > before["completionTime"] > before["startTime"]
        assert "failedJobs" not in status
        names = {found["metadata"]["name"] for found in world.jobs("p")}
        assert len(names) == 4


async def test_semantics_22_scope_all_runs_everything_again() -> None:
    async with running() as world:
        world.submit("p", job("a"), job("b", "t"))
        await world.until_final()
        status = await again(world, "1", "All")
        assert (status["state"], status["run"], "kept" in status) == ("DONE", 2, False)
        assert ran(world) == [(1, "a", "DONE"), (1, "b", "DONE"), (2, "a", "DONE"), (2, "b", "DONE")]


async def test_what_several_runs_have_done_is_kept_together() -> None:
    async with running() as world:
        world.cluster.kubelet.fate = image("b", "c")
        world.submit("p", job("a"), job("b"), job("c"))
        await world.until_final()
        world.cluster.kubelet.fate = image("c")
        assert (await again(world, "1"))["state"] == "ERROR"
        world.cluster.kubelet.fate = image()
        status = await again(world, "2")
        assert (status["state"], status["run"], status["kept"]) == ("DONE", 3, {"since": 1, "jobs": [2]})
        assert [(run, name) for run, name, state in ran(world) if state == "DONE"] == [(1, "a"), (2, "b"), (3, "c")]


async def test_a_run_of_all_begins_a_new_memory() -> None:
    async with running() as world:
        world.submit("p", job("a"), job("b"))
        await world.until_final()
        world.cluster.kubelet.fate = image("a")
        assert (await again(world, "1", "All"))["state"] == "ERROR"
        world.cluster.kubelet.fate = image()
        status = await again(world, "2")
        assert status["kept"] == {"since": 2, "jobs": [1]}
        assert [found for found in ran(world) if found[0] == 3] == [(3, "a", "DONE")]


async def test_allowed_failures_and_cancelled_jobs_run_again_too() -> None:
    async with running() as world:
        world.cluster.kubelet.fate = image("a", "b")
        world.submit("p", job("a", allowFailure=True), job("b"), job("c", "t"), stages=["s", "t"])
        await world.until_final()
        world.cluster.kubelet.fate = image()
        status = await again(world, "1")
        assert (status["state"], status["reason"]) == ("DONE", "Succeeded")
        assert [found for found in ran(world) if found[0] == 2] == [
            (2, "a", "DONE"),
            (2, "b", "DONE"),
            (2, "c", "DONE"),
        ]


async def test_the_same_id_again_does_nothing() -> None:
    async with running() as world:
        world.submit("p", job("a"))
        await world.until_final()
        await again(world, "1", "All")
        world.edit("p", rerun={"id": "1", "scope": "All"}, priority=3)
        await world.cluster.admin.wait_for(lambda: world.pipeline("p")["observedGeneration"] == 3, 60)
        assert (world.pipeline("p")["run"], len(world.jobs())) == (2, 2)


async def test_the_id_that_a_new_pipeline_brings_along_asks_for_nothing() -> None:
    async with running() as world:
        world.submit("p", job("a"), rerun={"id": "1"})
        await world.until_final()
        status = world.pipeline("p")
        assert (status["run"], status["rerunId"], status["state"]) == (1, "1", "DONE")
        assert ran(world) == [(1, "a", "DONE")]


async def test_what_is_asked_for_during_a_run_starts_after_it() -> None:
    async with running() as world:
        world.submit("p", shell("a", seconds=30))
        await world.cluster.admin.wait_for(lambda: world.pipeline("p").get("state") == "IN PROGRESS", 10)
        world.edit("p", rerun={"id": "1", "scope": "All"})
        await answered(world, "1")
        await world.until_final()
        first, second = (found["status"] for found in sorted(world.jobs("p"), key=lambda one: one["spec"]["run"]))
        assert first["state"] == "DONE"
        assert second["startTime"] >= first["completionTime"]


async def test_a_cancelled_pipeline_runs_again_once_its_cancel_is_gone() -> None:
    async with running() as world:
        world.submit("p", job("a"), suspend=True)
        world.edit("p", cancel="Now")
        assert await world.until_final() == {"p": "CANCELLED"}
        world.edit("p", rerun={"id": "1"})
        waits = "rerun 1 waits until spec.cancel is removed"
        await world.cluster.admin.wait_for(lambda: world.pipeline("p").get("message") == waits, 60)
        assert world.pipeline("p")["state"] == "CANCELLED"
        world.edit("p", cancel=None, suspend=False)
        await answered(world, "1")
        assert await world.until_final() == {"p": "DONE"}


async def test_scope_failed_is_refused_when_everything_is_done() -> None:
    async with running() as world:
        world.submit("p", job("a"))
        await world.until_final()
        status = await again(world, "1")
        assert (status["run"], status["state"], status["reason"]) == (1, "DONE", "Succeeded")
        assert "every job is DONE already; use scope All" in status["message"]


async def test_semantics_22_scope_failed_is_refused_once_the_ttl_has_removed_the_children() -> None:
    async with running() as world:
        world.cluster.kubelet.fate = image("b")
        world.submit("p", job("a"), job("b"), ttlSecondsAfterFinished=60)
        await world.until_final()
        await world.cluster.admin.wait_for(lambda: not world.jobs(), 120)
        status = await again(world, "1")
        assert (status["run"], status["state"]) == (1, "ERROR")
        assert "rerun 1 was refused: its PipelineJobs have been removed" in status["message"]
        world.cluster.kubelet.fate = image()
        status = await again(world, "2", "All")
        assert (status["run"], status["state"], "cleanupTime" in status) == (2, "DONE", False)


async def test_scope_failed_is_refused_when_a_done_job_was_deleted_by_hand() -> None:
    async with running() as world:
        world.cluster.kubelet.fate = image("b")
        world.submit("p", job("a"), job("b"))
        await world.until_final()
        delete_job(world, "a")
        status = await again(world, "1")
        assert (status["run"], len(world.jobs())) == (1, 1)
        assert "was refused" in status["message"]


async def test_a_kept_job_that_is_deleted_by_hand_counts_as_failed() -> None:
    async with running() as world:
        world.cluster.kubelet.fate = image("b")
        world.submit("p", job("b"), job("a"), job("c", "t"))
        await world.until_final()
        world.cluster.kubelet.fate = lambda _: fates.succeeds(60)
        world.edit("p", rerun={"id": "1"})
        await world.cluster.admin.wait_for(lambda: (2, "b", "IN PROGRESS") in ran(world), 60)
        delete_job(world, "a")
        assert await world.until_final() == {"p": "ERROR"}
        assert (world.pipeline("p")["reason"], ran(world)) == ("JobDeleted", [(1, "b", "ERROR"), (2, "b", "DONE")])


async def test_a_kept_job_of_a_later_stage_that_is_deleted_by_hand_is_not_run_a_second_time() -> None:
    async with running() as world:
        world.cluster.kubelet.fate = image("a", "c")
        world.submit("p", job("a", allowFailure=True), job("b", "t"), job("b2", "t", allowFailure=True), job("c", "u"))
        await world.until_final()
        world.cluster.kubelet.fate = lambda _: fates.succeeds(60)
        world.edit("p", rerun={"id": "1"})
        await world.cluster.admin.wait_for(lambda: (2, "a", "IN PROGRESS") in ran(world), 60)
        delete_job(world, "b")
        assert await world.until_final() == {"p": "ERROR"}
        assert world.pipeline("p")["reason"] == "JobDeleted"
        assert [found for found in ran(world) if found[0] == 2] == [(2, "a", "DONE")]


async def test_stages_that_are_done_are_passed() -> None:
    async with running() as world:
        world.cluster.kubelet.fate = image("c")
        world.submit("p", job("a"), job("b", "t"), job("c", "u"))
        await world.until_final()
        world.cluster.kubelet.fate = image()
        status = await again(world, "1")
        assert [found for found in ran(world) if found[0] == 2] == [(2, "c", "DONE")]
        assert {stage["state"] for stage in status["stages"]} == {"DONE"}


async def test_a_rerun_waits_in_the_queue_like_a_new_pipeline() -> None:
    async with running(queue_size=1, max_running_jobs=1) as world:
        world.cluster.kubelet.fate = image("b")
        world.submit("p", job("a"), job("b"))
        await world.until_final()
        world.submit("filler", shell("f", seconds=100))
        await world.cluster.admin.wait_for(lambda: world.states("filler").get("f") == "IN PROGRESS", 10)
        world.submit("next", shell("n"))
        world.edit("p", rerun={"id": "1"})
        await world.cluster.admin.wait_for(lambda: world.pipeline("p").get("reason") == "QueueFull", 60)
        assert (world.pipeline("p")["state"], len(world.jobs("p"))) == ("READY", 2)
        world.cluster.kubelet.fate = image()
        assert await world.until_final() == {"p": "DONE", "filler": "DONE", "next": "DONE"}
        later = [found["status"]["startTime"] for found in (*world.jobs("next"), *world.jobs("p"))]
        assert later[0] < max(later[1:])


@pytest.mark.parametrize("moment", ["before the answer", "in the middle"])
async def test_an_operator_that_is_killed_goes_on_with_the_rerun(moment: str) -> None:
    async with running() as world:
        world.cluster.kubelet.fate = image("b")
        world.submit("p", job("a"), job("b"), job("c", "t"))
        await world.until_final()
        world.cluster.kubelet.fate = lambda _: fates.succeeds(60)
        if moment == "before the answer":
            await world.kill()
            world.edit("p", rerun={"id": "1"})
        else:
            world.edit("p", rerun={"id": "1"})
            await world.cluster.admin.wait_for(lambda: (2, "b", "IN PROGRESS") in ran(world), 60)
            await world.kill()
        await world.start()
        await answered(world, "1")
        assert await world.until_final() == {"p": "DONE"}
        assert ran(world) == [(1, "a", "DONE"), (1, "b", "ERROR"), (2, "b", "DONE"), (2, "c", "DONE")]


async def test_what_may_not_change_after_the_start_may_not_before_the_first_launch_of_a_rerun_either() -> None:
    async with running(max_running_jobs=1) as world:
        world.submit("p", job("a"))
        await world.until_final()
        world.submit("filler", shell("f", seconds=100))
        await world.cluster.admin.wait_for(lambda: world.states("filler").get("f") == "IN PROGRESS", 10)
        world.edit("p", rerun={"id": "1", "scope": "All"})
        await answered(world, "1")
        assert "startTime" not in world.pipeline("p")
        spec = world.cluster.admin.get(PIPELINES, "p", NAMESPACE)["spec"]
        with pytest.raises(Exception, match="cannot be changed after the start"):
            world.edit("p", jobs=[*spec["jobs"], job("more")])


async def test_a_rerun_whose_client_is_missing_waits_for_it() -> None:
    async with running(max_running_jobs=1, queue_size=1) as world:
        world.client("acme")
        world.submit("p", job("a"), clientId="acme")
        await world.until_final()
        world.cluster.admin.delete(PIPELINE_CLIENTS, "acme", "task-pipeline")
        world.edit("p", rerun={"id": "1", "scope": "All"})
        await answered(world, "1")
        await world.cluster.admin.wait_for(lambda: world.pipeline("p").get("reason") == "ClientSuspended", 60)
        assert "there is no valid PipelineClient acme" in world.pipeline("p")["message"]
        world.client("acme")
        assert await world.until_final() == {"p": "DONE"}
        assert world.pipeline("p")["run"] == 2
