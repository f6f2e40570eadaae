"""What metrics say after known histories, in virtual time: each number is known beforehand."""

import asyncio

import pytest

from task_pipeline.api.resources import PIPELINE_CLIENTS, PIPELINE_JOBS, PODS
from tests.scenario.metered import metered
from tests.scenario.world import NAMESPACE, shell

pytestmark = [pytest.mark.looptime]


async def test_a_run_that_succeeds_counts_its_attempts_its_end_and_its_time() -> None:
    async with metered() as it:
        it.world.submit("p", shell("a", "s", seconds=10), shell("b", "t", seconds=20))
        await it.world.until_final()
        found = await it.scrape()
        assert found.values("job_attempts_total") == {("Shell", "Succeeded"): 2}
        assert found.values("pipelines_finished_total") == {("default", "Succeeded"): 1}
        assert found.values("retries_total") == {}
        assert found.value("pipeline_duration_seconds_count") == 1
        took = found.value("pipeline_duration_seconds_sum")
        assert took is not None
        assert 30 <= took < 33
        assert found.value("launch_latency_seconds_count") == 2
        assert found.values("pipelines") == {("DONE",): 1}
        assert found.values("jobs") == {("DONE",): 2}
        assert found.value("slots_drift") == 0
        assert found.value("leader") == 1


async def test_retries_count_by_the_reason_that_their_attempt_ended_for() -> None:
    async with metered() as it:
        it.world.submit("p", shell("a", exit_code=3, retryAttempt=2), shell("b"))
        await it.world.until_final()
        found = await it.scrape()
        assert found.values("job_attempts_total") == {("Shell", "Failed"): 3, ("Shell", "Succeeded"): 1}
        assert found.values("retries_total") == {("ExitCode",): 2}
        assert found.values("pipelines_finished_total") == {("default", "Failed"): 1}
        assert found.value("queue_wait_seconds_count", client="default") == 4


async def test_more_attempts_than_a_status_lists_count_each() -> None:
    async with metered(retry_backoff_factor=1.0) as it:
        it.world.submit("p", shell("a", exit_code=3, retryAttempt=14))
        await it.world.until_final()
        found = await it.scrape()
        assert found.values("job_attempts_total") == {("Shell", "Failed"): 15}
        assert found.values("retries_total") == {("ExitCode",): 14}


async def test_a_timeout_and_a_deleted_pod_and_a_cancel_are_told_apart() -> None:
    async with metered() as it:
        it.world.submit("slow", shell("a", seconds=600, timeout=30))
        it.world.submit("gone", shell("a", seconds=60))
        it.world.submit("unwanted", shell("a", seconds=600))
        await asyncio.sleep(10)
        pod = next(pod for pod in it.world.pods() if pod["metadata"]["name"].startswith("gone"))
        it.world.cluster.admin.delete(PODS, pod["metadata"]["name"], NAMESPACE)
        it.world.edit("unwanted", cancel="Now")
        await it.world.until_final()
        found = await it.scrape()
        attempts = found.values("job_attempts_total")
        assert attempts[("Shell", "Timeout")] == 1
        assert attempts[("Shell", "Lost")] == 1
        assert attempts[("Shell", "Cancelled")] == 1
        assert attempts[("Shell", "Succeeded")] == 1
        assert found.values("retries_total") == {("Lost",): 1}
        assert found.values("pipelines_finished_total") == {
            ("default", "Failed"): 1, ("default", "Succeeded"): 1, ("default", "Cancelled"): 1,
        }  # fmt: skip


async def test_the_wait_in_the_queue_is_that_of_each_client() -> None:
    async with metered() as it:
        it.world.client("one", maxRunningJobs=1)
        it.world.submit("first", shell("a", seconds=100), clientId="one")
        await asyncio.sleep(1)
        it.world.submit("second", shell("a"), clientId="one")
        it.world.submit("free", shell("a"))
        await asyncio.sleep(40)
        found = await it.scrape()
        assert found.values("jobs_waiting") == {("one", "ClientLimit"): 1}
        assert found.values("jobs_running") == {("one",): 1}
        assert found.values("client_limit") == {("one",): 1}
        assert found.value("jobs_running", client="default") == 0
        oldest = found.value("oldest_wait_seconds", client="one")
        assert oldest is not None
        assert 40 <= oldest <= 41.5
        await it.world.until_final()
        found = await it.scrape()
        assert found.value("queue_wait_seconds_count", client="one") == 2
        assert found.value("queue_wait_seconds_bucket", client="one", le="60.0") == 1
        assert found.value("queue_wait_seconds_bucket", client="one", le="300.0") == 2
        assert found.value("queue_wait_seconds_bucket", client="default", le="1.0") == 1
        assert found.value("oldest_wait_seconds", client="one") == 0


async def test_a_wait_for_a_quota_is_as_long_as_all_its_pauses() -> None:
    async with metered() as it:
        it.world.cluster.admin.quota("default", {"pods": 0})
        it.world.submit("p", shell("a"))
        await asyncio.sleep(600)
        for second in range(60):  # in none of them it begins anew, whether the job pauses or is just refused once more
            found = await it.scrape()
            oldest = found.value("oldest_wait_seconds", client="default")
            assert oldest is not None
            assert 599 <= oldest - second <= 602
            await asyncio.sleep(1)
        assert found.values("jobs_waiting") == {("default", "QuotaExceeded"): 1}
        it.world.cluster.admin.quota("default", {"pods": 5})
        await it.world.until_final()
        assert (await it.scrape()).value("oldest_wait_seconds", client="default") == 0


async def test_a_retry_waits_for_a_quota_since_its_last_attempt_ended() -> None:
    async with metered(retry_backoff=1.0, retry_backoff_jitter=0.0) as it:
        it.world.submit("p", shell("a", seconds=100, exit_code=1, retryAttempt=1))
        await asyncio.sleep(50)
        it.world.cluster.admin.quota("default", {"pods": 0})
        await asyncio.sleep(250)
        oldest = (await it.scrape()).value("oldest_wait_seconds", client="default")
        assert oldest is not None
        assert 195 <= oldest <= 200


async def test_every_wait_has_its_reason() -> None:
    async with metered(max_running_jobs=2, queue_size=4, retry_backoff=1000.0) as it:
        world = it.world
        world.client("shut", maxRunningJobs=0)
        world.submit("retried", shell("a", exit_code=1, retryAttempt=1))
        await asyncio.sleep(5)
        world.submit("runs", shell("a", seconds=5000), shell("b", seconds=5000))
        await asyncio.sleep(5)
        world.submit("held", shell("a"), shell("b"))
        await asyncio.sleep(5)
        world.edit("held", suspend=True)
        world.submit("waits", shell("a"), shell("b"), shell("c"))
        world.submit("shut", shell("a"), clientId="shut")
        await asyncio.sleep(5)
        world.submit("outside", shell("a"), shell("b"), shell("c"))
        await asyncio.sleep(60)
        found = await it.scrape()
        assert found.values("jobs_waiting") == {
            ("default", "RetryBackoff"): 1,
            ("default", "GlobalLimit"): 1,
            ("default", "Queued"): 2,
            ("default", "Suspended"): 2,
            ("default", "QueueFull"): 3,
            ("shut", "ClientLimit"): 1,
        }
        assert found.value("queue_size") == 4
        assert found.value("queue_enqueued") == 3  # what is shut takes no room, and the last three do not fit
        assert found.value("running_limit") == 2
        assert found.value("client_limit", client="shut") == 0
        assert found.value("client_limit", client="default") is None


async def test_the_ends_of_a_client_are_counted_from_0_also_by_who_stands_by() -> None:
    async with metered() as it:
        runtime = it.world.runtime
        assert runtime is not None
        runtime.scheduler.stop()
        it.world.client("new")
        await asyncio.sleep(5)
        await it.scrape()
        found = await it.scrape()
        runtime.scheduler.start()
        for client in ("default", "new"):
            for outcome in ("Succeeded", "Failed", "Cancelled", "Invalid"):
                assert found.value("pipelines_finished_total", client=client, outcome=outcome) == 0


async def test_a_pipeline_that_is_refused_is_invalid_and_its_client_is_no_label() -> None:
    async with metered() as it:
        it.world.submit("wrong", {"name": "a", "stage": "s", "kind": "Nope", "version": "1.0.0"})
        it.world.submit("nobodys", shell("a"), clientId="whatever-a-user-writes")
        await it.world.until_final()
        found = await it.scrape()
        assert found.values("pipelines_finished_total") == {("default", "Invalid"): 1, ("_unknown", "Invalid"): 1}
        assert "whatever" not in found.text
        assert found.value("pipeline_duration_seconds_count") == 0


async def test_an_unlimited_number_has_no_series() -> None:
    async with metered(max_running_jobs="unlimited", queue_size="unlimited") as it:
        found = await it.scrape()
        assert found.value("queue_size") is None
        assert found.value("running_limit") is None
        assert found.value("queue_enqueued") == 0


@pytest.mark.parametrize("kill", [False, True], ids=["stopped", "killed"])
async def test_a_new_process_counts_nothing_again(kill: bool) -> None:
    async with metered() as it:
        it.world.submit("done", shell("a"))
        await it.world.until_final()
        it.world.submit("runs", shell("a", seconds=100))
        await asyncio.sleep(10)
        await it.restart(kill=kill)
        await asyncio.sleep(10)
        found = await it.scrape()
        assert found.values("job_attempts_total") == found.values("pipelines_finished_total") == {}
        assert found.values("pipelines") == {("DONE",): 1, ("IN PROGRESS",): 1}
        assert found.values("jobs_running") == {("default",): 1}
        await it.world.until_final()
        found = await it.scrape()
        assert found.values("job_attempts_total") == {("Shell", "Succeeded"): 1}
        assert found.values("pipelines_finished_total") == {("default", "Succeeded"): 1}


async def test_a_rerun_counts_as_a_run_of_its_own() -> None:
    async with metered() as it:
        it.world.submit("p", shell("a", seconds=5))
        await it.world.until_final()
        it.world.edit("p", rerun={"id": "again", "scope": "All"})
        await asyncio.sleep(60)
        found = await it.scrape()
        assert found.values("pipelines_finished_total") == {("default", "Succeeded"): 2}
        assert found.value("pipeline_duration_seconds_count") == 2
        took = found.value("pipeline_duration_seconds_sum")
        assert took is not None
        assert 10 <= took < 14


async def test_who_stands_by_tells_of_nothing_but_itself() -> None:
    async with metered() as it:
        it.world.submit("p", shell("a", seconds=1000))
        await asyncio.sleep(20)
        runtime = it.world.runtime
        assert runtime is not None
        runtime.scheduler.stop()
        found = await it.scrape()
        assert found.value("leader") == 0
        assert found.value("workqueue_depth") == 0
        for name in ("pipelines", "jobs", "jobs_running", "jobs_waiting", "client_limit", "queue_size", "slots_drift"):
            assert f"task_pipeline_{name}" not in found.names
        runtime.scheduler.start()


async def test_a_slot_that_is_lost_or_leaks_is_seen_by_the_recount() -> None:
    async with metered() as it:
        it.world.submit("p", shell("a", seconds=1000), shell("b", seconds=1000))
        await asyncio.sleep(20)
        runtime = it.world.runtime
        assert runtime is not None
        queue = runtime.scheduler.queue
        assert (await it.scrape()).value("slots_drift") == 0
        taken = sorted(queue.slots)
        queue.free_slot(taken[0])
        assert (await it.scrape()).value("slots_drift") == 1
        queue.take_slot(taken[0], "default")
        queue.take_slot("nothing-has-this-hash", "default")
        assert (await it.scrape()).value("slots_drift") == 1
        queue.free_slot("nothing-has-this-hash")
        queue.lanes["default"].running += 2
        assert (await it.scrape()).value("slots_drift") == 2
        queue.lanes["default"].running -= 2
        assert (await it.scrape()).value("slots_drift") == 0


async def test_what_runs_of_a_deleted_job_without_a_slot_is_seen_by_the_recount() -> None:
    async with metered() as it:
        it.world.submit("p", shell("a", seconds=1000))
        await asyncio.sleep(5)
        job = it.world.jobs("p")[0]
        it.world.cluster.admin.delete(PIPELINE_JOBS, job["metadata"]["name"], NAMESPACE)
        await asyncio.sleep(0.5)
        runtime = it.world.runtime
        assert runtime is not None
        left = [job_hash for job_hash in runtime.store.left_behind() if runtime.scheduler.queue.free_slot(job_hash)]
        assert len(left) == 1
        assert (await it.scrape()).value("slots_drift") == 1
        runtime.scheduler.queue.take_slot(left[0], "default")
        await asyncio.sleep(100)
        assert (await it.scrape()).value("slots_drift") == 0


async def test_clients_beyond_the_first_two_hundred_share_a_series() -> None:
    async with metered(max_running_jobs="unlimited") as it:
        for number in range(230):
            it.world.client(f"c{number:03}", maxRunningJobs=1)
        await asyncio.sleep(5)
        found = await it.scrape()
        own = {labels[0] for labels in found.values("client_limit")}
        assert len(own) in (199, 200)  # `default` has no limit
        assert "_other" not in own
        for number in range(230):
            it.world.submit(f"p{number}", shell("a", seconds=100), clientId=f"c{number:03}")
        await asyncio.sleep(20)
        found = await it.scrape()
        assert found.value("jobs_running", client="_other") == 230 - len(own)
        assert sum(found.values("jobs_running").values()) == 230
        assert len(found.values("jobs_running")) == len(own) + 1


async def test_a_client_that_is_deleted_keeps_its_counters_and_loses_its_gauges() -> None:
    async with metered() as it:
        it.world.client("gone")
        it.world.submit("p", shell("a"), clientId="gone")
        await it.world.until_final()
        it.world.cluster.admin.delete(PIPELINE_CLIENTS, "gone", "task-pipeline")
        await asyncio.sleep(5)
        found = await it.scrape()
        assert found.value("pipelines_finished_total", client="gone", outcome="Succeeded") == 1
        assert found.value("jobs_running", client="gone") is None
