"""The probes are answered whatever slow callers do, and slow callers cost little."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from task_pipeline.health import probes
from task_pipeline.health.probes import Probes


@pytest.fixture
def port() -> Iterator[int]:
    made = Probes("127.0.0.1", 0, {"/healthz": list})
    made.start()
    yield made.port
    made.stop()


def ask(port: int) -> int:
    """The status of /healthz, when the connection is closed and has made room."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as caller:
        caller.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
        return int(b"".join(iter(lambda: caller.recv(4096), b"")).split()[1])


def threads() -> int:
    """How many connections are being answered."""
    return sum("process_request_thread" in thread.name for thread in threading.enumerate())


def is_closed(caller: socket.socket) -> bool:
    """Whether the other side has ended it."""
    caller.settimeout(0.05)
    try:
        return caller.recv(1) == b""
    except TimeoutError:
        return False
    except ConnectionError:
        return True


def until(holds: Callable[[], bool], seconds: float = 20.0) -> bool:
    """Whether it holds in time."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def test_a_caller_that_sends_byte_by_byte_has_one_deadline(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "WHOLE_SECONDS", 0.5)
    with socket.create_connection(("127.0.0.1", port)) as caller:
        caller.sendall(b"GET /healthz HTTP/1.1\r\nX: ")

        def goes_on() -> bool:
            try:
                caller.sendall(b"x")
            except ConnectionError:
                return True
            return is_closed(caller)

        assert not goes_on()
        assert until(goes_on)  # although it is never silent for SECONDS
    assert until(lambda: threads() == 0)
    assert ask(port) == 200


def test_callers_that_dawdle_are_few_and_keep_no_probe_away(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "MOST", 4)
    with ExitStack() as stack:
        callers = [stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(20)]
        assert ask(port) == 200
        assert until(lambda: threads() <= 4)
        assert ask(port) == 200
        assert until(lambda: is_closed(callers[0]))
        assert not is_closed(callers[-1])  # the newest have room beside the probes
    assert until(lambda: threads() == 0)


def test_room_is_given_back(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "MOST", 2)
    with socket.create_connection(("127.0.0.1", port)) as caller:
        assert [ask(port) for _ in range(6)] == [200] * 6
        assert not is_closed(caller)  # one at a time beside it is not too many
