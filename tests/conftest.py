"""What all suites share: the fixtures of the local cluster."""

import asyncio
import signal
from collections.abc import Iterator

import pytest

pytest_plugins = ["tests.cluster.fixtures"]


def pytest_configure() -> None:
    """Let SIGINT count, also for what the tests start: a shell lets its background processes ignore it."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def _loop_of_the_main_thread() -> Iterator[None]:
    """looptime asks for the thread's loop around plain tests, too; without one it would make one and leave it open."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    loop.close()
