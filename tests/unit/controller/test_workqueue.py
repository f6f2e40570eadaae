"""The work queue: in which order keys are taken, and its plans for later, in virtual time."""

import asyncio

import pytest

from task_pipeline.controller.workqueue import SLACK, Key, Of, Urgency, WorkQueue

pytestmark = [pytest.mark.looptime]


def key(number: int) -> Key:
    return Key(Of.JOB, f"uid-{number}")


def queue() -> WorkQueue:
    return WorkQueue(asyncio.get_running_loop().time)


async def taken(work: WorkQueue) -> list[int]:
    """The numbers of all keys that wait, in the order in which they are taken."""
    found = []
    while len(work):
        found.append(await work.get())
        work.done(found[-1])
    return [int(one.uid.removeprefix("uid-")) for one in found]


async def test_the_urgent_come_first_and_the_first_come_of_equals() -> None:
    work = queue()
    for number, urgency in enumerate((Urgency.LOW, Urgency.NORMAL, Urgency.ENDING, Urgency.NORMAL, Urgency.LAUNCH)):
        work.add(key(number), urgency)
    assert await taken(work) == [4, 2, 1, 3, 0]


async def test_what_has_become_urgent_is_taken_once() -> None:
    work = queue()
    work.add(key(1))
    work.add(key(2))
    work.add(key(2), Urgency.LAUNCH)
    work.add(key(2))
    assert await taken(work) == [2, 1]


async def test_news_and_what_was_there_before_the_start_take_turns() -> None:
    work = queue()
    for number in range(6):
        work.add(key(number), Urgency.LOW if number == 5 else Urgency.NORMAL)
    work.set_back()
    for number in (10, 11, 12):
        work.add(key(number))
    work.add(key(20), Urgency.ENDING)
    assert await taken(work) == [20, 10, 0, 11, 1, 12, 2, 3, 4, 5]


async def test_news_of_what_was_there_before_the_start_are_news() -> None:
    work = queue()
    for number in range(4):
        work.add(key(number))
    work.set_back()
    work.add(key(3))
    assert await taken(work) == [3, 0, 1, 2]


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
