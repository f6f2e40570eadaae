"""What all suites share: the fixtures of the local cluster."""

import asyncio
from collections.abc import Iterator

import pytest

pytest_plugins = ["tests.cluster.fixtures"]


@pytest.fixture(scope="session", autouse=True)
def _loop_of_the_main_thread() -> Iterator[None]:
    """looptime asks for the thread's loop around plain tests, too; without one it would make one and leave it open."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    loop.close()
