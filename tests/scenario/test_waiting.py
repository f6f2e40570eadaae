"""One scenario for each reason to wait: told within two seconds with limit and use, changed with its cause, and gone
when it is over. A Pipeline that has not started gives the reason of what it waits for itself.
"""

import asyncio

import pytest

from task_pipeline.api.resources import PIPELINE_CLIENTS
from tests.scenario.world import World, running, shell

pytestmark = [pytest.mark.looptime]

IN_TIME = 2.0  # seconds within which a reason is to be told
LONG = 3600.0


def status_of(world: World, who: str) -> dict[str, object]:
    """The status of a Pipeline (`p`) or of a job (`p/a`), empty as long as there is none."""
    pipeline, _, job = who.partition("/")
    if not job:
        return world.pipeline(pipeline)
    return next((one["status"] for one in world.jobs(pipeline) if one["spec"]["name"] == job), {})


async def told(world: World, who: str, reason: str, message: str | None = None, seconds: float = IN_TIME) -> None:
    """`who` waits for `reason` and says so in time, with this message."""
    await world.cluster.admin.wait_for(
        lambda: (status_of(world, who).get("state"), status_of(world, who).get("reason")) == ("READY", reason),
        seconds,
        what=f"{who} to tell {reason}, it tells {status_of(world, who)}",
    )
    if message is not None:
        assert message in str(status_of(world, who).get("message"))


async def runs(world: World, *who: str, seconds: float = IN_TIME) -> None:
    """All of them have been launched in time, and say no more that they wait."""
    await world.cluster.admin.wait_for(
        lambda: all(status_of(world, one).get("state") == "IN PROGRESS" for one in who), seconds, what=f"{who} to run"
    )


async def nothing_is_told(world: World, seconds: float = 20) -> None:
    """After what is still to be told has been told, rest."""
    await asyncio.sleep(IN_TIME)
    before = list(world.spy.told)
    await asyncio.sleep(seconds)
    assert world.spy.told == before


async def test_queued_is_what_a_job_says_without_a_write() -> None:
    async with running(max_running_jobs=1) as world:
        world.submit("hold", shell("a", seconds=LONG))
        await runs(world, "hold/a")
        world.submit("p", shell("a"), shell("b"))
        await told(world, "p/b", "Queued")
        await nothing_is_told(world)
        assert world.spy.reasons("p/b") == ["Queued"]


async def test_b039_global_limit_is_the_reason_of_the_first_and_moves_with_it() -> None:
    async with running(max_running_jobs=1) as world:
        world.submit("hold", shell("a", seconds=60))
        await runs(world, "hold/a")
        world.submit("p", shell("a", seconds=LONG))
        await told(world, "p/a", "GlobalLimit", "1/1 jobs running in all")
        await told(world, "p", "GlobalLimit", "1/1 jobs running in all")
        world.submit("q", shell("a", seconds=LONG), priority=1)
        await told(world, "q/a", "GlobalLimit")
        await told(world, "p/a", "Queued")
        await told(world, "p", "Queued")
        assert "message" not in status_of(world, "p/a")
        await nothing_is_told(world)
        world.change_settings(max_running_jobs=3)
        await runs(world, "p/a", "q/a", "p", "q", seconds=1)
        assert status_of(world, "p/a")["reason"] in ("Starting", "Running")


async def test_b039_global_limit_is_not_written_again_when_only_its_numbers_change() -> None:
    async with running(max_running_jobs=2) as world:
        world.submit("hold", shell("a", seconds=LONG), shell("b", seconds=LONG))
        await runs(world, "hold/a", "hold/b")
        world.submit("p", shell("a"))
        await told(world, "p/a", "GlobalLimit", "2/2 jobs running in all")
        world.change_settings(max_running_jobs=1)
        await nothing_is_told(world)
        world.change_settings(max_running_jobs=0)
        await nothing_is_told(world)


async def test_b039_client_limit() -> None:
    async with running() as world:
        world.client("acme", maxRunningJobs=2)
        world.submit("hold", shell("a", seconds=LONG), shell("b", seconds=LONG), clientId="acme")
        await runs(world, "hold/a", "hold/b")
        world.submit("p", shell("a", seconds=LONG), shell("b", seconds=LONG), clientId="acme")
        for who in ("p/a", "p/b", "p"):
            await told(world, who, "ClientLimit", "client acme 2/2 running")
        world.client("acme", maxRunningJobs=1)
        await nothing_is_told(world)
        world.client("acme", maxRunningJobs=3)
        await runs(world, "p/a", "p")
        await nothing_is_told(world)
        assert world.spy.reasons("p/b") == ["Queued", "ClientLimit"]


async def test_a_closed_client_says_so_whatever_else_is_full() -> None:
    async with running(max_running_jobs=0, queue_size=1) as world:
        world.client("closed", maxRunningJobs=0, priority=1)
        world.submit("p", shell("a"), clientId="closed")
        await told(world, "p", "ClientLimit", "client closed 0/0 running")
        world.client("closed", priority=1)
        await told(world, "p/a", "GlobalLimit", "0/0 jobs running in all")
        await told(world, "p", "GlobalLimit")


async def test_client_limit_gives_way_to_what_is_still_in_the_way() -> None:
    """The client may run more, but then others are ahead, and then the slots are all taken."""
    async with running(max_running_jobs=1) as world:
        world.client("acme", maxRunningJobs=1)
        world.submit("hold", shell("a", seconds=LONG), clientId="acme")
        await runs(world, "hold/a")
        world.submit("p", shell("a"), clientId="acme")
        world.submit("q", shell("a"))
        await told(world, "p/a", "ClientLimit")
        await told(world, "q/a", "GlobalLimit")
        world.client("acme")
        await told(world, "p/a", "GlobalLimit")
        await told(world, "q/a", "Queued")


async def test_queue_full_of_a_pipeline_that_is_not_divided() -> None:
    async with running(max_running_jobs=1, queue_size=2) as world:
        world.submit("hold", shell("a", seconds=60))
        await runs(world, "hold/a")
        world.submit("p", shell("a", seconds=LONG), shell("b"))
        await told(world, "p/a", "GlobalLimit")
        world.submit("q", shell("a"), shell("b"))
        await told(world, "q", "QueueFull", "2/2 jobs enqueued in all")
        await nothing_is_told(world)
        world.change_settings(queue_size=3)
        await nothing_is_told(world)
        assert not world.jobs("q")
        world.change_settings(queue_size=4)
        await told(world, "q/b", "Queued")
        await told(world, "q", "Queued")


async def test_queue_full_of_jobs_that_better_ones_have_displaced() -> None:
    async with running(max_running_jobs=1, queue_size=2) as world:
        world.submit("hold", shell("a", seconds=60))
        await runs(world, "hold/a")
        world.submit("p", shell("a", seconds=30), shell("b"))
        await told(world, "p/a", "GlobalLimit")
        world.submit("urgent", shell("a", seconds=LONG), priority=1)
        await told(world, "urgent/a", "GlobalLimit")
        await told(world, "p/b", "QueueFull", "2/2 jobs enqueued in all")
        await told(world, "p/a", "Queued")
        world.edit("urgent", priority=50)
        await told(world, "p/b", "Queued")
        await told(world, "p/a", "GlobalLimit")
        await told(world, "urgent/a", "QueueFull")
        await runs(world, "p/a", seconds=100)
        await told(world, "urgent/a", "Queued")
        assert world.spy.reasons("p/b")[:3] == ["Queued", "QueueFull", "Queued"]


async def test_a_closed_queue() -> None:
    async with running(queue_size=0) as world:
        world.submit("p", shell("a"))
        await told(world, "p", "QueueFull", "0/0 jobs enqueued in all")
        await asyncio.sleep(60)
        assert not world.jobs("p")
        world.change_settings(queue_size=1)
        assert await world.until_final(seconds=5) == {"p": "DONE"}


async def test_client_queue_full_of_a_pipeline_that_is_not_divided() -> None:
    async with running(max_running_jobs=1) as world:
        world.client("acme", queueSize=2)
        world.submit("hold", shell("a", seconds=60))
        await runs(world, "hold/a")
        world.submit("p", shell("a", seconds=LONG), shell("b"), clientId="acme")
        await told(world, "p/a", "GlobalLimit")
        world.submit("q", shell("a"), clientId="acme")
        await told(world, "q", "ClientQueueFull", "client acme 2/2 enqueued")
        world.submit("other", shell("a"))
        await told(world, "other/a", "Queued")
        world.client("acme", queueSize=1)
        await nothing_is_told(world)
        assert not world.jobs("q")
        world.client("acme", queueSize=3)
        await told(world, "q/a", "Queued")
        await told(world, "q", "Queued")


async def test_client_queue_full_of_jobs_that_better_ones_have_displaced() -> None:
    async with running(max_running_jobs=1) as world:
        world.client("acme", queueSize=2)
        world.submit("hold", shell("a", seconds=60))
        await runs(world, "hold/a")
        world.submit("p", shell("a", seconds=LONG), shell("b"), clientId="acme")
        await told(world, "p/a", "GlobalLimit")
        world.submit("urgent", shell("a"), clientId="acme", priority=1)
        await told(world, "p/b", "ClientQueueFull", "client acme 2/2 enqueued")
        world.edit("urgent", cancel="Now")
        await told(world, "p/b", "Queued")


async def test_a_client_whose_queue_is_closed() -> None:
    async with running() as world:
        world.client("acme", queueSize=0)
        world.submit("p", shell("a"), clientId="acme")
        await told(world, "p", "ClientQueueFull", "client acme 0/0 enqueued")
        world.client("acme")
        assert await world.until_final(seconds=5) == {"p": "DONE"}


async def test_client_suspended_of_jobs_and_of_pipelines() -> None:
    async with running(max_running_jobs=1, queue_size=1) as world:
        world.client("acme")
        world.submit("hold", shell("a", seconds=LONG))
        await runs(world, "hold/a")
        world.submit("p", shell("a", seconds=LONG), clientId="acme")
        world.submit("q", shell("a"), clientId="acme")
        await told(world, "p/a", "GlobalLimit")
        await told(world, "q", "QueueFull")
        world.client("acme", suspend=True)
        for who in ("p/a", "p", "q"):
            await told(world, who, "ClientSuspended", "client acme is suspended")
        world.submit("late", shell("a"), clientId="acme")
        await told(world, "late", "ClientSuspended")
        await nothing_is_told(world)
        world.client("acme")
        await told(world, "p/a", "GlobalLimit")
        for who in ("q", "late"):
            await told(world, who, "QueueFull")


async def test_work_of_a_client_that_is_deleted_waits_for_its_return() -> None:
    async with running(max_running_jobs=1, queue_size=1) as world:
        world.client("acme")
        world.submit("hold", shell("a", seconds=LONG), clientId="acme")
        await runs(world, "hold/a")
        world.submit("p", shell("a", seconds=LONG), clientId="acme")
        world.submit("q", shell("a"), clientId="acme")
        await told(world, "p/a", "GlobalLimit")
        world.cluster.admin.delete(PIPELINE_CLIENTS, "acme", "task-pipeline")
        for who in ("p/a", "p"):
            await told(world, who, "ClientSuspended", "there is no valid PipelineClient acme any more")
        assert (status_of(world, "q")["state"], status_of(world, "q")["reason"]) == ("ERROR", "ClientNotAllowed")
        world.change_settings(max_running_jobs=5)
        await nothing_is_told(world)
        assert world.spy.launches == ["hold/a"]
        world.client("acme")
        await runs(world, "p/a", "p")
        assert await world.until_final("q", seconds=10) == {"q": "DONE"}


async def test_suspended_jobs_of_a_suspended_pipeline() -> None:
    async with running(max_running_jobs=1) as world:
        world.submit("p", shell("a", seconds=LONG), shell("b", seconds=LONG))
        await runs(world, "p/a")
        await told(world, "p/b", "GlobalLimit")
        world.edit("p", suspend=True)
        await told(world, "p/b", "Suspended", "spec.suspend of the Pipeline is true")
        await nothing_is_told(world)
        world.edit("p", suspend=False)
        await told(world, "p/b", "GlobalLimit")
        world.edit("p", suspend=True)
        await told(world, "p/b", "Suspended")
        world.change_settings(max_running_jobs=2)
        await asyncio.sleep(60)
        assert world.spy.launches == ["p/a"]
        world.edit("p", suspend=False)
        await runs(world, "p/b", seconds=1)


async def test_retry_backoff_turns_into_what_keeps_the_job_after_the_pause() -> None:
    async with running(max_running_jobs=1, retry_backoff=30.0) as world:
        world.submit("p", shell("a", exit_code=1, retryAttempt=5))
        await told(world, "p/a", "RetryBackoff", "attempt 1 ended with ExitCode")
        world.submit("hold", shell("a", seconds=60), priority=1)
        await runs(world, "hold/a")
        await asyncio.sleep(20)
        assert status_of(world, "p/a")["reason"] == "RetryBackoff"
        await told(world, "p/a", "GlobalLimit", "1/1 jobs running in all", seconds=10 + IN_TIME)
        world.client("default", suspend=True)
        await told(world, "p/a", "ClientSuspended")
        world.client("default")
        await told(world, "p/a", "GlobalLimit")
        await runs(world, "p/a", seconds=60)


async def test_quota_exceeded_turns_into_what_keeps_the_job_after_the_pause() -> None:
    async with running(max_running_jobs=1) as world:
        world.cluster.admin.quota("default", {"pods": 0})
        world.submit("p", shell("a", seconds=LONG))
        await told(world, "p/a", "QuotaExceeded", "exceeded quota: quota, requested: pods=1, used: pods=0")
        await told(world, "p", "QuotaExceeded")
        world.cluster.admin.quota("default", {"pods": 9})
        await asyncio.sleep(3)
        world.submit("hold", shell("a", seconds=60), priority=1)
        await runs(world, "hold/a")
        await told(world, "p/a", "GlobalLimit", seconds=40 + IN_TIME)
        await told(world, "p", "GlobalLimit", "1/1 jobs running in all")
        await runs(world, "p/a", "p", seconds=60)


async def test_a_pipeline_gives_the_reason_of_the_job_that_is_nearest_to_its_start() -> None:
    async with running(max_running_jobs=1, queue_size=1) as world:
        world.submit("hold", shell("a", seconds=LONG))
        await runs(world, "hold/a")
        world.submit("p", shell("a"), shell("b"), shell("c"))
        await told(world, "p/a", "GlobalLimit")
        await told(world, "p/b", "QueueFull")
        await told(world, "p", "GlobalLimit", "1/1 jobs running in all")
        world.submit("q", shell("a"), priority=1)
        await told(world, "p", "QueueFull", "1/1 jobs enqueued in all")
        conditions = {one["type"]: one for one in world.pipeline("p")["conditions"]}
        assert conditions["Succeeded"]["reason"] == "QueueFull"
        world.edit("q", cancel="Now")
        await told(world, "p", "GlobalLimit")
