"""Workers and an operator whose clocks differ, and reports that come at the last moment."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from task_pipeline.api.times import format_time, parse_time
from task_pipeline.core import remote
from task_pipeline.core.records import Report
from task_pipeline.core.remote import Denied, Step
from tests.scenario.worker_server import LEASE, Server, is_taken, offered, work
from tests.scenario.world import World, running

pytestmark = [pytest.mark.looptime]


class Skewed(Server):
    """A server whose clock is `seconds` ahead of the operator's."""

    def __init__(self, world: World, seconds: float) -> None:
        super().__init__(world)
        self._clock: Callable[[], datetime] = lambda: world.cluster.now() + timedelta(seconds=seconds)

    def claim(self, name: str = "a", worker: str = "w1") -> Step | Denied:
        return self._take(name, lambda job: remote.claim(job, worker, None, LEASE, self._clock()))

    def beat(self, attempt: int, name: str = "a") -> Step | Denied:
        return self._take(name, lambda job: remote.heartbeat(job, attempt, LEASE, self._clock()))

    def report(self, attempt: int, outcome: str = "Succeeded", name: str = "a", **result: object) -> Step | Denied:
        said = Report(attempt=attempt, outcome=outcome, time=format_time(self._clock()))
        return self._take(name, lambda job: remote.report(job, said, result or None))


@pytest.mark.parametrize("seconds", [-35, -5, 5, 35])
async def test_clocks_that_differ_lose_no_worker_that_keeps_the_pace(seconds: float) -> None:
    async with running() as world:
        server = Skewed(world, seconds)
        world.submit("p", work())
        await offered(world)
        assert is_taken(server.claim())
        for _ in range(6):
            await asyncio.sleep(LEASE.pace)
            assert is_taken(server.beat(1))
        assert is_taken(server.report(1))
        assert await world.until_final("p") == {"p": "DONE"}
        assert len(world.job("p", "a")["attempts"]) == 1


@pytest.mark.parametrize("late", [-0.01, 0.0, 0.01, 1.0, 1.99])
async def test_a_report_around_the_end_of_the_lease_counts_once_or_not_at_all(late: float) -> None:
    async with running() as world:
        server = Server(world)
        world.submit("p", work(retryAttempt=1))
        await offered(world)
        assert is_taken(server.claim())
        until = parse_time(world.job("p", "a")["claim"]["leaseUntil"])
        await asyncio.sleep((until - world.cluster.now()).total_seconds() + late)
        assert is_taken(server.report(1)), "the grace is for reports on their way"
        assert await world.until_final("p") == {"p": "DONE"}
        assert [one["outcome"] for one in world.job("p", "a")["attempts"]] == ["Succeeded"]


async def test_a_report_after_the_grace_changes_nothing() -> None:
    async with running() as world:
        server = Server(world)
        world.submit("p", work())
        await offered(world)
        assert is_taken(server.claim())
        await world.until_final("p")
        before = world.job("p", "a")
        assert before["reason"] == "WorkerLost"
        for outcome in ("Succeeded", "Failed"):
            assert isinstance(server.report(1, outcome), Denied)
        assert world.job("p", "a") == before
