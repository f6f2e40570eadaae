"""Timeouts: each has its own clock and its own reason, and what took too long is gone before that is told (row 7).

Field cases B029 to B032. Times are the loop's, so hours cost nothing.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from task_pipeline.api.resources import KUBERNETES_JOBS, PODS
from task_pipeline.api.times import parse_time
from tests.fakes import fates, on
from tests.fakes.deployments import Rollout
from tests.fakes.fates import Fate
from tests.fakes.refusals import server_error
from tests.scenario.laws import Laws
from tests.scenario.test_cancel_matrix import k8s_job, nothing_is_left, suspend_kubernetes_job, until_told
from tests.scenario.world import World, running, shell

pytestmark = [pytest.mark.looptime]


def an_hour(**fields: Any) -> dict[str, Any]:
    """A Shell job `a` that runs for an hour."""
    return shell("a", seconds=3600) | fields


def an_hour_of_kubernetes(**fields: Any) -> dict[str, Any]:
    """The same as a Kubernetes Job."""
    job = k8s_job("a") | fields
    job["params"]["annotations"] = {"simulate.test/seconds": "3600"}
    return job


KINDS: dict[str, Callable[..., dict[str, Any]]] = {"Shell": an_hour, "K8S/Job": an_hour_of_kubernetes}


def deployment(**fields: Any) -> dict[str, Any]:
    params = {"name": "never", "image": "registry.example.test/none:1"}
    return {"name": "a", "stage": "s", "kind": "K8S/Deployment", "version": "1.0.0", "params": params} | fields


def lasted(status: dict[str, Any]) -> float:
    """Seconds from the start to the end of a job or an attempt."""
    return (parse_time(status["completionTime"]) - parse_time(status["startTime"])).total_seconds()


async def ended(world: World, seconds: float = 600) -> dict[str, Any]:
    """The status of `a` once `p` is final."""
    await world.until_final("p", seconds=seconds)
    return world.job("p", "a")


class TestRow7EachTimeoutHasItsOwnClock:
    """`timeout` and `startTimeout` from the launch of the attempt, `queueTimeout` from the opening of the stage."""

    @pytest.mark.parametrize("kind", KINDS)
    async def test_timeout_counts_from_the_launch_and_the_workload_goes_first(self, kind: str) -> None:
        async with running() as world:
            laws = Laws(world.cluster)
            world.cluster.kubelet.fate = lambda _: Fate(seconds=3600, stop_seconds=20)
            world.submit("p", KINDS[kind](timeout=60))
            await until_told(world, "IN PROGRESS", "Stopping", seconds=70)
            await asyncio.sleep(15)
            assert len(world.pods()) == 1
            told = world.job("p", "a")
            assert (told["state"], told["reason"], told["message"]) == (
                "IN PROGRESS", "Stopping", "ran longer than 60 s",
            )  # fmt: skip
            assert world.runtime is not None
            assert world.runtime.scheduler.queue.running == 1
            status = await ended(world, 10)
            assert (status["state"], status["reason"]) == ("ERROR", "Timeout")
            assert status["attempts"][0]["outcome"] == "Timeout"
            assert 80 <= lasted(status) <= 82
            nothing_is_left(world, laws)

    @pytest.mark.parametrize("kind", KINDS)
    async def test_b029_the_wait_for_a_slot_does_not_count(self, kind: str) -> None:
        async with running(max_running_jobs=1) as world:
            world.submit("filler", shell("x", seconds=90))
            await world.cluster.admin.wait_for(lambda: world.states("filler").get("x") == "IN PROGRESS", 10)
            world.cluster.kubelet.fate = lambda _: fates.succeeds(20)
            world.submit("p", KINDS[kind](timeout=60))
            status = await ended(world)
            assert status["state"] == "DONE"
            assert world.spy.launched_at["filler/x"] + 90 <= world.now

    @pytest.mark.parametrize("kind", KINDS)
    async def test_b029_the_wait_for_a_node_counts_for_every_kind_and_the_message_says_so(self, kind: str) -> None:
        async with running() as world:
            laws = Laws(world.cluster)
            world.cluster.kubelet.fate = lambda _: fates.unschedulable()
            world.submit("p", KINDS[kind](timeout=60))
            status = await ended(world)
            assert (status["state"], status["reason"]) == ("ERROR", "Timeout")
            assert "pending" in status["message"]
            assert "Insufficient cpu" in status["message"]
            assert 60 <= lasted(status) <= 62
            nothing_is_left(world, laws)

    @pytest.mark.parametrize(("pending", "state"), [(30.0, "DONE"), (50.0, "ERROR")])
    async def test_b029_a_start_that_took_long_leaves_less_time_to_run(self, pending: float, state: str) -> None:
        async with running() as world:
            world.cluster.kubelet.times.start = pending
            world.submit("p", shell("a", seconds=20, timeout=60))
            status = await ended(world)
            assert status["state"] == state
            if state == "ERROR":
                assert status["message"] == "ran longer than 60 s, 50 s of them pending"

    @pytest.mark.parametrize("held", [30, 3600])
    async def test_the_clock_of_a_job_that_kueue_holds_stands_still(self, held: int) -> None:
        async with running() as world:
            laws = Laws(world.cluster)
            world.submit("p", k8s_job("a", timeout=60, startTimeout=20))
            await until_told(world, "IN PROGRESS")
            suspend_kubernetes_job(world, True)
            await until_told(world, "IN PROGRESS", "ExternallyQueued")
            await asyncio.sleep(held)
            assert world.job("p", "a")["reason"] == "ExternallyQueued"
            released = world.now
            suspend_kubernetes_job(world, False)
            assert (await ended(world))["reason"] == "Timeout"
            assert 58 <= world.now - released <= 63
            nothing_is_left(world, laws)

    async def test_queue_timeout_goes_on_before_the_first_attempt_only(self) -> None:
        async with running(retry_backoff=60.0) as world:
            world.submit("p", shell("a", exit_code=1, retryAttempt=1, queueTimeout=30))
            status = await ended(world)
            assert (status["state"], status["reason"], status["attempt"]) == ("ERROR", "ExitCode", 2)

    async def test_queue_timeout_counts_from_the_opening_of_the_stage(self) -> None:
        async with running() as world:
            world.submit("p", shell("first", "f", seconds=100), shell("a", queueTimeout=30))
            assert (await ended(world))["state"] == "DONE"

    @pytest.mark.parametrize("allowed", [False, True])
    async def test_row_8_queue_timeout_counts_as_a_failure_unless_allowed(self, allowed: bool) -> None:
        async with running(max_running_jobs=1) as world:
            world.submit(
                "p", shell("long", seconds=100), shell("a", queueTimeout=30, allowFailure=allowed), shell("c", "t")
            )
            status = await ended(world)
            assert (status["state"], status["reason"]) == ("CANCELLED", "QueueTimeout")
            assert status["message"] == "not started within queueTimeout of 30 s"
            whole = world.pipeline("p")
            wanted = ("DONE", "SucceededWithWarnings") if allowed else ("ERROR", "JobFailed")
            assert (whole["state"], whole["reason"]) == wanted

    async def test_the_pipelines_timeout_counts_from_its_first_launch(self) -> None:
        async with running(max_running_jobs=1) as world:
            laws = Laws(world.cluster)
            world.submit("filler", shell("x", seconds=300))
            await world.cluster.admin.wait_for(lambda: world.states("filler").get("x") == "IN PROGRESS", 10)
            world.submit("p", shell("a", seconds=600), shell("waits"), shell("later", "t"), timeout=60)
            await until_told(world, "IN PROGRESS", seconds=400)
            launched = world.now
            assert (await ended(world, 70))["reason"] == "DeadlineExceeded"
            assert 59 <= world.now - launched <= 63
            assert world.job("p", "waits")["reason"] == "DeadlineExceeded"
            whole = world.pipeline("p")
            assert (whole["state"], whole["reason"]) == ("ERROR", "DeadlineExceeded")
            assert whole["message"] == "the Pipeline ran longer than its timeout of 60 s"
            assert "p/later" not in world.spy.launches
            nothing_is_left(world, laws)

    async def test_the_pipelines_timeout_stops_what_runs_beside_a_failure(self) -> None:
        """The failure has ended what waited long before; the deadline is told to what still runs."""
        async with running() as world:
            laws = Laws(world.cluster)
            world.submit("p", shell("bad", exit_code=1), shell("a", seconds=6000), shell("later", "t"), timeout=60)
            assert (await ended(world, 70))["reason"] == "DeadlineExceeded"
            assert world.pipeline("p")["reason"] == "DeadlineExceeded"
            nothing_is_left(world, laws)

    async def test_the_pipelines_timeout_beats_a_pending_retry(self) -> None:
        async with running(retry_backoff=300.0) as world:
            world.submit("p", shell("a", exit_code=1, retryAttempt=3), timeout=60)
            assert (await ended(world, 70))["reason"] == "DeadlineExceeded"
            assert world.spy.launches == ["p/a"]


COMBINATIONS: list[tuple[dict[str, int], str, int]] = [
    ({"startTimeout": 100, "timeout": 30}, "Timeout", 30),
    ({"startTimeout": 30, "timeout": 100}, "StartTimeout", 30),
    ({"startTimeout": 30, "timeout": 30}, "Timeout", 30),
    ({"queueTimeout": 10, "timeout": 30}, "Timeout", 30),
    ({"timeout": 50}, "Timeout", 50),
    ({"startTimeout": 50}, "StartTimeout", 50),
    ({}, "StartTimeout", 70),
    ({"startTimeout": 200}, "Timeout", 90),
    ({"timeout": 200}, "StartTimeout", 70),
    ({"startTimeout": 200, "timeout": 120}, "Timeout", 120),
]


@pytest.mark.parametrize(("limits", "reason", "seconds"), COMBINATIONS)
async def test_row_10_the_first_of_several_timeouts_ends_what_does_not_start(
    limits: dict[str, int], reason: str, seconds: int
) -> None:
    """Settings here: startTimeout 70 s, timeout 90 s."""
    async with running(timeout=90, start_timeout=70) as world:
        world.cluster.kubelet.fate = lambda _: fates.no_image()
        world.submit("p", an_hour(**limits))
        status = await ended(world)
        assert status["reason"] == reason
        assert "image" in status["message"]
        assert seconds <= lasted(status) <= seconds + 1


async def test_the_default_timeouts_are_those_of_the_contract() -> None:
    """86,400 s to run and 600 s to start."""
    async with running() as world:
        world.submit("p", shell("a", seconds=100_000, allowFailure=True))
        assert lasted(await ended(world, 90_000)) == pytest.approx(86_400, abs=1)
        world.cluster.kubelet.fate = lambda _: fates.no_image()
        world.submit("q", shell("a"))
        await world.until_final("q", seconds=700)
        assert lasted(world.job("q", "a")) == pytest.approx(600, abs=1)


async def test_a_changed_default_counts_for_what_runs_already() -> None:
    async with running() as world:
        world.submit("p", shell("a", seconds=600))
        await until_told(world, "IN PROGRESS")
        world.change_settings(timeout=60)
        status = await ended(world, 100)
        assert status["reason"] == "Timeout"


class TestB030EveryAttemptHasItsOwnBudget:
    """An attempt that used up its time leaves the next one all of its own."""

    @pytest.mark.parametrize("kind", KINDS)
    async def test_the_second_attempt_runs_and_succeeds(self, kind: str) -> None:
        async with running() as world:
            laws = Laws(world.cluster)
            ends = iter([fates.succeeds(60), fates.succeeds(2)])
            world.cluster.kubelet.fate = lambda _: next(ends)
            world.submit("p", KINDS[kind](timeout=10, retryAttempt=1))
            status = await ended(world)
            assert status["state"] == "DONE"
            first, second = status["attempts"]
            assert (first["outcome"], second["outcome"]) == ("Timeout", "Succeeded")
            assert 10 <= lasted(first) <= 11.5
            assert 1 <= lasted(second) <= 3.5, "its end comes from the pod, in whole seconds"
            await asyncio.sleep(5)
            nothing_is_left(world, laws)

    async def test_a_restart_between_them_changes_nothing(self) -> None:
        async with running(retry_backoff=30.0) as world:
            ends = iter([fates.succeeds(60), fates.succeeds(8)])
            world.cluster.kubelet.fate = lambda _: next(ends)
            world.submit("p", shell("a", timeout=10, retryAttempt=1))
            await until_told(world, "READY", "RetryBackoff")
            await world.kill()
            await asyncio.sleep(120)
            await world.start()
            assert (await ended(world))["state"] == "DONE"

    async def test_all_attempts_may_time_out(self) -> None:
        async with running() as world:
            world.submit("p", shell("a", seconds=600, timeout=10, retryAttempt=2))
            status = await ended(world)
            assert [one["outcome"] for one in status["attempts"]] == ["Timeout"] * 3
            assert [10 <= lasted(one) <= 11 for one in status["attempts"]] == [True] * 3


@pytest.mark.parametrize("restart", [False, True])
async def test_b031_a_timeout_ends_every_kind(restart: bool) -> None:
    async with running() as world:
        laws = Laws(world.cluster)
        world.cluster.deployments.rollout = lambda _: Rollout(stuck=True)
        jobs = (shell("a", seconds=3600), k8s_job("b"), deployment(name="c"))
        world.submit("p", *(job | {"timeout": 10, "allow_failure": True} for job in jobs))
        await asyncio.sleep(5)
        if restart:
            await world.kill()
            await world.start()
        assert await world.until_final("p", seconds=30) == {"p": "DONE"}
        for job in world.jobs("p"):
            assert (job["status"]["state"], job["status"]["reason"]) == ("ERROR", "Timeout")
            assert 10 <= lasted(job["status"]) <= 12
        assert not world.cluster.admin.list(KUBERNETES_JOBS)
        assert not world.pods()
        nothing_is_left(world, laws)


@pytest.mark.parametrize("restart", [False, True])
async def test_b032_nothing_cuts_a_job_of_75_minutes_that_has_no_timeout(restart: bool) -> None:
    async with running() as world:
        world.cluster.kubelet.fate = lambda _: fates.succeeds(4500)
        world.cluster.deployments.rollout = lambda _: Rollout(seconds=4500)
        slow = {"name": "web", "image": "busybox:1.36", "progressDeadlineSeconds": 9000}
        jobs = [shell("a"), k8s_job("b"), deployment(name="c") | {"params": slow}]
        world.submit("p", *jobs)
        for _ in range(70):
            await asyncio.sleep(60)
            if restart:
                await world.stop()
                await world.start()
        assert await world.until_final("p", seconds=600) == {"p": "DONE"}
        assert {len(job["status"]["attempts"]) for job in world.jobs("p")} == {1}
        assert all(lasted(job["status"]) >= 4500 for job in world.jobs("p"))


async def test_row_7_a_timeout_whose_deletion_is_refused_is_told_when_the_pod_is_gone() -> None:
    async with running() as world:
        laws = Laws(world.cluster)
        world.submit("p", shell("a", seconds=600, timeout=10, retryAttempt=1))
        refused = world.cluster.fault(on("delete", PODS), before=server_error(), times=8)
        await until_told(world, "READY", "RetryBackoff", seconds=60)
        assert refused.spent
        world.edit("p", cancel="Now")
        await world.until_final("p", seconds=30)
        laws.check()


@pytest.mark.parametrize(("finished", "state"), [(9.9, "DONE"), (11.0, "ERROR")])
async def test_row_7_a_timeout_and_an_end_while_the_operator_is_down(finished: float, state: str) -> None:
    """What has ended before anybody looked has ended; what still runs is stopped."""
    async with running() as world:
        laws = Laws(world.cluster)
        seconds = finished if state == "DONE" else 600.0
        world.submit("p", shell("a", seconds=seconds, timeout=10))
        await until_told(world, "IN PROGRESS")
        await world.kill()
        await asyncio.sleep(120)
        await world.start()
        status = await ended(world, 10)
        assert status["state"] == state
        nothing_is_left(world, laws)
