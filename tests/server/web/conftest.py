"""The whole server, with Pipelines of two clients."""

from collections.abc import AsyncIterator

import pytest

from tests.server.whole import Whole, whole


@pytest.fixture
async def site() -> AsyncIterator[Whole]:
    """One replica; acme has `release` and rival `rivals` in team-a, and acme's client has `far` in team-c."""
    async with whole() as made:
        for name, namespace, client in (
            ("release", "team-a", "acme"),
            ("rivals", "team-a", "rival"),
            ("far", "team-c", "acme"),
        ):
            made.job(made.pipeline(name, namespace, client))
        yield made
