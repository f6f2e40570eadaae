"""The site that every test of this folder asks for."""

from collections.abc import AsyncIterator

import pytest

from tests.server.site import Site, open_site


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    """A REST server on an in-memory cluster."""
    opened = await open_site()
    yield opened
    await opened.client.close()
    opened.cluster.close()
