"""Two replicas: the standby writes nothing, takes over with what is true then, and no limit is exceeded by it."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from task_pipeline.api.resources import PIPELINE_CLIENTS, PIPELINES, PODS
from task_pipeline.kube.errors import Unreachable
from tests.fakes import on
from tests.fakes.refusals import too_many
from tests.scenario.replicas import Operator
from tests.scenario.world import World, shell

pytestmark = [pytest.mark.looptime]


class Pair:
    """A world with two replicas; `leader` works first."""

    def __init__(self, **settings: Any) -> None:
        self.world = World()
        self.settings = settings
        self.leader = Operator(self.world.cluster, "first", **settings)
        self.standby = Operator(self.world.cluster, "second", **settings)
        self.alive = [self.leader, self.standby]

    async def start(self) -> None:
        await self.leader.start()
        await self.leader.working.wait()
        await self.standby.start()

    async def lose_leader(self) -> None:
        """Let the leader crash."""
        self.alive.remove(self.leader)
        await self.leader.kill()

    async def new(self) -> Operator:
        """A further replica."""
        made = Operator(self.world.cluster, f"replica-{len(self.alive)}-{self.world.now}", **self.settings)
        self.alive.append(made)
        await made.start()
        return made


@asynccontextmanager
async def pair(**settings: Any) -> AsyncIterator[Pair]:
    """Two replicas at work; at the end no attempt may have had two pods."""
    made = Pair(**settings)
    await made.start()
    try:
        yield made
        made.world.check()
    finally:
        for one in made.alive:
            await one.kill()


async def test_the_standby_writes_nothing_and_keeps_no_keys() -> None:
    async with pair(max_running_jobs=3) as both:
        for number in range(5):
            both.world.submit(f"p{number}", shell("a", seconds=1), shell("b", "t", seconds=1))
        await both.world.until_final()
        await asyncio.sleep(60)
        for number in range(5):
            both.world.cluster.admin.delete(PIPELINES, f"p{number}")
        await asyncio.sleep(120)
        standby = both.standby.runtime
        assert not both.standby.elected.is_set()
        assert (len(standby.work), standby.idle) == (0, True)
        assert (len(standby.store.pipelines), len(standby.store.jobs)) == (0, 0)
        assert standby.scheduler.queue.slots == frozenset()


async def test_after_a_crash_the_standby_finishes_what_was_begun() -> None:
    async with pair(max_running_jobs=4) as both:
        for number in range(4):
            both.world.submit(f"p{number}", shell("a", seconds=3), shell("b", "t", seconds=3), shell("c", "u"))
        await asyncio.sleep(4)
        await both.lose_leader()
        crashed = both.world.now
        await both.standby.working.wait()
        assert both.world.now - crashed <= 18
        assert set((await both.world.until_final()).values()) == {"DONE"}
        assert both.world.spy.pods.most <= 4
        assert both.standby.runtime.scheduler.drift() == 0


async def test_after_sigterm_the_standby_works_within_two_seconds() -> None:
    async with pair() as both:
        both.world.submit("p", shell("a", seconds=30), shell("b", "t"))
        await asyncio.sleep(5)
        both.alive.remove(both.leader)
        await both.leader.stop()
        began = both.world.now
        await both.standby.working.wait()
        assert both.world.now - began <= 2.1
        assert await both.world.until_final() == {"p": "DONE"}


async def test_a_standby_that_was_deaf_looks_again_before_it_launches() -> None:
    async with pair(max_running_jobs=4) as both:
        both.world.submit("first", *(shell(f"a{n}", seconds=100) for n in range(2)))
        await asyncio.sleep(2)
        both.standby.door.deafen()
        both.world.submit("second", *(shell(f"b{n}", seconds=100) for n in range(2)), shell("late", "t"))
        both.world.submit("waiting", *(shell(f"c{n}") for n in range(8)))
        await asyncio.sleep(2)
        await both.lose_leader()
        await both.standby.working.wait()
        assert both.standby.news
        await asyncio.sleep(60)
        assert both.world.spy.running.most <= 4
        assert both.world.spy.pods.most <= 4
        both.standby.door.deafen(False)
        assert set((await both.world.until_final()).values()) == {"DONE"}


async def test_nothing_is_launched_of_a_client_that_was_deleted_unseen() -> None:
    async with pair() as both:
        both.world.client("theirs")
        both.world.submit("theirs", shell("a"), clientId="theirs", suspend=True)
        both.world.submit("ours", shell("a"), suspend=True)
        await asyncio.sleep(3)
        both.standby.door.deafen()
        both.world.cluster.admin.delete(PIPELINE_CLIENTS, "theirs", "task-pipeline")
        await asyncio.sleep(1)
        both.world.edit("theirs", suspend=False)
        await asyncio.sleep(1)
        await both.lose_leader()
        both.world.edit("ours", suspend=False)
        await both.standby.working.wait()
        await asyncio.sleep(10)
        assert len(both.world.pods()) == 1
        both.standby.door.deafen(False)
        assert (await both.world.until_final("ours"))["ours"] == "DONE"


async def test_what_ended_and_was_removed_unseen_is_not_run_again() -> None:
    async with pair(ttl_seconds_after_finished=0) as both:
        both.world.submit("p", shell("a", seconds=5))
        await asyncio.sleep(2)
        both.standby.door.deafen()
        await both.world.until_final()
        await asyncio.sleep(30)
        assert both.world.jobs("p") == []
        launched = len(both.world.spy.launches)
        await both.lose_leader()
        await both.standby.working.wait()
        await asyncio.sleep(60)
        assert len(both.world.spy.launches) == launched == 1
        assert both.world.pipeline("p")["state"] == "DONE"


async def test_what_ended_unseen_and_whose_pods_are_gone_is_not_run_again() -> None:
    """The standby's own watches know the jobs as READY; their names are free; only looking again tells."""
    async with pair(max_running_jobs=2) as both:
        refusing = both.world.cluster.fault(on("create", PODS), before=too_many, times=None)
        both.world.submit("p", *(shell(f"a{n}", seconds=5) for n in range(4)), shell("b", "t", seconds=600))
        await asyncio.sleep(2)
        assert set(both.world.states("p").values()) == {"READY"}
        both.standby.door.deafen()
        refusing.remove()
        await both.world.cluster.admin.wait_for(lambda: both.world.states("p").get("b") == "IN PROGRESS", 300)
        for pod in both.world.pods():
            if pod["status"]["phase"] == "Succeeded":
                both.world.cluster.admin.delete(PODS, pod["metadata"]["name"], grace=0)
        await both.lose_leader()
        await both.standby.working.wait()
        await asyncio.sleep(60)
        assert Counter(both.world.spy.launches) == Counter(["p/a0", "p/a1", "p/a2", "p/a3", "p/b"])
        both.standby.door.deafen(False)
        assert await both.world.until_final(seconds=2000) == {"p": "DONE"}


async def test_what_began_and_ended_unseen_is_not_run_again() -> None:
    async with pair() as both:
        both.standby.door.deafen()
        both.world.submit("p", shell("a"), shell("b", "t", seconds=60))
        await asyncio.sleep(20)
        assert both.world.states("p") == {"a": "DONE", "b": "IN PROGRESS"}
        await both.lose_leader()
        await both.standby.working.wait()
        await asyncio.sleep(300)
        both.standby.door.deafen(False)
        assert await both.world.until_final() == {"p": "DONE"}
        assert both.world.spy.launches == ["p/a", "p/b"]


async def test_nothing_is_launched_before_it_could_look_again() -> None:
    async with pair() as both:
        both.world.submit("p", shell("a"))
        await both.world.until_final()
        away = both.world.cluster.fault(on("list"), before=Unreachable("away"), times=None)
        await both.lose_leader()
        await both.standby.elected.wait()
        both.world.submit("q", shell("b"))
        await asyncio.sleep(30)
        assert not both.standby.working.is_set()
        assert both.world.spy.launches == ["p/a"]
        away.remove()
        assert (await both.world.until_final("q"))["q"] == "DONE"


async def test_what_keeps_a_new_leader_from_working_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    async with pair() as both:
        both.world.cluster.fault(on("list", PIPELINES), before=Unreachable("away"), times=None)
        await both.lose_leader()
        await both.standby.elected.wait()
        await asyncio.sleep(30)
        assert caplog.text.count("trying again before anything is launched") == 1


async def test_an_old_leader_that_goes_on_writes_nothing() -> None:
    async with pair(max_running_jobs=2) as both:
        both.world.submit("p", *(shell(f"a{n}", seconds=4) for n in range(12)))
        await asyncio.sleep(3)
        both.leader.stall()
        before = len(both.world.cluster.journal.writes)
        await asyncio.sleep(10)
        assert len(both.world.cluster.journal.writes) == before
        await both.standby.working.wait()
        assert await both.world.until_final() == {"p": "DONE"}
        assert both.world.spy.pods.most <= 2
        assert set(Counter(both.world.spy.launches).values()) == {1}


async def test_a_new_leader_with_nothing_to_do_writes_nothing() -> None:
    async with pair() as both:
        both.world.submit("done", shell("a"))
        both.world.submit("failed", shell("a", exit_code=1))
        both.world.submit("wrong", {"name": "a", "stage": "s", "kind": "Nope", "version": "1.0.0"})
        await both.world.until_final()
        await asyncio.sleep(60)
        both.world.cluster.journal.clear()
        await both.lose_leader()
        await both.standby.working.wait()
        await asyncio.sleep(600)
        assert both.standby.news == 0
        assert not both.world.cluster.journal.writes


@pytest.mark.parametrize("crash", [True, False], ids=["crash", "sigterm"])
async def test_twenty_handovers_in_a_row_change_nothing(crash: bool) -> None:
    async with pair(max_running_jobs=5) as both:
        for number in range(6):
            jobs = [shell(f"{stage}{n}", stage, seconds=20) for stage in ("s", "t", "u") for n in range(5)]
            both.world.submit(f"p{number}", *jobs, shell("flaky", "u", exit_code=1, retryAttempt=2, allowFailure=True))
        leader = both.leader
        for _ in range(20):
            await asyncio.sleep(7)
            both.alive.remove(leader)
            await (leader.kill() if crash else leader.stop())
            leader = both.alive[0]
            await leader.working.wait()
            await both.new()
        assert set((await both.world.until_final(seconds=3000)).values()) == {"DONE"}
        assert both.world.spy.running.most <= 5
        assert both.world.spy.pods.most <= 5
        assert leader.runtime.scheduler.drift() == 0
