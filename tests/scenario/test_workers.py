"""Jobs that workers do, with virtual time: the operator is the product's, the test writes what the server would.

Field cases B031, B032, B063, B064.
"""

import asyncio

import pytest

from task_pipeline.api.resources import DEPLOYMENTS, KUBERNETES_JOBS, PIPELINE_JOBS, PIPELINES, PODS
from task_pipeline.api.times import parse_time
from task_pipeline.core import remote
from task_pipeline.core.remote import Denial, Denied, Step
from tests.fakes.fates import Fate
from tests.scenario.worker_server import Server, is_taken, offered, work
from tests.scenario.world import World, running, shell

pytestmark = [pytest.mark.looptime]


def nothing_was_launched(world: World) -> bool:
    return not any(world.cluster.journal.of("create", kind) for kind in (PODS, KUBERNETES_JOBS, DEPLOYMENTS))


async def test_from_the_offer_to_the_end_in_three_writes_of_the_operator() -> None:
    async with running() as world:
        server = Server(world)
        world.submit("p", work(), work("b", stage="t"))
        status = await offered(world)
        assert status["message"] == "no worker has claimed it from queue render"
        assert "workload" not in status
        assert is_taken(server.claim())
        await asyncio.sleep(10)
        assert world.job("p", "a")["reason"] == "Running"
        assert "message" not in world.job("p", "a")
        assert is_taken(server.report(1, answer=42))
        await offered(world, "b")
        done = world.job("p", "a")
        assert (done["state"], done["result"], done["claim"]["worker"]) == ("DONE", {"answer": 42}, "w1")
        assert done["attempts"][0]["node"] == "w1"
        name = server.record("a").name
        assert len(world.cluster.journal.of("patch_status", PIPELINE_JOBS, name)) == 3
        assert is_taken(server.claim("b"))
        assert is_taken(server.report(1, name="b"))
        assert await world.until_final("p") == {"p": "DONE"}
        assert nothing_was_launched(world)


async def test_b031_a_worker_job_that_nobody_claims_ends_at_its_timeout_and_cannot_be_claimed() -> None:
    async with running() as world:
        server = Server(world)
        world.submit("p", work("d", "nobody", timeout=10))
        started = await offered(world, "d")
        await world.until_final("p")
        status = world.job("p", "d")
        assert (status["state"], status["reason"]) == ("ERROR", "Timeout")
        lasted = parse_time(status["completionTime"]) - parse_time(started["startTime"])
        assert 10 <= lasted.total_seconds() <= 11
        assert isinstance(server.claim("d"), Denied)
        assert world.pipeline("p")["state"] == "ERROR"


async def test_start_timeout_ends_what_nobody_claims_and_nothing_that_was_claimed() -> None:
    async with running() as world:
        server = Server(world)
        world.submit("p", work("a", startTimeout=30, allowFailure=True), work("b", startTimeout=30))
        await offered(world, "b")
        assert is_taken(server.claim("b"))
        await asyncio.sleep(31)
        assert world.job("p", "a")["reason"] == "StartTimeout"
        assert world.job("p", "b")["state"] == "IN PROGRESS"
        assert is_taken(server.report(1, name="b"))
        assert await world.until_final("p") == {"p": "DONE"}


async def test_b032_without_a_timeout_75_minutes_are_no_problem() -> None:
    async with running() as world:
        world.cluster.kubelet.fate = lambda _: Fate(seconds=4500)
        world.submit("long", shell("a", seconds=4500), work("b", "slow"))
        slow = Server(world, "long")
        await offered(world, "b", "long")
        assert is_taken(slow.claim("b"))
        for _ in range(4500 // 20):
            await asyncio.sleep(20)
            assert is_taken(slow.beat(1, "b"))
        assert is_taken(slow.report(1, name="b"))
        assert await world.until_final("long") == {"long": "DONE"}


async def test_b063_three_hours_of_progress_keep_the_job() -> None:
    async with running() as world:
        server = Server(world)
        world.submit("p", work())
        await offered(world)
        assert is_taken(server.claim())
        for number in range(3 * 120):
            await asyncio.sleep(30)
            assert is_taken(server.progress(1, number // 4))
            assert isinstance(server.claim(worker="w2"), Denied)
            assert world.job("p", "a")["claim"]["worker"] == "w1"
        assert is_taken(server.report(1))
        assert await world.until_final("p") == {"p": "DONE"}
        assert world.job("p", "a")["attempt"] == 1


async def test_b064_a_worker_that_dies_loses_the_attempt_and_another_gets_the_next() -> None:
    async with running(max_running_jobs=1) as world:
        server = Server(world)
        world.submit("p", work(retryAttempt=1))
        await offered(world)
        assert is_taken(server.claim(worker="w1"))
        claimed = world.now
        await asyncio.sleep(30)
        assert is_taken(server.beat(1))
        await world.cluster.admin.wait_for(lambda: world.states("p")["a"] == "READY", 100)
        assert world.now - claimed <= 30 + 60 + 5
        lost = world.job("p", "a")["attempts"][0]
        assert (lost["outcome"], lost["reason"], lost["charged"], lost["node"]) == ("Lost", "WorkerLost", True, "w1")
        assert isinstance(server.report(1), Denied)
        await offered(world)
        late = server.report(1)
        assert isinstance(late, Denied)
        assert (late.reason, late.attempt) == (Denial.SUPERSEDED, 2)
        assert is_taken(server.claim(worker="w2"))
        assert world.job("p", "a")["claim"]["attempt"] == 2
        assert world.spy.running.most == 1
        await asyncio.sleep(100)
        assert await world.until_final("p") == {"p": "ERROR"}
        assert world.job("p", "a")["reason"] == "WorkerLost"
        assert world.spy.running.most == 1


async def test_a_failure_that_is_reported_is_retried() -> None:
    async with running() as world:
        server = Server(world)
        world.submit("p", work(retryAttempt=1))
        await offered(world)
        assert is_taken(server.claim())
        assert is_taken(server.report(1, "Failed", frames=3))
        await world.cluster.admin.wait_for(lambda: world.job("p", "a").get("attempt") == 2, 60)
        status = await offered(world)
        assert not {"claim", "report", "result"} & set(status)
        assert is_taken(server.claim())
        assert is_taken(server.report(2))
        assert await world.until_final("p") == {"p": "DONE"}


@pytest.mark.parametrize("claimed", [False, True])
@pytest.mark.parametrize("reports", [False, True])
async def test_row_20_cancel_now(claimed: bool, reports: bool) -> None:
    async with running() as world:
        server = Server(world)
        world.submit("p", work(retryAttempt=3))
        await offered(world)
        if claimed:
            assert is_taken(server.claim())
        await asyncio.sleep(10)
        world.edit("p", cancel="Now")
        cancelled = world.now
        await asyncio.sleep(2)
        if claimed:
            status = world.job("p", "a")
            assert (status["state"], status["reason"]) == ("READY", "Stopping")
            assert world.runtime is not None
            assert world.runtime.scheduler.queue.running == 1, "the slot is free when the worker has ended"
            answer = server.beat(1)
            assert isinstance(answer, Step)
            assert remote.is_stopping(answer.status)
            if reports:
                assert is_taken(server.report(1))
        assert await world.until_final("p") == {"p": "CANCELLED"}
        assert world.now - cancelled <= (65 if claimed and not reports else 5)
        assert world.job("p", "a")["state"] == "CANCELLED"
        assert isinstance(server.claim(), Denied)


async def test_a_drain_lets_a_worker_finish_and_what_is_offered_be_claimed() -> None:
    async with running() as world:
        server = Server(world)
        world.submit("p", work("a"), work("b"), work("c", stage="t"))
        await offered(world, "b")
        assert is_taken(server.claim("a"))
        world.edit("p", cancel="Drain")
        await asyncio.sleep(5)
        assert is_taken(server.claim("b"))
        assert is_taken(server.report(1, name="a"))
        assert is_taken(server.report(1, name="b"))
        assert await world.until_final("p") == {"p": "CANCELLED"}
        assert {world.job("p", name)["state"] for name in "ab"} == {"DONE"}


async def test_a_timeout_gives_the_worker_the_rest_of_its_lease_to_end() -> None:
    async with running() as world:
        server = Server(world)
        world.submit("p", work(timeout=100))
        await offered(world)
        assert is_taken(server.claim())
        for _ in range(5):
            await asyncio.sleep(20)
            assert is_taken(server.beat(1))
        await asyncio.sleep(2)
        assert world.job("p", "a")["reason"] == "Stopping"
        assert is_taken(server.report(1))
        await world.until_final("p")
        status = world.job("p", "a")
        assert (status["state"], status["reason"]) == ("ERROR", "Timeout")
        assert status["message"].startswith("ran longer than 100 s")


async def test_a_restarted_operator_goes_on_and_loses_nobody() -> None:
    async with running() as world:
        server = Server(world)
        world.submit("p", work("a"), work("b"))
        await offered(world, "b")
        assert is_taken(server.claim("a"))
        await world.kill()
        await asyncio.sleep(30)
        assert is_taken(server.beat(1, "a"))
        assert is_taken(server.claim("b"))
        assert is_taken(server.report(1, name="b"))
        await world.start()
        await world.cluster.admin.wait_for(lambda: world.states("p")["b"] == "DONE", 5)
        assert world.job("p", "a")["attempt"] == 1
        assert is_taken(server.report(1, name="a"))
        assert await world.until_final("p") == {"p": "DONE"}


async def test_a_deleted_pipeline_frees_the_slot_of_its_worker_job() -> None:
    async with running(max_running_jobs=1) as world:
        world.submit("p", work())
        await offered(world)
        world.submit("q", shell("x"))
        world.cluster.admin.delete(PIPELINES, "p")
        assert await world.until_final("q") == {"q": "DONE"}


async def test_limits_count_what_is_offered() -> None:
    async with running(max_running_jobs=2) as world:
        world.submit("p", *(work(name) for name in "abcd"))
        await offered(world, "b")
        await asyncio.sleep(30)
        assert list(world.states("p").values()).count("IN PROGRESS") == 2
