"""A Pipeline's life from submission to its end: success, failure, retry, timeouts."""

import pytest

from task_pipeline.api.resources import PODS
from tests.fakes import fates
from tests.scenario.world import running, shell

pytestmark = [pytest.mark.looptime]


async def test_two_stages_run_one_after_the_other() -> None:
    async with running() as world:
        world.submit("p", shell("a", "one", seconds=5), shell("b", "one", seconds=9), shell("c", "two"))
        assert await world.until_final() == {"p": "DONE"}
        a, b, c = (job["status"] for job in world.jobs("p"))
        assert a["completionTime"] < b["completionTime"] <= c["startTime"]
        status = world.pipeline("p")
        assert (status["reason"], status["progress"], status["run"]) == ("Succeeded", "3/3", 1)
        assert [(stage["name"], stage["state"], stage["done"]) for stage in status["stages"]] == [
            ("one", "DONE", 2),
            ("two", "DONE", 1),
        ]


async def test_row_8_a_failure_lets_siblings_finish_and_never_starts_later_stages() -> None:
    async with running() as world:
        world.submit(
            "p",
            shell("bad", "one", exit_code=3),
            shell("slow", "one", seconds=30),
            shell("later", "two"),
            shell("x", "three"),
        )
        assert await world.until_final() == {"p": "ERROR"}
        assert world.states("p") == {"bad": "ERROR", "slow": "DONE"}
        status = world.pipeline("p")
        assert (status["reason"], status["failedJobs"]) == ("JobFailed", ["bad"])
        assert [(stage["state"], stage["cancelled"]) for stage in status["stages"]] == [
            ("ERROR", 0),
            ("CANCELLED", 1),
            ("CANCELLED", 1),
        ]
        assert status["progress"] == "4/4"


async def test_row_8_an_allowed_failure_is_a_warning() -> None:
    async with running() as world:
        world.submit("p", shell("bad", "one", exit_code=1, allow_failure=True), shell("next", "two"))
        assert await world.until_final() == {"p": "DONE"}
        status = world.pipeline("p")
        assert (status["reason"], status["warnings"]) == ("SucceededWithWarnings", 1)
        assert world.states("p") == {"bad": "ERROR", "next": "DONE"}


async def test_row_8_fail_fast_cancels_what_waits_in_the_same_stage() -> None:
    async with running(max_running_jobs=2) as world:
        world.submit(
            "p", shell("bad", exit_code=1), shell("runs", seconds=20), shell("waits", seconds=1), failFast=True
        )
        assert await world.until_final() == {"p": "ERROR"}
        assert world.states("p") == {"bad": "ERROR", "runs": "DONE", "waits": "CANCELLED"}
        assert world.job("p", "waits")["reason"] == "FailFast"


async def test_row_4_retries_are_counted_paused_and_end() -> None:
    async with running() as world:
        world.submit("p", shell("flaky", exit_code=7, retryAttempt=2))
        assert await world.until_final() == {"p": "ERROR"}
        job = world.job("p", "flaky")
        assert (job["state"], job["reason"], job["attempt"], job["failures"]) == ("ERROR", "ExitCode", 3, 3)
        assert [attempt["exitCode"] for attempt in job["attempts"]] == [7, 7, 7]
        starts = [attempt["startTime"] for attempt in job["attempts"]]
        assert starts == sorted(starts)
        assert len({attempt["workload"]["uid"] for attempt in job["attempts"]}) == 3


async def test_row_5_a_job_in_backoff_holds_no_slot() -> None:
    async with running(max_running_jobs=1, retry_backoff=60.0) as world:
        world.submit("p", shell("flaky", exit_code=1, retryAttempt=1, allowFailure=True), shell("other", seconds=5))
        await world.cluster.admin.wait_for(lambda: world.states("p").get("other") == "DONE", 30)
        assert world.job("p", "flaky")["reason"] == "RetryBackoff"
        assert await world.until_final() == {"p": "DONE"}


async def test_row_7_a_timeout_stops_the_pod_before_the_outcome_is_told() -> None:
    async with running() as world:
        world.submit("p", shell("slow", seconds=600, timeout=30))
        await world.cluster.admin.wait_for(lambda: world.states("p").get("slow") == "IN PROGRESS", 10)
        assert await world.until_final() == {"p": "ERROR"}
        job = world.job("p", "slow")
        assert (job["reason"], job["attempts"][0]["reason"]) == ("Timeout", "Timeout")
        assert not world.pods()


async def test_row_10_an_image_that_never_comes_ends_by_start_timeout_and_says_why() -> None:
    async with running() as world:
        world.cluster.kubelet.fate = lambda _: fates.no_image()
        world.submit("p", shell("a", startTimeout=60))
        await world.cluster.admin.wait_for(lambda: "message" in (world.jobs("p") or [{"status": {}}])[0]["status"], 30)
        assert "image" in world.job("p", "a")["message"].lower()
        assert await world.until_final() == {"p": "ERROR"}
        assert world.job("p", "a")["reason"] == "StartTimeout"
        assert "image" in world.job("p", "a")["message"].lower()


async def test_row_6_an_eviction_is_not_charged() -> None:
    async with running() as world:
        ends = iter([fates.evicted(), fates.succeeds()])
        world.cluster.kubelet.fate = lambda _: next(ends)
        world.submit("p", shell("a"))
        assert await world.until_final() == {"p": "DONE"}
        job = world.job("p", "a")
        assert [(attempt["outcome"], attempt.get("charged")) for attempt in job["attempts"]] == [
            ("Evicted", False),
            ("Succeeded", None),
        ]


async def test_row_6_a_pod_deleted_by_hand_is_lost_and_replaced() -> None:
    async with running() as world:
        world.submit("p", shell("a", seconds=60))
        await world.cluster.admin.wait_for(lambda: world.states("p").get("a") == "IN PROGRESS", 10)
        world.cluster.admin.delete(PODS, world.pods()[0]["metadata"]["name"], grace=0)
        assert await world.until_final() == {"p": "DONE"}
        job = world.job("p", "a")
        assert job["attempts"][0]["reason"] == "Lost"
        assert job["attempt"] == 2


async def test_a_queue_timeout_counts_only_the_wait() -> None:
    async with running(max_running_jobs=1) as world:
        world.submit("p", shell("long", seconds=100), shell("impatient", queueTimeout=30))
        assert await world.until_final() == {"p": "ERROR"}
        assert world.states("p") == {"long": "DONE", "impatient": "CANCELLED"}
        assert world.job("p", "impatient")["reason"] == "QueueTimeout"
