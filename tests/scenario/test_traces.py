"""When the trace of a run is told, and what is in it: whole histories in virtual time."""

import asyncio
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from task_pipeline.controller.runtime import Runtime
from task_pipeline.entrypoints import telemetry
from task_pipeline.observability.meters import Meters
from task_pipeline.observability.trace_queue import TraceQueue
from task_pipeline.observability.traces import Span
from tests.scenario import world as worlds
from tests.scenario.world import World, running, shell

pytestmark = [pytest.mark.looptime]

PATIENCE = 30.0  # seconds of real time for what another thread does in a moment


class Told:
    """The spans of each run that was told, by every operator of the test; `free` lets them be taken."""

    def __init__(self) -> None:
        self.runs: list[list[Span]] = []
        self.free = threading.Event()
        self.free.set()
        self.queues: list[TraceQueue] = []

    def send(self, spans: Sequence[Span]) -> str | None:
        self.free.wait()
        self.runs.append([*spans])
        return None

    def close(self) -> None: ...

    def all(self) -> list[list[Span]]:
        """All that was told so far; no more is taken from those that told it."""
        for queue in self.queues:
            queue.close(PATIENCE)
        return self.runs


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Iterator[Told]:
    """What the operators of all worlds of the test tell."""
    made = Told()

    class Traced(Runtime):
        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, **named)
            queue = telemetry.trace(Meters(), self, made)
            assert queue is not None
            made.queues.append(queue)

    monkeypatch.setattr(worlds, "Runtime", Traced)
    yield made
    made.free.set()
    made.all()


def tree(spans: Sequence[Span]) -> dict[str, list[str]]:
    """The names below each span."""
    return {one.name: below for one in spans if (below := [span.name for span in spans if span.parent == one.id])}


def of(spans: Sequence[Span], name: str, attribute: str) -> str | int:
    return next(span.attributes[f"task_pipeline.{attribute}"] for span in spans if span.name == name)


def lasted(spans: Sequence[Span], name: str) -> float:
    """Seconds."""
    return next((span.end - span.start) / 1e9 for span in spans if span.name == name)


async def restart(world: World) -> None:
    await world.stop()
    await world.start()


async def test_a_run_is_one_trace_told_at_its_end(told: Told) -> None:
    async with running() as world:
        world.submit(
            "p", shell("a", seconds=10), shell("b", exit_code=3, retryAttempt=1, seconds=5, allowFailure=True),
            shell("c", "t", seconds=20),
        )  # fmt: skip
        await asyncio.sleep(20)
        assert told.runs == []
        await world.until_final()
    (spans,) = told.all()
    assert tree(spans) == {
        "pipeline p": ["stage s", "stage t"],
        "stage s": ["job a", "job b"],
        "stage t": ["job c"],
    }
    assert [span.failed for span in spans] == [None, None, None, "ExitCode", None, None]
    assert of(spans, "pipeline p", "reason") == "SucceededWithWarnings"
    assert (of(spans, "job a", "attempts"), of(spans, "job b", "attempts")) == (1, 2)
    assert 10 <= lasted(spans, "job a") < 12
    assert 11 <= lasted(spans, "job b") < 14
    assert 20 <= lasted(spans, "job c") < 22
    assert lasted(spans, "pipeline p") >= lasted(spans, "stage s") + lasted(spans, "stage t")


async def test_a_failure_cancels_what_waits_and_what_never_existed_has_no_span(told: Told) -> None:
    async with running(max_running_jobs=1) as world:
        world.submit("p", shell("a", exit_code=1), shell("b"), shell("c", "t"), failFast=True)
        await world.until_final()
    (spans,) = told.all()
    assert tree(spans) == {"pipeline p": ["stage s", "stage t"], "stage s": ["job a", "job b"]}
    assert (of(spans, "job b", "state"), of(spans, "job b", "reason")) == ("CANCELLED", "FailFast")
    assert (of(spans, "stage s", "state"), of(spans, "stage t", "state")) == ("ERROR", "CANCELLED")


async def test_a_run_that_is_cancelled_before_it_begins_is_told(told: Told) -> None:
    async with running(max_running_jobs=0) as world:
        world.submit("p", shell("a"))
        await asyncio.sleep(5)
        world.edit("p", cancel="Now")
        await world.until_final()
    (spans,) = told.all()
    assert of(spans, "pipeline p", "state") == "CANCELLED"


async def test_a_pipeline_that_is_refused_is_no_run(told: Told) -> None:
    async with running() as world:
        world.submit("p", shell("a") | {"version": "9.9.9"})
        assert await world.until_final() == {"p": "ERROR"}
    assert told.all() == []


async def test_what_was_over_before_is_told_neither_after_a_restart_nor_after_an_edit(told: Told) -> None:
    async with running() as world:
        world.submit("p", shell("a"))
        await world.until_final()
        await restart(world)
        world.edit("p", priority=5)  # is acknowledged by a write of the status
        await asyncio.sleep(60)
        assert world.pipeline("p")["observedGeneration"] == 2
    assert len(told.all()) == 1


async def test_an_operator_tells_when_a_job_ended_before_its_own_start(told: Told) -> None:
    async with running() as world:
        world.submit("p", shell("a", seconds=10), shell("b", "t", seconds=100))
        await asyncio.sleep(50)
        await restart(world)
        await world.until_final()
    (spans,) = told.all()
    assert 10 <= lasted(spans, "job a") < 12


async def test_another_run_is_another_trace(told: Told) -> None:
    async with running() as world:
        world.submit("p", shell("a"), shell("b", exit_code=1))
        await world.until_final()
        world.edit("p", rerun={"id": "again", "scope": "Failed"})
        await asyncio.sleep(60)
        await world.until_final()
    first, second = told.all()
    assert first[0].trace != second[0].trace
    assert tree(first)["stage s"] == ["job a", "job b"]
    assert tree(second)["stage s"] == ["job b"]
    assert [of(spans, "pipeline p", "run") for spans in (first, second)] == [1, 2]


async def history() -> tuple[list[tuple[float, str, str]], float]:
    """What an operator asks the API server for, and when, until a run is over and a while longer; when it ended."""
    async with running() as world:
        began = world.now
        world.submit("p", shell("a", seconds=10), shell("b", "t", exit_code=1, retryAttempt=1))
        await world.until_final()
        ended = world.now - began
        await asyncio.sleep(60)
        asked = world.cluster.journal.requests
        return [(round(one.time - began, 3), one.verb, one.resource.plural) for one in asked], round(ended, 3)


async def test_a_trace_costs_no_request_and_a_collector_that_hangs_no_time(told: Told) -> None:
    told.free.clear()
    requests, ended = await history()
    assert told.runs == []
    told.free.set()
    assert len(told.all()) == 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worlds, "Runtime", Runtime)
        assert await history() == (requests, ended)
    assert len(requests) > 10
