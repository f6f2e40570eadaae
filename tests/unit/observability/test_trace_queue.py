"""Traces are sent in a thread of their own: nobody waits for it, what is lost is counted, and told once in a while."""

import logging
import threading
from collections.abc import Callable, Iterator, Sequence

import pytest

from task_pipeline.api.states import State
from task_pipeline.core.records import PipelineRecord, PipelineStatus
from task_pipeline.observability.meters import Meters
from task_pipeline.observability.trace_queue import MOST_WAITING, QUIET_SECONDS, TraceQueue, trace_outcomes
from task_pipeline.observability.traces import Span
from tests import make
from tests.scrape import Scrape

PATIENCE = 30.0  # seconds for what takes a moment


class Collector:
    """A sender that takes everything, unless it is told to hang, or what to say."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.answer: Callable[[], str | None] = lambda: None
        self.free, self.began, self.closed = threading.Event(), threading.Event(), False
        self.free.set()

    def send(self, spans: Sequence[Span]) -> str | None:
        self.began.set()
        assert self.free.wait(PATIENCE)
        self.names.append(spans[0].name)
        return self.answer()

    def close(self) -> None:
        self.closed = True


class Bench:
    """A queue, the collector behind it, its counts and its clock."""

    def __init__(self) -> None:
        self.now, self.meters, self.collector = 0.0, Meters(), Collector()
        self.queue = TraceQueue(self.collector, trace_outcomes(self.meters), lambda: self.now)

    def counts(self) -> dict[str, float]:
        found = Scrape.of(self.meters.registry).values("traces_total")
        return {outcome: value for (outcome,), value in found.items()}

    def until(self, outcome: str, number: float) -> None:
        """Wait until so many have ended so."""
        until(lambda: self.counts().get(outcome) == number)

    def hang(self) -> None:
        """Let the collector hang, and something be on its way to it."""
        self.collector.free.clear()
        self.queue.tell(run("first"), [])
        assert self.collector.began.wait(PATIENCE)


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.collector.free.set()
    made.queue.close(PATIENCE)


def run(name: str = "p") -> PipelineRecord:
    return make.pipeline(name, status=PipelineStatus(state=State.DONE, completion_time=make.at()))


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records]


def test_all_outcomes_are_told_from_0() -> None:
    meters = Meters()
    trace_outcomes(meters)
    assert [Scrape.of(meters.registry).value("traces_total", outcome=one) for one in ("Sent", "Failed", "Dropped")] == [
        0, 0, 0,
    ]  # fmt: skip


def test_runs_are_sent_in_their_order_and_counted(bench: Bench) -> None:
    for name in "abc":
        bench.queue.tell(run(name), [make.job()])
    bench.queue.close(PATIENCE)
    assert bench.collector.names == ["pipeline a", "pipeline b", "pipeline c"]
    assert bench.counts() == {"Sent": 3}
    assert bench.collector.closed


def test_no_more_waits_than_is_allowed(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """What is being sent counts as well: it is in memory."""
    bench.hang()
    jobs = [make.job()] * (MOST_WAITING // 2 - 1)
    for name in "abc":
        bench.queue.tell(run(name), jobs)
    assert bench.counts() == {"Dropped": 2}
    assert told(caplog) == ["traces of runs that are lost, since this was last told: 1; now: too many wait already"]
    bench.collector.free.set()
    bench.queue.close(PATIENCE)
    assert bench.collector.names == ["pipeline first", "pipeline a"]
    assert bench.counts() == {"Dropped": 2, "Sent": 2}


def test_what_was_sent_makes_room(bench: Bench) -> None:
    jobs = [make.job()] * (MOST_WAITING - 1)
    for number in range(3):
        bench.queue.tell(run(), jobs)
        bench.until("Sent", number + 1)
    assert bench.counts() == {"Sent": 3}


def test_a_failure_is_counted_and_told_once_in_a_while(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    def raises() -> str | None:
        raise OSError("no route")

    def lose(answer: Callable[[], str | None]) -> None:
        before = bench.counts().get("Failed", 0)
        bench.collector.answer = answer
        bench.queue.tell(run(), [])
        bench.until("Failed", before + 1)

    lose(lambda: "code 401")
    lose(lambda: "code 402")
    bench.now = QUIET_SECONDS - 1
    lose(raises)
    bench.now = QUIET_SECONDS
    lose(raises)
    until(lambda: len(told(caplog)) == 2)
    assert told(caplog) == [
        "traces of runs that are lost, since this was last told: 1; now: code 401",
        "traces of runs that are lost, since this was last told: 3; now: OSError: no route",
    ]
    assert {record.levelno for record in caplog.records} == {logging.WARNING}
    bench.collector.answer = lambda: None
    bench.queue.tell(run(), [])
    bench.queue.close(PATIENCE)
    assert bench.counts() == {"Failed": 4, "Sent": 1}


def test_at_the_end_nothing_waits_longer_than_it_may(bench: Bench) -> None:
    bench.hang()
    bench.queue.tell(run("second"), [])
    bench.queue.close(0)
    assert bench.collector.closed
    bench.queue.tell(run("third"), [])
    assert bench.counts() == {"Dropped": 2}


def until(condition: Callable[[], bool]) -> None:
    """Wait for what another thread does in a moment."""
    tick = threading.Event()
    for _ in range(int(PATIENCE * 1000)):
        if condition():
            return
        tick.wait(0.001)
    raise AssertionError("it does not come")
