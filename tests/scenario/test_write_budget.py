"""What waiting costs in writes: nothing for what passes, twenty a second for what lasts, and never a launch's time."""

import asyncio
from collections.abc import Callable
from random import Random

import pytest

from task_pipeline.controller.teller import AT_ONCE
from tests.scenario.spy import Told
from tests.scenario.world import World, running, shell

pytestmark = [pytest.mark.looptime]

MANY = 1000
LONG = 3600.0
LATENCY = 0.02
GAPS = (0.1, 0.11, 0.35)  # seconds between two changes of a cause; looks are taken in another rhythm


async def crowd(world: World, count: int = MANY) -> None:
    """One job holds the slot, `count` wait behind it and have told what they tell at first."""
    world.submit("hold", shell("a", seconds=LONG))
    await asyncio.sleep(1)
    world.submit("p", *(shell(f"j{number:04}") for number in range(count)))
    await asyncio.sleep(5)
    world.spy.told.clear()


async def flap(flip: Callable[[bool], None], gap: float, seconds: float = 6.0) -> None:
    """Change the cause every `gap` seconds, and leave it as it was at first."""
    for number in range(2 * int(seconds / gap / 2)):
        flip(number % 2 == 0)
        await asyncio.sleep(gap)
    await asyncio.sleep(3)


@pytest.mark.parametrize("gap", GAPS)
async def test_a_client_that_is_suspended_for_moments_costs_nothing(gap: float) -> None:
    async with running(max_running_jobs=1) as world:
        await crowd(world, 100)
        await flap(lambda on: world.client("default", suspend=on), gap)
        assert not world.spy.told


@pytest.mark.parametrize("gap", GAPS)
async def test_a_window_that_moves_back_and_forth_costs_nothing(gap: float) -> None:
    async with running(max_running_jobs=1) as world:
        await crowd(world, 100)
        await flap(lambda on: world.change_settings(queue_size=5 if on else 1000), gap)
        assert not world.spy.told


@pytest.mark.parametrize("gap", GAPS)
async def test_a_first_that_is_another_every_moment_costs_nothing(gap: float) -> None:
    async with running(max_running_jobs=1) as world:
        await crowd(world, 10)
        world.submit("q", shell("a"), priority=20)
        await asyncio.sleep(5)
        world.spy.told.clear()
        await flap(lambda on: world.edit("q", priority=1 if on else 20), gap)
        assert not world.spy.told


async def test_a_client_that_reaches_its_limit_again_and_again_costs_nothing() -> None:
    """Its one job runs for a moment, then another client has the slot for a moment."""
    seconds = Random(4)
    async with running(max_running_jobs=0) as world:
        world.client("acme", maxRunningJobs=1)
        for name, client in (("p", "acme"), ("q", "default")):
            jobs = (shell(f"j{number:03}", seconds=seconds.random() / 2, priority=number) for number in range(200))
            world.submit(name, *jobs, clientId=client)
        await asyncio.sleep(5)
        world.spy.told.clear()
        world.change_settings(max_running_jobs=1)
        await asyncio.sleep(40)
        assert world.spy.launches[20:24] == ["p/j010", "q/j010", "p/j011", "q/j011"]
        assert not world.spy.told


async def test_thousands_that_wait_write_nothing_about_what_passes() -> None:
    async with running(max_running_jobs=1, queue_size=MANY + 1) as world:
        await crowd(world)
        for number in range(MANY):
            world.submit(f"q{number:04}", shell("a"))
        await asyncio.sleep(5)
        world.cluster.journal.clear()
        await flap(lambda on: world.client("default", suspend=on), 0.1, 1)
        await flap(lambda on: world.change_settings(queue_size=5 if on else MANY + 1), 0.1, 1)
        writes = [one for one in world.cluster.journal.of("patch_status") if one.resource.kind != "PipelineClient"]
        assert not writes


def is_in_order(order: list[str], told: list[Told]) -> bool:
    """Whether the first of the order have told, in order but for those that were told together."""
    place = {who: number for number, who in enumerate(order)}
    return all(abs(place[one.who] - number) < AT_ONCE for number, one in enumerate(told))


def fastest(told: list[Told], seconds: float) -> int:
    """The most writes in any span of so many seconds."""
    times = [one.time for one in told]
    return max(sum(start <= time < start + seconds for time in times) for start in times)


async def test_what_lasts_is_told_in_order_at_twenty_a_second_and_delays_no_launch() -> None:
    async with running(max_running_jobs=1) as world:
        world.cluster.latency = LATENCY
        await crowd(world)
        world.client("other")
        began = world.now
        world.client("default", suspend=True)
        await asyncio.sleep(10)
        world.submit("urgent", shell("a"), clientId="other")
        await asyncio.sleep(5)
        world.change_settings(max_running_jobs=2)
        raised = world.now
        await asyncio.sleep(15)
        assert world.spy.launched_at["urgent/a"] - raised <= 2 * LATENCY
        told = [one for one in world.spy.told if one.reason == "ClientSuspended" and one.who != "p"]
        assert is_in_order([f"p/j{number:04}" for number in range(MANY)], told)
        assert told[0].time - began <= 2
        assert 25 * 18 <= len(told) <= 30 * 20
        assert fastest(told, 7) <= 7 * 20 + AT_ONCE


async def test_pipelines_that_wait_undivided_share_the_budget() -> None:
    async with running(max_running_jobs=1, queue_size=1) as world:
        world.submit("hold", shell("a", seconds=LONG))
        await asyncio.sleep(1)
        for number in range(MANY):
            world.submit(f"q{number:04}", shell("a"))
            await asyncio.sleep(0)
        await asyncio.sleep(5)
        world.spy.told.clear()
        world.client("default", suspend=True)
        await asyncio.sleep(20)
        told = [one for one in world.spy.told if "/" not in one.who]
        assert {one.reason for one in told} == {"ClientSuspended"}
        assert is_in_order([f"q{number:04}" for number in range(MANY)], told)
        assert 15 * 18 <= len(told) <= 20 * 20
        assert fastest(world.spy.told, 7) <= 7 * 20 + 20
