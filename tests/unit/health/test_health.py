"""Liveness and readiness: every reason, and that the API server being away is one for the second only."""

import http.client
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from task_pipeline.health.checks import Health
from task_pipeline.health.probes import Probes
from task_pipeline.health.pulse import Pulse


@dataclass
class Stream:
    last_seen: float = 0.0
    error: str | None = None


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Operator:
    """What the probes look at."""

    clock: Clock
    pulse: Pulse
    stream: Stream
    health: Health
    failing: float = 0.0
    dead: str | None = None
    leader: str | None = "somebody"

    def passed(self, seconds: float, *, turning: bool = True, heard: bool = True) -> None:
        """Let time pass, in which the loop turns and the stream brings something, or not."""
        self.clock.now += seconds
        if turning:
            self.pulse._last = self.clock.now
        if heard:
            self.stream.last_seen = self.clock.now


@pytest.fixture
def operator() -> Operator:
    """One that has listed everything and knows who leads."""
    clock = Clock()
    pulse, stream = Pulse(clock), Stream()
    made = Operator(clock, pulse, stream, Health(clock, {"main": pulse}))
    made.health.dead = lambda: made.dead
    made.health.failing = lambda: made.failing
    made.health.streams = lambda: [("pods", made.stream)]
    made.health.leader = lambda: made.leader
    made.health.listed = True
    return made


def test_all_is_well(operator: Operator) -> None:
    operator.passed(100)
    assert (operator.health.faults(), operator.health.hindrances()) == ([], [])


def test_a_loop_that_is_stuck(operator: Operator) -> None:
    operator.passed(36, turning=False)
    assert operator.health.faults() == ["the main loop has not turned for 36 s"]
    assert operator.health.hindrances() == operator.health.faults()


def test_a_part_that_has_died(operator: Operator) -> None:
    operator.dead = "not running any more: cleaner"
    assert operator.health.faults() == ["not running any more: cleaner"]


def test_the_api_server_away_is_no_reason_for_a_restart(operator: Operator) -> None:
    operator.stream.error, operator.leader, operator.failing = "Unreachable", None, 1000.0
    operator.passed(61, heard=False)
    assert operator.health.faults() == []
    assert operator.health.hindrances() == [
        "nothing of pods has been heard for 61 s",
        "kopf has not been watching for 1000 s",
        "the Lease cannot be read: it is not known who leads",
    ]


def test_kopf_failing_while_all_else_goes_well(operator: Operator) -> None:
    operator.failing = 299.0
    operator.passed(1)
    assert operator.health.faults() == []
    assert operator.health.hindrances() == ["kopf has not been watching for 299 s"]
    operator.failing = 301.0
    assert operator.health.faults() == ["kopf has not been watching for 301 s"]


def test_a_stream_may_be_silent_for_a_while(operator: Operator) -> None:
    operator.passed(300, heard=False)
    assert operator.health.hindrances() == []
    operator.passed(31, heard=False)
    assert operator.health.hindrances() == ["nothing of pods has been heard for 331 s"]
    assert operator.health.faults() == []


def test_nobody_leads_is_known(operator: Operator) -> None:
    operator.leader = ""
    assert operator.health.hindrances() == []


def test_not_ready_before_everything_is_listed_and_while_stopping(operator: Operator) -> None:
    operator.health.listed = False
    assert operator.health.faults() == []
    assert operator.health.hindrances() == ["not everything has been listed yet"]
    operator.health.listed, operator.health.stopping = True, True
    assert (operator.health.faults(), operator.health.hindrances()) == ([], ["stopping"])


@pytest.fixture
def probes(operator: Operator) -> Iterator[Probes]:
    """The probes of that operator, on any port."""
    checks = {"/healthz": operator.health.faults, "/readyz": operator.health.hindrances}
    made = Probes("127.0.0.1", 0, checks)
    made.start()
    yield made
    made.stop()


def ask(probes: Probes, path: str) -> tuple[int, str]:
    """The answer to a GET."""
    connection = http.client.HTTPConnection("127.0.0.1", probes.port, timeout=5)
    connection.request("GET", path)
    answer = connection.getresponse()
    found = answer.status, answer.read().decode()
    connection.close()
    return found


def test_probes_answer_over_http(operator: Operator, probes: Probes) -> None:
    assert ask(probes, "/healthz") == (200, "ok\n")
    assert ask(probes, "/readyz?verbose") == (200, "ok\n")
    operator.passed(100, turning=False)
    assert ask(probes, "/healthz") == (503, "the main loop has not turned for 100 s\n")
    assert ask(probes, "/metrics")[0] == 404
