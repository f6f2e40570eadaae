"""Watches through the proxy, and the faults of the vocabulary that strike their events.

Events are numbered from 1 for each fault, over all streams that its rule has picked; bookmarks do not count. A fault
strikes once: `struck` tells whether it has.
"""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import aiohttp
from aiohttp import web

from tests.faults.proxy.exchange import Exchange, kept
from tests.faults.proxy.faults import status_body

END = b""
Deed = Callable[[bytes], Awaitable[Sequence[bytes]]]
"""What an event becomes: the lines to pass on in its place; `END` ends the stream."""


async def as_it_comes(line: bytes) -> Sequence[bytes]:
    """The deed of a stream without a fault."""
    return (line,)


async def watch(exchange: Exchange, deed: Deed = as_it_comes, seconds: float = 0.0) -> web.StreamResponse:
    """Pass a watch on, event by event, each `seconds` after it has come."""
    async with exchange.open() as answer:
        exchange.call.outcome = str(answer.status)
        response = web.StreamResponse(status=answer.status, headers=kept(answer.headers))
        await response.prepare(exchange.request)
        async for line in _late(answer.content, seconds):
            for part in await deed(line):
                if part == END:
                    return response
                await response.write(part)
        return response


@dataclass(frozen=True)
class Lag:
    """Every event, and every answer to a list, comes `seconds` after it was sent, in its order."""

    seconds: float

    async def strike(self, exchange: Exchange) -> web.StreamResponse:
        if exchange.call.verb == "watch":
            return await watch(exchange, seconds=self.seconds)
        answer = await exchange.forward()
        await asyncio.sleep(self.seconds)
        return await exchange.send(answer)


@dataclass
class _Once:
    number: int
    struck: bool = field(default=False, init=False)
    _events: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1), init=False, repr=False)

    def _hits(self, line: bytes) -> bool:
        """Whether this is the event that the fault is for."""
        if self.struck or b'"BOOKMARK"' in line[:30] or next(self._events) < self.number:
            return False
        self.struck = True
        return True


@dataclass
class Altered(_Once):
    """The event is lost, comes twice, or comes `seconds` late, and with it all that follows."""

    deed: Literal["lost", "doubled", "delayed"]
    seconds: float = 0.0

    async def strike(self, exchange: Exchange) -> web.StreamResponse:
        return await watch(exchange, self._of)

    async def _of(self, line: bytes) -> Sequence[bytes]:
        if not self._hits(line):
            return (line,)
        await asyncio.sleep(self.seconds)
        return {"lost": (), "doubled": (line, line), "delayed": (line,)}[self.deed]


@dataclass
class Broken(_Once):
    """An ERROR event with this code in place of the event, and the end of the stream; number 0: as it begins."""

    code: int

    async def strike(self, exchange: Exchange) -> web.StreamResponse:
        if self.number or self.struck:
            return await watch(exchange, self._of)
        self.struck = True
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(exchange.request)
        await response.write(self._error())
        return response

    async def _of(self, line: bytes) -> Sequence[bytes]:
        return (self._error(), END) if self._hits(line) else (line,)

    def _error(self) -> bytes:
        return b'{"type":"ERROR","object":' + status_body(self.code, "injected by a test") + b"}\n"


@dataclass
class Silent(_Once):
    """From this event on the stream stays open and says nothing, not even bookmarks; number 0: from its beginning."""

    async def strike(self, exchange: Exchange) -> web.StreamResponse:
        mute = self.number == 0 and not self.struck
        self.struck = self.struck or mute

        async def deed(line: bytes) -> Sequence[bytes]:
            nonlocal mute
            mute = mute or self._hits(line)
            return () if mute else (line,)

        return await watch(exchange, deed)


async def _late(content: aiohttp.StreamReader, seconds: float) -> AsyncIterator[bytes]:
    """Whole lines, each `seconds` after it has come, whatever the reader of this iterator does meanwhile."""
    loop = asyncio.get_running_loop()
    lines: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def read() -> None:
        rest = b""
        with contextlib.suppress(aiohttp.ClientError):
            async for chunk in content.iter_any():
                *whole, rest = (rest + chunk).split(b"\n")
                for line in whole:
                    lines.put_nowait((loop.time() + seconds, line + b"\n"))
        lines.put_nowait((loop.time() + seconds, END))

    reading = asyncio.create_task(read())
    try:
        while (found := await lines.get())[1] != END:
            await asyncio.sleep(max(0.0, found[0] - loop.time()))
            yield found[1]
    finally:
        reading.cancel()
