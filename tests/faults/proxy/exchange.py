"""One request on its way through the proxy: what a fault may do with it."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import aiohttp
import orjson
from aiohttp import web
from yarl import URL

from tests.faults.proxy.calls import Call

_HOP = frozenset({"connection", "transfer-encoding", "content-length", "host", "keep-alive"})


class Answer(NamedTuple):
    """What the API server answers, or what is answered in its place."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Exchange:
    """A request whose body has been read, and the session that leads to the API server at `server`."""

    request: web.Request
    call: Call
    body: bytes
    server: str
    session: aiohttp.ClientSession

    async def forward(self, **query: str) -> Answer:
        """Have the API server carry it out, with more parameters if there are any."""
        async with self.open(**query) as answer:
            return Answer(answer.status, kept(answer.headers), await answer.read())

    def open(self, **query: str) -> "aiohttp.client._RequestContextManager":
        """The same, for an answer that is read while it comes."""
        url = URL(self.server + self.request.raw_path, encoded=True)
        return self.session.request(
            self.request.method,
            url.update_query(query) if query else url,
            headers=kept(self.request.headers),
            data=self.body or None,
            timeout=aiohttp.ClientTimeout(total=None),
        )

    async def send(self, answer: Answer, note: str = "") -> web.StreamResponse:
        """Answer the operator."""
        self.call.outcome = f"{note} {answer.status}".strip()
        if self.call.write and answer.status < 300:
            self.call.acked, self.call.answered = _version(answer.body), time.monotonic()
        response = web.StreamResponse(status=answer.status, headers=answer.headers)
        response.content_length = len(answer.body)
        await response.prepare(self.request)
        await response.write(answer.body)
        return response

    async def relay(self) -> web.StreamResponse:
        """Pass it on, and the answer back."""
        return await self.send(await self.forward())

    def cut(self, note: str) -> web.StreamResponse:
        """End the operator's connection without an answer."""
        self.call.outcome = note
        if self.request.transport is not None:
            self.request.transport.abort()
        return web.Response()  # nobody will read it


def _version(body: bytes) -> int:
    """The resourceVersion of an object, 0 for any other answer."""
    try:
        return int(orjson.loads(body)["metadata"]["resourceVersion"])
    except (orjson.JSONDecodeError, LookupError, TypeError):
        return 0


def kept(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers without those that are about one connection only."""
    return {name: value for name, value in headers.items() if name.lower() not in _HOP}
