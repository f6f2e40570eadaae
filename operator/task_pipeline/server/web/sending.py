"""Server-sent events to a page: a few times a second at most, whatever happens meanwhile.

Rule: a page has one stream. What changed is sent as markup of whole parts, each with the id of the element that it
replaces; so the page holds no copy of our rules, and to be told something twice changes nothing. A `beat` tells that
the connection lives. A stream ends with its session or its rights, which each beat asks
about anew, or after STREAM_SECONDS, and the browser comes back by itself.
Format: HTML standard, section 9.2.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import orjson
from aiohttp import web

from task_pipeline.kube.errors import KubeError
from task_pipeline.server import standing
from task_pipeline.server.call import Call
from task_pipeline.server.problem import ProblemError
from task_pipeline.server.shares import Shares
from task_pipeline.server.streams import STREAM_SECONDS
from task_pipeline.server.web import render
from task_pipeline.server.web.session import SESSION

TICK = 0.3  # seconds between two updates, at least
BEAT = standing.EVERY
RETRY = 1500  # milliseconds until a browser comes back
MAX_STREAMS, MAX_OF_CALLER = 200, 20  # of one process
shares = Shares("pages", MAX_STREAMS, MAX_OF_CALLER)


class Stream:
    """One open stream, as long as `judge` raises no refusal. Methods raise ConnectionError when the page has gone."""

    def __init__(self, call: Call, judge: standing.Judge) -> None:
        self._call = call
        self._judge = judge
        self._stands = True
        self._loop = asyncio.get_running_loop()
        session = call.request[SESSION]
        left = session.ends - call.services.now().timestamp()
        self._end = self._loop.time() + min(STREAM_SECONDS, max(0.0, left))
        self._beaten = self._asked = self._loop.time()
        kind = {"Content-Type": "text/event-stream; charset=utf-8", "X-Accel-Buffering": "no"}
        self.response = web.StreamResponse(headers={**render.HEADERS, **kind})

    @property
    def is_on(self) -> bool:
        """Whether the stream may go on."""
        return self._stands and self._loop.time() < self._end and not self._call.services.stopping.is_set()

    async def open(self) -> None:
        """Begin to answer."""
        await self.response.prepare(self._call.request)
        await self.response.write(b"retry: %d\nevent: beat\ndata: {}\n\n" % RETRY)

    async def send(self, name: str, data: Any, place: str = "") -> None:
        """One event."""
        at = f"id: {place}\n" if place else ""
        await self.response.write(f"event: {name}\n{at}data: ".encode() + orjson.dumps(data) + b"\n\n")
        self._beaten = self._loop.time()

    async def beat(self) -> None:
        """Ask every while whether the stream may go on; tell that the connection lives, when nothing else did."""
        if self._loop.time() - self._asked >= BEAT:
            self._stands = await standing.stands(self._call, self._judge)
            self._asked = self._loop.time()
        if self._loop.time() - self._beaten >= BEAT:
            await self.send("beat", {})


async def follow(call: Call, look: Callable[[], Awaitable[Sequence[str] | None]], seconds: float) -> web.StreamResponse:
    """A stream of what `look` gives every so many seconds: the parts that changed, None for nothing new. It asks for
    the rights itself; a refusal ends the stream."""
    stream = Stream(call, _nothing)
    with shares.take(call.caller):
        await stream.open()
        while stream.is_on:
            try:
                parts = await look()
            except (KubeError, ProblemError):
                break  # who comes back is told what it is
            if parts:
                await stream.send("parts", parts)
            await stream.beat()
            await asyncio.sleep(seconds)
        await stream.response.write_eof()
    return stream.response


async def _nothing() -> None:
    """Judges nothing."""


class Changes:
    """Remembers what a page was sent of each part, so that only what is different is sent again."""

    def __init__(self) -> None:
        self._sent: dict[str, str] = {}

    def of(self, parts: Mapping[str, str]) -> list[str]:
        """Those of `parts` (by id) that are not what was sent last; what is not among them is forgotten."""
        changed = [text for name, text in parts.items() if self._sent.get(name) != text]
        self._sent = dict(parts)
        return changed
