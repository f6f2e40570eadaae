"""A log whose stream is ended by the server is read on: nothing is told twice and nothing is left out."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from task_pipeline.cli.backend import Event, LogQuery
from task_pipeline.cli.job_logs import Selection, follow_logs
from task_pipeline.cli.log_seam import Seam
from task_pipeline.cli.screen import Screen
from task_pipeline.server import logs
from tests.cli.site import Site
from tests.scenario.world import shell


class Clock:
    """Seconds that a test sets."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("before", "again", "new", "gap"),
    [
        ((b"a\nb\n",), (b"a\nb\nc\n",), b"c\n", False),
        ((b"a\nb\n",), (b"b\nc\n",), b"c\n", False),
        ((b"a\nb\n",), (b"a\n", b"b\n", b"c\n"), b"c\n", False),
        ((b"a\n", b"b"), (b"bcd\n",), b"cd\n", False),
        ((b"a\n",), (b"a\n",), b"", False),
        ((b"a\nb\n",), (b"a\n",), b"a\n", True),
        ((b"a\n",), (b"x\n",), b"x\n", True),
        ((b"a\n",), (), b"", False),
        ((), (b"a\n",), b"a\n", False),
        ((b"x" * 100_000 + b"end\n",), (b"end\nmore\n",), b"more\n", False),
    ],
)
def test_what_was_told_is_left_out(before: Sequence[bytes], again: Sequence[bytes], new: bytes, gap: bool) -> None:
    seam = Seam(Clock())
    assert [seam.feed(piece) for piece in before] == list(before)
    assert seam.again() == 2
    assert b"".join(seam.feed(piece) for piece in again) + seam.end() == new
    assert seam.gap is gap


def test_what_was_told_long_ago_is_no_overlap() -> None:
    clock = Clock()
    seam = Seam(clock)
    seam.feed(b"alive\n")
    clock.now += 900
    assert seam.again() == 2
    assert seam.feed(b"alive\n") == b"alive\n"
    assert not seam.gap


def test_a_stream_that_tells_nothing_new_is_asked_for_from_the_same_place() -> None:
    clock = Clock()
    seam = Seam(clock)
    seam.feed(b"a\n")
    assert seam.again() == 2
    clock.now += 5
    assert seam.feed(b"a\n") == b""
    assert seam.again() == 7
    assert seam.feed(b"a\nb\n") == b"b\n"


PIPELINE: dict[str, Any] = {
    "metadata": {"namespace": "n", "name": "p", "uid": "u", "generation": 1},
    "spec": {"stages": ["s"]},
    "status": {"state": "IN PROGRESS", "stages": [{"name": "s"}]},
}
JOB: dict[str, Any] = {
    "metadata": {"uid": "j"},
    "spec": {"name": "a", "stage": "s", "kind": "Shell", "run": 1, "index": 0},
    "status": {"state": "IN PROGRESS", "attempt": 1},
}


class Scripted:
    """A backend of one job, whose log comes in `streams`; after the last of them the job is over."""

    def __init__(self, streams: Sequence[bytes]) -> None:
        self.streams = list(streams)
        self.asked: list[LogQuery] = []
        self.over = asyncio.Event()

    async def events(self, _namespace: str, _name: str) -> AsyncIterator[Event]:
        yield Event("pipeline", PIPELINE)
        yield Event("job", JOB)
        yield Event("synced", {})
        await self.over.wait()
        yield Event("job", JOB | {"status": {"state": "DONE", "attempt": 1}})
        yield Event("pipeline", PIPELINE | {"status": {"state": "DONE"}})

    async def jobs(self, _pipeline: Any) -> list[Any]:
        return [JOB | {"status": {"state": "DONE", "attempt": 1}}]

    async def log(self, _pipeline: Any, _job: Any, query: LogQuery) -> AsyncIterator[bytes]:
        self.asked.append(query)
        yield self.streams.pop(0)
        if not self.streams:
            self.over.set()


@pytest.mark.looptime
async def test_the_log_of_a_job_that_goes_on_is_read_on(capfd: pytest.CaptureFixture[str]) -> None:
    backend: Any = Scripted([b"one\n", b"one\ntwo\n", b"two\nthree\n"])
    selection = Selection(lambda job: True, LogQuery(follow=True, tail=10), prefix=False)
    known, found = await follow_logs(Screen(terminal=False), backend, "n", "p", selection)
    assert (known.over, found) == (True, 1)
    assert capfd.readouterr().out == "one\ntwo\nthree\n"
    assert [(query.tail, query.since) for query in backend.asked] == [(10, None), (None, 2), (None, 2)]


def test_over_rest_a_log_goes_on_after_the_servers_time(both: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "FOLLOW_SECONDS", 0.5)
    both.submit("p", shell("a", seconds=8), clientId="acme")
    both.until_state("p", "IN PROGRESS")
    both.wrote("p", "a", b"one\n")
    late = asyncio.run_coroutine_threadsafe(_later(both), both._loop)
    answer = both.tpctl("logs", "-f", "p", rest=True)
    late.result(20)
    assert answer.exit_code == 0, answer.output
    assert answer.stdout.splitlines()[-1] == "two"


async def _later(site: Site) -> None:
    await asyncio.sleep(1.5)
    written = site.world.cluster.logs.written
    for uid in list(written):
        written[uid] += b"two\n"
