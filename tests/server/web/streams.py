"""An open stream of a page, read event by event."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.server.web.site import COOKIE, Browser

SECONDS = 10.0


class Stream:
    """The events of one stream. `place` is the last one that was told."""

    def __init__(self, content: Any) -> None:
        self._content = content
        self.place = ""
        self.events = 0

    async def next(self) -> tuple[str, Any]:
        """The next event: its name and its data. Raises EOFError at the end."""
        fields: dict[str, str] = {}
        async with asyncio.timeout(SECONDS):
            while (line := (await self._content.readline()).decode()) not in ("\n", ""):
                name, _, value = line.rstrip("\n").partition(": ")
                fields[name] = value
        if line == "":
            raise EOFError
        self.place = fields.get("id", self.place)
        self.events += 1
        return fields["event"], json.loads(fields["data"])

    async def parts(self, least: int = 1) -> list[str]:
        """The parts that are sent, until there are so many."""
        found: list[str] = []
        while len(found) < least:
            name, data = await self.next()
            if name == "parts":
                found += data
        return found

    async def until(self, *texts: str) -> list[str]:
        """The parts that are sent until one of them holds all of the texts."""
        found: list[str] = []
        while not any(all(text in part for text in texts) for part in found):
            found += await self.parts()
        return found


@asynccontextmanager
async def opened(browser: Browser, path: str, place: str = "") -> AsyncIterator[Stream]:
    """The stream at a path, while the block lasts."""
    headers = {"Cookie": f"{COOKIE}={browser.cookie}"} | ({"Last-Event-ID": place} if place else {})
    async with browser.replica.http.get(browser.replica.url + path, headers=headers) as response:
        assert response.status == 200, await response.text()
        assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        yield Stream(response.content)
