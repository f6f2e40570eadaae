"""GET /metrics over real HTTP: bounded, GET only, and honest about a loop that does not answer."""

import asyncio
import threading
import time
from collections.abc import Iterator
from http.client import HTTPConnection

import pytest

from task_pipeline.health.probes import Probes
from task_pipeline.observability import sampling
from task_pipeline.observability.catalog import LEADER
from task_pipeline.observability.meters import Meters
from task_pipeline.observability.page import WAITING, MetricsPage
from task_pipeline.observability.sampling import Sampled, Value
from tests.scrape import Scrape


class Loop:
    """An event loop in a thread, which can be kept busy."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
        self.loop.close()


@pytest.fixture
def loop() -> Iterator[Loop]:
    made = Loop()
    yield made
    made.close()


@pytest.fixture
def page(loop: Loop) -> MetricsPage:
    meters = Meters()

    async def sample() -> list[Value]:
        return [Value(LEADER, (), 1)]

    Sampled(meters.registry, loop.loop, sample)
    return MetricsPage(meters.registry)


@pytest.fixture
def port(page: MetricsPage) -> Iterator[int]:
    probes = Probes("127.0.0.1", 0, {"/healthz": list}, {"/metrics": page})
    probes.start()
    yield probes.port
    probes.stop()


def ask(port: int, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, str, bytes]:
    connection = HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.headers["Content-Type"], answer.read()
    finally:
        connection.close()


def test_a_scrape_is_the_text_of_prometheus(port: int) -> None:
    status, kind, body = ask(port, "GET", "/metrics?name[]=x", Accept="application/openmetrics-text; version=99")
    assert (status, kind) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert Scrape(body.decode()).value("leader") == 1
    assert ask(port, "GET", "/healthz")[0] == 200
    assert ask(port, "GET", "/metrics/")[0] == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"])
def test_nothing_but_get_is_answered(port: int, method: str) -> None:
    assert ask(port, method, "/metrics", b"x=1" if method == "POST" else None)[0] == 501


def test_a_loop_that_does_not_answer_has_no_metrics(
    page: MetricsPage, loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampling, "SAMPLE_SECONDS", 0.2)
    free = threading.Event()
    loop.loop.call_soon_threadsafe(free.wait, 10)
    try:
        assert page()[0] == 503
    finally:
        free.set()
    monkeypatch.setattr(sampling, "SAMPLE_SECONDS", 20.0)
    assert page()[0] == 200


def test_only_a_few_scrapes_wait_for_their_turn(page: MetricsPage, loop: Loop) -> None:
    free, answers = threading.Event(), list[int]()
    loop.loop.call_soon_threadsafe(free.wait, 10)
    callers = [threading.Thread(target=lambda: answers.append(page()[0])) for _ in range(WAITING + 6)]
    for caller in callers:
        caller.start()
    deadline = time.monotonic() + 5
    while len(answers) < 5 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert answers == [503] * 5
    free.set()
    for caller in callers:
        caller.join(10)
    assert sorted(answers) == [200] * (1 + WAITING) + [503] * 5


def test_a_fault_is_told_without_its_details(caplog: pytest.LogCaptureFixture, loop: Loop) -> None:
    meters = Meters()

    async def sample() -> list[Value]:
        raise ValueError("token abc")

    Sampled(meters.registry, loop.loop, sample)
    status, _, body = MetricsPage(meters.registry)()
    assert status == 500
    assert b"abc" not in body
    assert "metrics cannot be told" in caplog.text
