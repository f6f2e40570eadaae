"""What the tests of the command line share."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.site import Site


@pytest.fixture(autouse=True)
def _loop_is_kept() -> Iterator[None]:
    """The program runs a loop of its own in this thread and leaves none behind; other tests count on theirs."""
    try:
        loop = asyncio.get_event_loop_policy().get_event_loop()
    except RuntimeError:  # a test before this one has left none
        loop = None
    yield
    asyncio.set_event_loop(loop)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A cluster with an operator."""
    with Site(tmp_path) as made:
        yield made


@pytest.fixture
def quiet(tmp_path: Path) -> Iterator[Site]:
    """A cluster without an operator: what a test writes stays."""
    with Site(tmp_path, operator=False) as made:
        yield made


@pytest.fixture
def both(tmp_path: Path) -> Iterator[Site]:
    """A cluster with an operator and a REST server for the client acme."""
    with Site(tmp_path, rest=True) as made:
        yield made
