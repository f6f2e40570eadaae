"""maxWaitSeconds with the whole operator: who has waited too long goes first, within the bound of docs/concepts.md.

The bound itself is a property of the queue, proven over random loads in tests/unit/core/test_max_wait.py.
"""

import asyncio
from random import Random

import pytest

from tests.scenario.world import World, running, shell

pytestmark = [pytest.mark.looptime]

PATIENCE = 60
SECONDS = 10.0  # that every pod runs at most
SLOT = SECONDS + 0.5  # and what its start and end take


async def flood(world: World, count: int = 60) -> None:
    """Better work than any slot can ever get through, by a client without patience."""
    world.client("urgent", priority=1)
    world.submit("flood", *(shell(f"j{number:03}", seconds=SECONDS) for number in range(count)), clientId="urgent")
    await asyncio.sleep(1)


async def test_without_it_low_ranks_wait_as_long_as_better_work_comes() -> None:
    async with running(max_running_jobs=1) as world:
        await flood(world, 30)
        world.submit("patient", shell("a"))
        await asyncio.sleep(250)
        assert "patient/a" not in world.spy.launches
        await world.until_final()


async def test_who_has_waited_too_long_takes_the_next_slot() -> None:
    async with running(max_running_jobs=2) as world:
        world.client("patient", maxWaitSeconds=PATIENCE)
        await flood(world)
        world.submit("p", shell("a"), shell("b", "t"), clientId="patient")
        submitted = world.now
        await asyncio.sleep(PATIENCE - 2)
        assert "p/a" not in world.spy.launches
        await world.until_final("p")
        waited = world.spy.launched_at["p/a"] - submitted
        assert PATIENCE - 1 <= waited <= PATIENCE + SLOT
        # the wait of a later stage counts from its own beginning
        assert world.spy.launched_at["p/b"] - world.spy.launched_at["p/a"] >= PATIENCE - 1


async def test_who_has_waited_too_long_comes_into_the_queue_though_nothing_else_happens() -> None:
    async with running(max_running_jobs=1, queue_size=1) as world:
        world.client("patient", maxWaitSeconds=PATIENCE)
        world.submit("hold", shell("a", seconds=10 * PATIENCE))
        await asyncio.sleep(1)
        world.submit("better", shell("a"), priority=1)
        world.submit("p", shell("a"), clientId="patient")
        await asyncio.sleep(PATIENCE - 2)
        assert (world.jobs("p"), world.pipeline("p")["reason"]) == ([], "QueueFull")
        await asyncio.sleep(4)
        assert (world.job("p", "a")["reason"], world.job("better", "a")["reason"]) == ("GlobalLimit", "QueueFull")
        await world.until_final(seconds=11 * PATIENCE)
        assert world.spy.launches == ["hold/a", "p/a", "better/a"]


@pytest.mark.parametrize("seed", range(3))
async def test_the_bound_of_many_that_have_waited_too_long(seed: int) -> None:
    """Three slots, two for the client: who has L overdue before it waits floor(L / 2) + 1 slot times more at most."""
    chance = Random(seed)
    async with running(max_running_jobs=3, queue_size=7) as world:
        world.client("patient", maxWaitSeconds=PATIENCE, maxRunningJobs=2, priority=50)
        await flood(world)
        created: list[tuple[float, str]] = []
        for number in range(12):
            jobs = [shell(f"j{one}", seconds=chance.random() * SECONDS) for one in range(chance.randint(1, 3))]
            world.submit(f"p{number:02}", *jobs, clientId="patient")
            created += [(world.now, f"p{number:02}/{job['name']}") for job in jobs]
            await asyncio.sleep(chance.random() * 4)
        await world.until_final(*{who.partition("/")[0] for _, who in created})
        for before, (moment, who) in enumerate(created):
            assert world.spy.launched_at[who] <= moment + PATIENCE + (before // 2 + 1) * SLOT, (who, before)
        assert [who for who in world.spy.launches if who.startswith("p")] == [who for _, who in created]
        assert world.spy.running.most_of["patient"] == 2
        assert world.spy.running.most == 3


async def test_it_can_be_granted_and_taken_back_while_work_waits() -> None:
    async with running(max_running_jobs=1) as world:
        world.client("patient")
        await flood(world)
        world.submit("p", shell("a", seconds=SECONDS), shell("b"), clientId="patient")
        await asyncio.sleep(100)
        world.client("patient", maxWaitSeconds=PATIENCE)
        await world.cluster.admin.wait_for(lambda: "p/a" in world.spy.launches, SLOT)
        world.client("patient")
        await asyncio.sleep(100)
        assert "p/b" not in world.spy.launches
        world.client("patient", maxWaitSeconds=PATIENCE)
        await world.cluster.admin.wait_for(lambda: "p/b" in world.spy.launches, SLOT)


async def test_the_wait_of_what_was_suspended_counts_from_the_beginning() -> None:
    async with running(max_running_jobs=1) as world:
        world.client("patient", maxWaitSeconds=PATIENCE)
        await flood(world)
        world.submit("p", shell("a"), clientId="patient")
        world.submit("asleep", shell("a"), clientId="patient", suspend=True)
        world.client("patient", maxWaitSeconds=PATIENCE, suspend=True)
        await asyncio.sleep(2 * PATIENCE)
        assert [who for who in world.spy.launches if not who.startswith("flood")] == []
        world.edit("asleep", suspend=False)
        world.client("patient", maxWaitSeconds=PATIENCE)
        assert await world.until_final("p", "asleep", seconds=3 * SLOT) == {"p": "DONE", "asleep": "DONE"}


async def test_the_wait_for_another_attempt_counts_from_the_end_of_the_pause() -> None:
    async with running(max_running_jobs=1, retry_backoff=30.0) as world:
        world.client("patient", maxWaitSeconds=PATIENCE)
        world.submit("p", shell("a", exit_code=1, retryAttempt=1), clientId="patient")
        await asyncio.sleep(1)
        await flood(world)
        await world.until_final("p")
        again = world.now - SECONDS
        assert again >= 30 + PATIENCE - SLOT
        assert world.now <= 30 + PATIENCE + 2 * SLOT


async def test_a_restart_forgets_no_wait() -> None:
    async with running(max_running_jobs=1) as world:
        world.client("patient", maxWaitSeconds=PATIENCE)
        await flood(world)
        world.submit("p", shell("a"), clientId="patient")
        submitted = world.now
        await asyncio.sleep(PATIENCE / 2)
        await world.kill()
        await world.start()
        await world.until_final("p")
        assert world.spy.launched_at["p/a"] - submitted <= PATIENCE + SLOT
