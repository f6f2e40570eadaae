"""The runner between a REST server and services: claims, ends, cancels, callbacks, and a clean stop."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from task_pipeline.core.urls import parse_entry
from task_pipeline.runner import claiming
from task_pipeline.runner.claiming import Options, Runner, token_from
from task_pipeline.runner.send import Sender
from task_pipeline.runner.targets import AllowList
from task_pipeline_worker.api import Api
from tests.runner.rest import Rest, rest_server
from tests.runner.servers import answering, serve, silent

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone"
ACCEPTED = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"


@pytest.fixture
async def rest() -> AsyncIterator[Rest]:
    async with rest_server() as made:
        yield made


@contextlib.asynccontextmanager
async def running(
    rest: Rest, *targets: str, requests: int = 5, token: Callable[[], str] = lambda: "mine"
) -> AsyncIterator[asyncio.Event]:
    """A runner that works until the block ends, or the event is set."""
    api, stop = Api(rest.url), asyncio.Event()
    sender = Sender(AllowList([parse_entry(target) for target in targets]))
    runner = Runner(api, token, sender, Options(requests, 30, "https://rest.example.com", "r", stop_seconds=0.3))
    task = asyncio.create_task(runner.run(stop))
    try:
        yield stop
    finally:
        stop.set()
        await asyncio.wait_for(task, 5)
        await api.close()


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(500):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not come to that within 5 s")


async def test_a_job_is_claimed_sent_and_reported(rest: Rest) -> None:
    async with serve(answering(OK)) as server, running(rest, server.origin):
        path = rest.offer("u1", {"url": f"{server.origin}/x"})
        report = await rest.report_of(path)
    assert report == {
        "outcome": "Succeeded",
        "message": "answered 200 OK",
        "result": {"status": 200, "headers": {}, "body": "done", "truncated": False},
    }
    assert rest.tokens[0] == "Bearer mine"


async def test_a_failure_is_reported_and_the_next_job_done(rest: Rest) -> None:
    async with serve(answering(OK)) as server, running(rest, server.origin, requests=1):
        first = rest.offer("u1", {"url": "http://127.0.0.1:1/"})
        second = rest.offer("u2", {"url": server.origin})
        assert (await rest.report_of(first))["outcome"] == "Failed"
        assert rest.reports[first]["reason"] == "RequestFailed"
        assert "httpAllow" in rest.reports[first]["message"]
        assert (await rest.report_of(second))["outcome"] == "Succeeded"


async def test_no_more_requests_are_open_than_there_may_be(rest: Rest) -> None:
    async with serve(silent) as server, running(rest, server.origin, requests=2):
        for number in range(5):
            rest.offer(f"u{number}", {"url": server.origin})
        await until(lambda: server.connections == 2 and len(set(rest.beats)) == 2)
        assert rest.offers.qsize() == 3
        assert len(rest.tokens) == 2


async def test_a_cancel_ends_the_request(rest: Rest) -> None:
    async with serve(silent) as server, running(rest, server.origin):
        path = rest.offer("u1", {"url": server.origin})
        await until(lambda: server.connections == 1)
        rest.cancelled.add(path)
        report = await rest.report_of(path)
    assert report == {"outcome": "Failed", "reason": "RequestFailed", "message": "the job was cancelled"}


async def test_a_request_ends_soon_after_the_jobs_timeout(rest: Rest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claiming, "TIMEOUT_GRACE", 0.2)
    async with serve(silent) as server, running(rest, server.origin):
        path = rest.offer("u1", {"url": server.origin}, timeoutSeconds=0.1)
        assert "no answer within 0.3 s" in (await rest.report_of(path))["message"]


async def test_an_attempt_that_is_over_is_dropped_without_a_word(rest: Rest) -> None:
    async with serve(silent) as server, running(rest, server.origin, requests=1):
        rest.over.add(rest.offer("u1", {"url": server.origin}))
        await until(lambda: rest.beats != [])
        rest.offer("u2", {"url": server.origin})
        await until(lambda: server.connections == 2)
    assert f"{claiming.PATH}" not in rest.reports
    assert "/api/v1/attempts/u1/1" not in rest.reports


async def test_a_callback_is_held_without_taking_room_until_the_service_has_reported(rest: Rest) -> None:
    async with serve(answering(ACCEPTED)) as server, running(rest, server.origin, requests=1):
        path = rest.offer("u1", {"url": server.origin, "mode": "Callback"})
        await until(lambda: rest.beats.count(path) >= 2)
        assert f"Task-Pipeline-Callback: https://rest.example.com{path}\r\n".encode() in server.received[0]
        other = rest.offer("u2", {"url": server.origin})
        await rest.report_of(other)
        rest.reports[path] = {"outcome": "Succeeded", "message": "by the service"}
        beats = rest.beats.count(path)
        await until(lambda: rest.beats.count(path) == beats + 1)  # this one is told that it is over
    assert rest.reports[path]["message"] == "by the service"
    assert rest.beats.count(path) == beats + 1


async def test_a_cancelled_callback_is_ended_for_the_service(rest: Rest) -> None:
    async with serve(answering(ACCEPTED)) as server, running(rest, server.origin):
        path = rest.offer("u1", {"url": server.origin, "mode": "Callback"})
        await until(lambda: path in rest.beats)
        rest.cancelled.add(path)
        assert (await rest.report_of(path))["message"] == "the job was cancelled"


async def test_a_stop_gives_requests_up_and_leaves_callbacks_alone(rest: Rest) -> None:
    async with serve(silent) as server, serve(answering(ACCEPTED)) as other:
        async with running(rest, server.origin, other.origin) as stop:
            waiting = rest.offer("u1", {"url": server.origin})
            accepted = rest.offer("u2", {"url": other.origin, "mode": "Callback"})
            await until(lambda: {waiting, accepted} <= set(rest.beats))
            stop.set()
        assert "was stopped" in rest.reports[waiting]["message"]
        assert accepted not in rest.reports


async def test_a_stop_lets_a_request_end_that_is_about_to(rest: Rest) -> None:
    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.15)
        writer.write(OK)

    async with serve(slow) as server:
        async with running(rest, server.origin) as stop:
            path = rest.offer("u1", {"url": server.origin})
            await until(lambda: server.connections == 1)
            stop.set()
        assert rest.reports[path]["outcome"] == "Succeeded"


async def test_the_token_is_read_anew_and_a_missing_one_waited_for(
    rest: Rest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claiming, "FIRST_PAUSE", 0.01)
    file = tmp_path / "token"
    async with serve(answering(OK)) as server, running(rest, server.origin, token=token_from(file)):
        await asyncio.sleep(0.05)
        assert rest.tokens == []
        file.write_text("first\n")
        await until(lambda: rest.tokens == ["Bearer first"])
        file.write_text("second\n")
        await rest.report_of(rest.offer("u1", {"url": server.origin}))
        await until(lambda: len(rest.tokens) == 2)
    assert rest.tokens == ["Bearer first", "Bearer second"]


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refusal_is_asked_again(rest: Rest, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claiming, "FIRST_PAUSE", 0.01)
    rest.refusal = status
    async with serve(answering(OK)) as server, running(rest, server.origin):
        await until(lambda: len(rest.tokens) >= 2)
        rest.refusal = None
        assert (await rest.report_of(rest.offer("u1", {"url": server.origin})))["outcome"] == "Succeeded"


async def test_a_claim_that_cannot_be_read_takes_no_room(rest: Rest) -> None:
    async with serve(answering(OK)) as server, running(rest, server.origin, requests=1):
        rest.offer("u1", {"url": server.origin}, job={})
        assert (await rest.report_of(rest.offer("u2", {"url": server.origin})))["outcome"] == "Succeeded"
