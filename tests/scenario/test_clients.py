"""PipelineClients: what they say of themselves, and the order that anybody can read from the objects."""

import pytest

from task_pipeline.api.resources import PIPELINE_CLIENTS, PIPELINE_JOBS
from task_pipeline.core.explain import Snapshot, what_runs_next
from tests.scenario.world import World, running, shell

pytestmark = [pytest.mark.looptime]


def client_status(world: World, name: str = "default") -> tuple[int, int, str]:
    """running, queued, and the status of Ready."""
    status = world.cluster.admin.get(PIPELINE_CLIENTS, name, "task-pipeline").get("status", {})
    ready = next((one["status"] for one in status.get("conditions", ())), "absent")
    return status.get("running", 0), status.get("queued", 0), ready


async def test_a_client_tells_what_it_uses() -> None:
    async with running(max_running_jobs=2) as world:
        admin = world.cluster.admin
        await admin.wait_for(lambda: client_status(world) == (0, 0, "True"), 2)
        world.submit("p", *(shell(f"j{number}", seconds=30) for number in range(5)))
        await admin.wait_for(lambda: client_status(world) == (2, 3, "True"), 11)
        await world.until_final()
        await admin.wait_for(lambda: client_status(world) == (0, 0, "True"), 11)


async def test_counts_are_written_every_ten_seconds_at_most_and_not_at_rest() -> None:
    async with running(max_running_jobs=3) as world:
        for number in range(20):
            world.submit(f"p{number}", *(shell(f"j{job}", seconds=1) for job in range(15)))
        await world.until_final()
        writes = world.cluster.journal.of("patch_status", PIPELINE_CLIENTS)
        assert 2 <= len(writes) <= 100 / 10 + 3
        await world.cluster.admin.wait_for(lambda: client_status(world) == (0, 0, "True"), 11)
        before = len(writes)
        world.submit("last", shell("a", seconds=3600))
        await world.until_final("last", seconds=4000)
        assert len(world.cluster.journal.of("patch_status", PIPELINE_CLIENTS)) <= before + 4


async def test_an_edit_is_told_at_once() -> None:
    async with running() as world:
        await world.cluster.admin.wait_for(lambda: client_status(world)[2] == "True", 2)
        world.client("default", suspend=True)
        await world.cluster.admin.wait_for(lambda: client_status(world)[2] == "False", 2)
        world.client("default", suspend=False)
        await world.cluster.admin.wait_for(lambda: client_status(world)[2] == "True", 2)


async def test_the_order_read_from_the_objects_is_the_one_of_the_operator() -> None:
    async with running(max_running_jobs=2, queue_size=9) as world:
        world.client("a", priority=1, maxRunningJobs=1)
        world.client("b", priority=2, queueSize=2)
        world.client("quiet", suspend=True)
        for number in range(12):
            jobs = [shell(f"j{job}", seconds=600, priority=5 + (number * job) % 3) for job in range(1 + number % 3)]
            client = ("a", "b", "quiet", "default")[number % 4]
            world.submit(f"p{number:02}", *jobs, clientId=client, priority=8 + number % 2)
        world.submit("held", shell("x"), shell("y"), clientId="a")
        await world.cluster.admin.wait_for(lambda: len(world.jobs("held")) == 2)
        world.edit("held", suspend=True)
        await world.cluster.admin.wait_for(lambda: world.pipeline("held").get("reason") == "Suspended")
        await world.cluster.admin.wait_for(lambda: world.runtime is not None and world.runtime.idle)
        assert world.runtime is not None
        store, queue = world.runtime.store, world.runtime.scheduler.queue
        snapshot = Snapshot(store.pipelines.values(), store.jobs.values(), store.clients.values(), 2, 9)
        told = [(place.pipeline, place.job, place.reason) for place in what_runs_next(snapshot, world.cluster.now())]
        assert len(told) > 10
        found = []
        for entry in queue.order():
            job = store.job_by_hash(entry.id)
            pipeline = store.pipelines[entry.key.uid]
            reason = world.runtime.scheduler.wait(entry.id).reason
            found.append((pipeline.name, None if job is None else job.spec.name, reason))
        assert told == found


async def test_B015_a_new_priority_of_a_pipeline_is_shown_by_its_waiting_jobs() -> None:
    async with running(max_running_jobs=0) as world:
        world.submit("p", shell("a"), shell("b"))
        await world.cluster.admin.wait_for(lambda: len(world.jobs("p")) == 2)
        world.edit("p", priority=3)

        def priorities() -> set[int]:
            return {job["spec"]["pipelinePriority"] for job in world.jobs("p")}

        await world.cluster.admin.wait_for(lambda: priorities() == {3}, 2)
        world.cluster.admin.patch(
            PIPELINE_JOBS, world.jobs("p")[0]["metadata"]["name"], {"spec": {"pipelinePriority": 1}}
        )
        await world.cluster.admin.wait_for(lambda: priorities() == {3}, 2)
