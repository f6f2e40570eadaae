"""The writer of Kubernetes Events: its bounds, its budget, and that nothing about it can do harm."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from msgspec.structs import replace

from task_pipeline.api.resources import EVENTS
from task_pipeline.api.states import State
from task_pipeline.controller import events
from task_pipeline.controller.events import BURST, QUEUED, SAME_SECONDS, WRITES_PER_SECOND, EventWriter
from task_pipeline.core.records import JobRecord
from task_pipeline.kube.errors import KubeError, Unreachable
from tests.fakes import FakeCluster, on
from tests.fakes.refusals import forbidden, server_error
from tests.unit.core.job_builders import job, running

pytestmark = [pytest.mark.looptime]

FAILED = running(state=State.ERROR, reason="ExitCode", message="exit code 3")


class Desk:
    """A writer on a cluster of its own."""

    def __init__(self) -> None:
        self.cluster = FakeCluster()
        self.writer = EventWriter(self.cluster, self.cluster.now, asyncio.get_running_loop().time)

    def fail(self, uid: str = "u-1", number: int = 1) -> None:
        """Tell that attempt `number` of a job failed for good."""
        self.writer.tell(*change(uid, number))

    @property
    def sent(self) -> list[float]:
        """When each Event arrived."""
        return [request.time for request in self.cluster.journal.of("create", EVENTS) if request.committed]


def change(uid: str, number: int) -> tuple[JobRecord, JobRecord]:
    before = replace(job(running()), uid=uid, namespace="default")
    return before, replace(before, status=replace(FAILED, attempt=number))


@asynccontextmanager
async def desk() -> AsyncIterator[Desk]:
    """A writer that runs."""
    made = Desk()
    task = asyncio.create_task(made.writer.run())
    try:
        yield made
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_what_is_told_arrives_with_the_moment_at_which_it_was_told() -> None:
    async with desk() as one:
        one.fail()
        await asyncio.sleep(1)
        (found,) = one.cluster.admin.list(EVENTS)
        assert (found["type"], found["reason"], found["note"]) == ("Warning", "ExitCode", "exit code 3")
        assert found["reportingInstance"].startswith("task-pipeline-")
        assert one.writer.written == 1


async def test_the_same_again_within_ten_minutes_is_not_written() -> None:
    async with desk() as one:
        one.fail(number=1)
        await asyncio.sleep(SAME_SECONDS - 1)
        one.fail(number=2)
        await asyncio.sleep(2)
        assert len(one.sent) == 1
        one.fail(number=3)
        await asyncio.sleep(1)
        assert len(one.sent) == 2
        one.fail(number=4)
        await asyncio.sleep(1)
        assert len(one.sent) == 2


async def test_another_process_that_tells_the_same_makes_no_second() -> None:
    async with desk() as one:
        one.fail()
        await asyncio.sleep(1)
        other = EventWriter(one.cluster, one.cluster.now, asyncio.get_running_loop().time)
        other.tell(*change("u-1", 1))
        task = asyncio.create_task(other.run())
        await asyncio.sleep(1)
        task.cancel()
        assert len(one.cluster.admin.list(EVENTS)) == 1
        assert (other.written, other.failed) == (0, 0)


async def test_many_at_once_are_sent_within_the_budget() -> None:
    async with desk() as one:
        for number in range(100):
            one.fail(f"u-{number}")
        await asyncio.sleep(60)
        assert len(one.sent) == 100
        for start in one.sent:
            for seconds in (0.0, 1.0, 5.0):
                within = sum(start <= time <= start + seconds for time in one.sent)
                assert within <= BURST + WRITES_PER_SECOND * seconds + 1


async def test_what_does_not_fit_into_the_queue_is_dropped_and_counted() -> None:
    one = Desk()
    for number in range(QUEUED + 7):
        one.fail(f"u-{number}")
    assert one.writer.dropped == 7
    task = asyncio.create_task(one.writer.run())
    await asyncio.sleep(QUEUED / WRITES_PER_SECOND + 10)
    one.fail(f"u-{QUEUED + 6}")
    await asyncio.sleep(10)
    task.cancel()
    assert len(one.sent) == QUEUED + 1


async def test_it_remembers_a_bounded_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "REMEMBERED", 3)
    async with desk() as one:
        for number in (0, 1, 2, 3, 3, 0):
            one.fail(f"u-{number}", number=1)
            await asyncio.sleep(1)
        assert len(one.cluster.journal.of("create", EVENTS)) == 5
        assert one.writer.written == 4


PROBLEMS: dict[str, Callable[[], KubeError]] = {
    "no right": lambda: forbidden(EVENTS, "x", "may not create events"),
    "unreachable": lambda: Unreachable("gone"),
    "broken": server_error,
}


@pytest.mark.parametrize("problem", PROBLEMS)
async def test_a_write_that_fails_is_dropped_and_said_once(problem: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "task_pipeline.controller.events")
    async with desk() as one:
        one.cluster.fault(on("create", EVENTS), before=PROBLEMS[problem], times=3)
        for number in range(5):
            one.fail(f"u-{number}")
        await asyncio.sleep(10)
        assert (one.writer.written, one.writer.failed) == (2, 3)
        assert len(one.cluster.journal.of("create", EVENTS)) == 5
    assert [record.levelname for record in caplog.records] == ["DEBUG"]


async def test_an_answer_that_does_not_come_holds_up_the_others_for_seconds_only() -> None:
    async with desk() as one:
        one.cluster.fault(on("create", EVENTS), delay=3600)
        one.fail("u-1")
        one.fail("u-2")
        await asyncio.sleep(events.SEND_SECONDS + 1)
        assert (one.writer.written, one.writer.failed) == (1, 1)


async def test_a_fault_in_the_writer_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async with desk() as one:
        monkeypatch.setattr(events, "body_of", lambda *_: 1 / 0)
        one.fail("u-1")
        await asyncio.sleep(1)
        monkeypatch.undo()
        one.fail("u-2")
        await asyncio.sleep(1)
        assert (one.writer.written, one.writer.failed) == (1, 1)
