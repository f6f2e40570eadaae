"""One Chromium for all tests, and for each a world of its own with somebody logged in."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.browser.chromium import Browser, Page, browser, program
from tests.browser.live import Live, live

AXE = Path(__file__).parents[2] / ".browser" / "node_modules" / "axe-core" / "axe.min.js"


@pytest.fixture
async def world() -> AsyncIterator[Live]:
    """An operator with four slots, of which acme may use two, and a server."""
    async with live(max_running_jobs=4) as made:
        made.limit(maxRunningJobs=2, queueSize=100)
        yield made


@pytest.fixture
async def chromium() -> AsyncIterator[Browser]:
    if program() is None:
        pytest.fail("there is no Chromium: install the package chromium")
    async with browser() as made:
        yield made


@pytest.fixture
async def page(chromium: Browser, world: Live) -> AsyncIterator[Page]:
    """Acme's tab, logged in through the form; at its end nothing has been complained about."""
    made = await chromium.page()
    await made.goto(world.url + "/")
    await made.write("#client", "acme")
    await made.write("#secret", world.secret)
    await made.follow("form[aria-labelledby=by-client] button")
    assert await made.run("location.pathname") == "/ui"
    yield made
    complaints = made.complaints
    await made.close()
    assert complaints == []


@pytest.fixture
def axe() -> str:
    """The source of axe-core."""
    if not AXE.exists():
        pytest.fail("axe-core is missing: `make test-browser` fetches it")
    return AXE.read_text()
