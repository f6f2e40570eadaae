"""What a failure or a cancel means for the others: siblings, later stages, retries (semantics rows 4, 5, 8 and 9).

Field cases B014, B025 to B028, B041, B043, B045.
"""

import asyncio
from typing import Any

import pytest

from task_pipeline.api.resources import KUBERNETES_JOBS, PODS, Resource
from task_pipeline.kube.errors import Gone
from tests.fakes import fates
from tests.fakes.fates import Fate
from tests.scenario.laws import Laws
from tests.scenario.test_cancel_matrix import CANCELLED, k8s_job, nothing_is_left, until_told
from tests.scenario.world import World, running, shell

pytestmark = [pytest.mark.looptime]


def ends(world: World) -> dict[str, str]:
    """The reason of every job that exists, by name."""
    return {job["spec"]["name"]: job["status"]["reason"] for job in world.jobs("p")}


def whole(world: World) -> tuple[str, str]:
    """State and reason of `p`."""
    return world.pipeline("p")["state"], world.pipeline("p")["reason"]


class TestRow8AFailureThatCounts:
    """Siblings finish, queued ones too; with failFast only those that run do. Later stages never start."""

    @pytest.mark.parametrize("fail_fast", [False, True])
    async def test_siblings_that_run_wait_and_pause(self, fail_fast: bool) -> None:
        async with running(max_running_jobs=3, retry_backoff=30.0) as world:
            laws = Laws(world.cluster)
            flaky = iter([fates.fails(2), fates.succeeds()])

            def fate(pod: dict[str, Any]) -> Fate | None:
                return next(flaky) if "-flaky-" in pod["metadata"]["name"] else None

            world.cluster.kubelet.fate = fate
            jobs = [shell("bad", seconds=5, exit_code=1), shell("runs", seconds=60), shell("flaky", retryAttempt=1)]
            waiting = [shell(f"w{number}", seconds=60) for number in range(3)]
            world.submit("p", *jobs, *waiting, shell("later", "t"), failFast=fail_fast)
            assert await world.until_final("p") == {"p": "ERROR"}
            assert whole(world) == ("ERROR", "JobFailed")
            told = ends(world)
            assert (told.pop("bad"), told.pop("runs")) == ("ExitCode", "Succeeded")
            started = told.pop("w0")  # it got the slot that the pause of the flaky one left
            assert started == "Succeeded"
            assert set(told.values()) == {"FailFast" if fail_fast else "Succeeded"}
            assert "p/later" not in world.spy.launches
            nothing_is_left(world, laws)

    async def test_fail_fast_is_set_by_failures_only(self) -> None:
        """Neither a cancelled job nor an allowed failure cancels the others."""
        async with running(max_running_jobs=1) as world:
            world.submit(
                "p",
                shell("allowed", exit_code=1, allowFailure=True),
                shell("a", seconds=600),
                shell("b"),
                failFast=True,
            )
            await until_told(world, "IN PROGRESS")
            world.edit_job("p", "a", cancel="Now")
            assert await world.until_final("p") == {"p": "CANCELLED"}
            assert ends(world) == {"allowed": "ExitCode", "a": "UserCancelled", "b": "Succeeded"}

    async def test_fail_fast_that_is_switched_on_later_ends_what_waits(self) -> None:
        async with running(max_running_jobs=1) as world:
            world.submit("p", shell("bad", exit_code=1), shell("a", seconds=60), shell("b"))
            await until_told(world, "IN PROGRESS")
            world.edit("p", failFast=True)
            await until_told(world, "CANCELLED", "FailFast", "b", seconds=1)
            assert await world.until_final("p") == {"p": "ERROR"}


class TestRow9TheOutcome:
    """Cancelled by the user > any failure that counts > DONE, judged when nothing runs."""

    @pytest.mark.parametrize("order", ["failure first", "cancel first"])
    async def test_a_cancel_counts_more_than_a_failure(self, order: str) -> None:
        async with running() as world:
            laws = Laws(world.cluster)
            world.submit("p", shell("bad", seconds=10, exit_code=1), shell("a", seconds=600))
            await until_told(world, "IN PROGRESS")
            if order == "failure first":
                await until_told(world, "ERROR", job="bad")
                world.edit("p", cancel="Now")
            else:
                world.edit("p", cancel="Drain")
                await until_told(world, "ERROR", job="bad")
                world.edit("p", cancel="Now")
            await world.until_final("p", seconds=20)
            assert ends(world) == {"bad": "ExitCode", "a": "UserCancelled"}
            assert whole(world) == CANCELLED
            nothing_is_left(world, laws)

    async def test_it_is_judged_when_nothing_runs_any_more(self) -> None:
        async with running() as world:
            world.submit("p", shell("bad", exit_code=1), shell("a", seconds=100), shell("b", "t"))
            await until_told(world, "ERROR", job="bad")
            await asyncio.sleep(50)
            assert world.pipeline("p")["state"] == "IN PROGRESS"
            assert await world.until_final("p") == {"p": "ERROR"}


@pytest.mark.parametrize("where", ["first", "middle", "last", "only"])
@pytest.mark.parametrize("how", ["exit code", "timeout"])
async def test_b041_a_tolerated_failure_is_a_warning_wherever_it_is(where: str, how: str) -> None:
    async with running() as world:
        limits: dict[str, Any] = {"exit_code": 1} if how == "exit code" else {"seconds": 60, "timeout": 5}
        names = ["only"] if where == "only" else ["first", "middle", "last"]
        jobs = [
            shell(name, name, allow_failure=True, **limits) if name == where else shell(name, name) for name in names
        ]
        world.submit("p", *jobs)
        assert await world.until_final("p") == {"p": "DONE"}
        assert whole(world) == ("DONE", "SucceededWithWarnings")
        status = world.pipeline("p")
        assert (status["warnings"], status["failedJobs"]) == (1, [where])
        assert [stage["state"] for stage in status["stages"]] == ["DONE"] * len(names)
        assert world.states("p") == {name: "ERROR" if name == where else "DONE" for name in names}


class TestRow4Retries:
    """`retryAttempt: n` gives at most 1 + n attempts that count."""

    async def test_b025_no_retry_means_one_pod(self) -> None:
        async with running() as world:
            world.cluster.kubelet.fate = lambda _: fates.fails(1)
            template = {"spec": {"containers": [{"name": "main", "image": "busybox:1.36"}], "restartPolicy": "Never"}}
            native = {"name": "b", "stage": "s", "kind": "K8S/Job", "version": "1.0.0"}
            params = {"params": {"spec": {"template": template}}}
            world.submit("p", shell("a", allow_failure=True), native | params | {"allow_failure": True})
            assert await world.until_final("p") == {"p": "DONE"}
            await asyncio.sleep(600)
            assert world.spy.launches.count("p/a") == 1
            assert world.spy.launches.count("p/b") == 1
            assert len(world.cluster.journal.of("create", KUBERNETES_JOBS)) == 1
            assert [len(job["status"]["attempts"]) for job in world.jobs("p")] == [1, 1]

    @pytest.mark.parametrize("fields", [{"retry_attempt": 0}, {"retryAttempt": 0}, {}, {"retry_attempt": None}])
    async def test_b026_zero_absent_and_null_run_once(self, fields: dict[str, Any]) -> None:
        async with running() as world:
            world.submit("p", shell("a", **fields))
            assert await world.until_final("p") == {"p": "DONE"}
            assert (world.job("p", "a")["attempt"], world.spy.launches) == (1, ["p/a"])

    @pytest.mark.parametrize("first", ["exit code", "evicted", "kept for debugging"])
    async def test_b027_the_second_attempt_is_never_taken_for_the_first(self, first: str) -> None:
        async with running() as world:
            laws = Laws(world.cluster)
            ends = iter([fates.evicted() if first == "evicted" else fates.fails(1), fates.fails(7, 3)])
            world.cluster.kubelet.fate = lambda _: next(ends, fates.fails(9))
            world.submit("p", shell("a", retry_attempt=1))
            await world.cluster.admin.wait_for(lambda: len(world.spy.launches) == 2, 60)
            if first != "kept for debugging":
                for pod in world.pods()[:1]:
                    world.cluster.admin.delete(PODS, pod["metadata"]["name"], grace=0)
            await until_told(world, "IN PROGRESS")
            world.cluster.kubelet.fate = lambda _: fates.fails(7)
            await world.until_final("p")
            one, two = world.job("p", "a")["attempts"][:2]
            assert one["workload"]["name"] != two["workload"]["name"]
            assert one["workload"]["uid"] != two["workload"]["uid"]
            assert world.job("p", "a")["attempts"][-1]["exitCode"] == 7
            laws.check()

    @pytest.mark.parametrize("code", [1, 2, 64, 126, 127, 137, 141, 143, 255])
    @pytest.mark.parametrize("kind", [shell, k8s_job])
    async def test_b028_every_exit_code_is_retried(self, code: int, kind: Any) -> None:
        async with running() as world:
            world.cluster.kubelet.fate = lambda _: fates.fails(code)
            world.submit("p", kind("a") | {"retry_attempt": 1, "allow_failure": True})
            assert await world.until_final("p") == {"p": "DONE"}
            assert [one["exitCode"] for one in world.job("p", "a")["attempts"]] == [code, code]
            assert world.spy.launches == ["p/a", "p/a"]


class TestRow5BetweenAttempts:
    """READY with `RetryBackoff`, without a slot, in its place in the order."""

    async def test_b014_a_job_that_always_fails_lets_others_in(self) -> None:
        async with running(max_running_jobs=1, retry_backoff=10.0) as world:
            world.submit("p", shell("bad", exit_code=1, retry_attempt=50), shell("good"))
            await until_told(world, "DONE", job="good", seconds=5)
            assert world.spy.launches == ["p/bad", "p/good"]
            world.edit("p", cancel="Now")
            await world.until_final("p", seconds=2)

    async def test_it_says_when_it_goes_on_and_keeps_its_place(self) -> None:
        async with running(max_running_jobs=1, retry_backoff=10.0) as world:
            world.submit(
                "p", shell("bad", exit_code=1, retry_attempt=1), shell("x", seconds=30), shell("y", seconds=30)
            )
            await until_told(world, "READY", "RetryBackoff", "bad")
            assert "nextAttemptTime" in world.job("p", "bad")
            assert await world.until_final("p") == {"p": "ERROR"}
            assert world.spy.launches == ["p/bad", "p/x", "p/bad", "p/y"]


@pytest.mark.parametrize("restart", ["no", "stop", "kill"])
async def test_b043_jobs_that_end_before_anybody_looks(restart: str) -> None:
    async with running() as world:
        world.cluster.kubelet.times.start = 0.0
        world.submit("p", *(shell(f"a{n}") for n in range(50)), *(k8s_job(f"b{n}") for n in range(50)))
        world.cluster.kubelet.fate = lambda _: fates.succeeds()
        await asyncio.sleep(0.5)
        if restart != "no":
            await (world.stop() if restart == "stop" else world.kill())
            await asyncio.sleep(10)
            await world.start()
        assert await world.until_final("p", seconds=60) == {"p": "DONE"}
        for job in world.jobs("p"):
            assert job["status"]["startTime"] <= job["status"]["completionTime"]
            assert len(job["status"]["attempts"]) == 1


@pytest.mark.parametrize("error", [None, Gone(410, "Expired", "too old resource version")])
async def test_b045_the_end_of_a_connection_is_no_result(error: Gone | None) -> None:
    async with running() as world:
        world.submit("p", shell("a", seconds=90, exit_code=6))
        await until_told(world, "IN PROGRESS")
        cut: Resource | None = None
        for _ in range(2):
            await asyncio.sleep(39)
            world.cluster.break_watches(cut, error)
            assert world.states("p") == {"a": "IN PROGRESS"}
        assert await world.until_final("p", seconds=30) == {"p": "ERROR"}
        (attempt,) = world.job("p", "a")["attempts"]
        assert (attempt["exitCode"], world.job("p", "a")["reason"]) == (6, "ExitCode")
