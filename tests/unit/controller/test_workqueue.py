"""The work queue's plans for later, in virtual time."""

import asyncio

import pytest

from task_pipeline.controller.workqueue import SLACK, Key, Of, WorkQueue

pytestmark = [pytest.mark.looptime]


def key(number: int) -> Key:
    return Key(Of.JOB, f"uid-{number}")


def queue() -> WorkQueue:
    return WorkQueue(asyncio.get_running_loop().time)


async def test_what_was_planned_and_called_off_never_comes() -> None:
    work = queue()
    work.add_after(key(1), 1.0)
    work.add_after(key(2), 2.0)
    work.cancel_later(key(1))
    assert await work.get() == key(2)
    assert asyncio.get_running_loop().time() == pytest.approx(2.0, abs=0.01)
    assert not work.is_due(key(1))


async def test_what_is_to_be_done_now_stays_when_its_plan_is_called_off() -> None:
    work = queue()
    work.add(key(1))
    work.add_after(key(1), 1.0)
    work.cancel_later(key(1))
    assert await work.get() == key(1)


async def test_it_can_be_planned_again() -> None:
    work = queue()
    work.add_after(key(1), 1.0)
    work.cancel_later(key(1))
    work.add_after(key(1), 3.0)
    assert await work.get() == key(1)
    assert asyncio.get_running_loop().time() == pytest.approx(3.0, abs=0.01)


async def test_plans_of_what_is_over_take_no_room_until_their_time() -> None:
    """A day's deadline of a job that took a second is not kept for a day."""
    work = queue()
    work.add_after(key(-1), 86_400.0)
    for number in range(10_000):
        work.add_after(key(number), 86_400.0)
        work.cancel_later(key(number))
    assert len(work._alarms) <= 2 * (SLACK + 2)
    assert await work.get() == key(-1)


async def test_what_is_brought_forward_again_and_again_takes_no_room_either() -> None:
    """A pod whose probe fails now and then: each time its job looks soon, and plans its deadline anew."""
    work = queue()
    work.add_after(key(2), 3_600.0)
    for _ in range(500):
        work.add_after(key(1), 86_400.0)
        work.add_after(key(1), 0.5)
        assert await work.get() == key(1)
        work.done(key(1))
    assert len(work._alarms) <= SLACK + 2
