"""One HTTP/1.1 connection: a request at a time, its answer as a whole or in pieces as they come.

The bytes are parsed by httptools, the parser of uvicorn; TLS is the event loop's. What is left for Python is one call
for each request and one for each packet of the answer, a fifth of what a general client costs (docs/adr/0013).

A connection belongs to one task at a time. `kube.pool` hands it out.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import NamedTuple, cast

import httptools

from task_pipeline.kube.notices import notice

UNREAD_LIMIT = 2**20  # bytes of a stream that wait to be read before the server is made to wait


class Disconnected(Exception):
    """The connection ended, or what came over it is no HTTP. A request under way may have been carried out."""


class Answer(NamedTuple):
    """A whole answer. `retry_after` is the header of that name as it was sent."""

    status: int
    body: bytes
    retry_after: str | None


class Http1(asyncio.Protocol):
    """A connection as a protocol of the event loop; `usable` says whether it can take a request."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._waiter: asyncio.Future[None] | None = None
        self._pieces: deque[bytes] = deque()
        self._unread = 0
        self._paused = False
        self._streaming = False
        self._complete = True
        self._status = 0
        self._retry_after: str | None = None
        self._watchdog: asyncio.TimerHandle | None = None
        self._fault: Exception | None = None
        self._heard = self._loop.time()
        self.usable = False
        self.idle_since = 0.0

    async def exchange(self, request: bytes, seconds: float) -> Answer:
        """Send a request and return the whole answer. Raises `Disconnected`, also when it takes longer."""
        waiter = self._send(request)
        alarm = self._loop.call_later(seconds, self._fail, Disconnected(f"no answer within {seconds:g} s"))
        try:
            await waiter
        finally:
            alarm.cancel()
        body = b"".join(self._pieces)
        self._pieces.clear()  # a page of a list is not kept for as long as the connection is idle
        return Answer(self._status, body, self._retry_after)

    async def open(self, request: bytes) -> int:
        """Send a request; returns the status of its answer, whose body `pieces` gives. Raises `Disconnected`."""
        self._streaming = True
        await self._send(request)
        return self._status

    async def pieces(self, silence: float, total: float) -> AsyncIterator[bytes]:
        """The body of the answer as it comes. Raises `Disconnected`, also after `silence` seconds without a byte, and
        after `total` seconds in any case.
        """
        self._listen(silence, self._loop.time() + total)
        while True:
            while self._pieces:
                piece = self._pieces.popleft()
                self._unread -= len(piece)
                if self._paused and self._unread < UNREAD_LIMIT:
                    self._paused = False
                    self._reading().resume_reading()
                yield piece
            if self._complete:
                return
            if self._fault is not None:
                raise self._fault
            self._waiter = self._loop.create_future()
            await self._waiter

    def close(self) -> None:
        """End the connection at once, whatever is under way."""
        self.usable = False
        if self._watchdog is not None:
            self._watchdog.cancel()  # it would keep all of this in memory until its time
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # of uvloop, whose transports inherit from none
        self.usable = True

    def data_received(self, data: bytes) -> None:
        self._heard = self._loop.time()
        if self._complete:
            self._fail(Disconnected("the server sent what nobody had asked for"))
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(Disconnected(f"the answer is no HTTP: {error}"))

    def eof_received(self) -> None:
        """The server sends no more: the connection is closed, and `connection_lost` says so, soon or a little later."""
        if self._complete:
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(Disconnected(f"connection lost: {exc}" if exc else "the server closed the connection"))

    def on_message_begin(self) -> None:
        if self._complete:
            raise Disconnected("a second answer to one request")
        self._retry_after = None

    def on_header(self, name: bytes, value: bytes) -> None:
        if len(name) == len(b"retry-after") and name.lower() == b"retry-after":
            self._retry_after = value.decode("latin-1")
        elif len(name) == len(b"warning") and name.lower() == b"warning":
            notice(value.decode("latin-1"))

    def on_headers_complete(self) -> None:
        self._status = self._parser.get_status_code()
        if self._streaming:
            self._wake()

    def on_body(self, piece: bytes) -> None:
        self._pieces.append(piece)
        if self._streaming:
            self._unread += len(piece)
            if self._unread > UNREAD_LIMIT and not self._paused:
                self._paused = True
                self._reading().pause_reading()
            self._wake()

    def on_message_complete(self) -> None:
        if self._status < 200:
            return  # only the announcement of an answer
        self._complete = True
        if self._streaming or not self._parser.should_keep_alive():
            self.close()
        self._wake()

    def _send(self, request: bytes) -> asyncio.Future[None]:
        if not self.usable or self._transport is None:
            raise self._fault or Disconnected("the connection is closed")
        assert self._complete, "one request at a time"
        self._complete = False
        self._pieces.clear()
        self._waiter = self._loop.create_future()
        self._transport.write(request)
        return self._waiter

    def _listen(self, silence: float, end: float) -> None:
        """Give the stream up when nothing has come for so long, or at its end; one timer, however much comes."""
        until = min(end, self._heard + silence)
        if self._loop.time() >= until:
            self._fail(Disconnected("the stream was silent for too long, or has gone on for long enough"))
        elif self.usable:
            self._watchdog = self._loop.call_at(until, self._listen, silence, end)

    def _reading(self) -> asyncio.Transport:
        assert self._transport is not None
        return self._transport

    def _fail(self, fault: Disconnected) -> None:
        self._fault = self._fault or fault
        self.close()
        waiter = self._waiter
        if waiter is not None and not waiter.done() and not self._complete:
            waiter.set_exception(self._fault)

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
