"""Kept-alive connections to one server, at most so many at a time.

The one used last is taken first, so that those beyond the need grow old and are closed. Where all are in use, one that
becomes free is handed to who has waited longest: who comes meanwhile does not get it first. A request that is cancelled
or times out closes its connection: its answer may still be on the way.
"""

import asyncio
import ssl
from collections import deque
from urllib.parse import urlsplit

from task_pipeline.kube.http1 import Answer, Http1

CONNECT_SECONDS = 5.0  # a request waits no longer for its connection: what was allowed to be sent may not be by then
IDLE_SECONDS = 60.0  # servers and what stands between close idle connections after minutes, some without a word


class Pool:
    """Connections to the server of a URL; `limit` of them at a time, those made by `fresh` not counted."""

    def __init__(self, url: str, tls: ssl.SSLContext | bool, limit: int) -> None:
        self._loop = asyncio.get_running_loop()
        parts = urlsplit(url)
        secure = parts.scheme == "https"
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if secure else 80)
        self._tls = tls if secure else None
        self._limit = limit
        self._open = 0
        self._idle: list[Http1] = []
        self._waiting: deque[asyncio.Future[Http1 | None]] = deque()

    async def exchange(self, request: bytes, seconds: float, waited: float = 0.0) -> Answer:
        """Send a request and return its answer, within `seconds` once there is a connection.

        Raises `Disconnected`, or OSError when no connection can be had within `CONNECT_SECONDS`: then nothing was sent.
        The request has `waited` so many of them already, for its credential.
        """
        if waited >= CONNECT_SECONDS:
            raise TimeoutError("the credential took too long; nothing was sent")
        one = await self._take(waited)
        try:
            answer = await one.exchange(request, seconds)
        except BaseException:
            one.close()
            raise
        finally:
            self._give(one)
        return answer

    async def fresh(self) -> Http1:
        """A new connection, which is the caller's to close. Raises OSError."""
        async with asyncio.timeout(CONNECT_SECONDS):
            _, one = await self._loop.create_connection(Http1, self._host, self._port, ssl=self._tls)
        return one

    def close(self) -> None:
        """Close what is idle; what is in use is closed by its user."""
        while self._idle:
            self._drop(self._idle.pop())

    async def _take(self, waited: float = 0.0) -> Http1:
        """A connection that is free, a new one while there may be more, or the next that becomes free."""
        one = self._usable()
        if one is not None:
            return one
        async with asyncio.timeout(CONNECT_SECONDS - waited):
            if self._open < self._limit:
                self._open += 1
            else:
                one = await self._turn()
                if one is not None and one.usable:
                    return one
            try:
                return await self.fresh()
            except BaseException:
                self._give(None)
                raise

    async def _turn(self) -> Http1 | None:
        """A connection that becomes free; None for one that has ended, in whose place the caller may make another."""
        waiter: asyncio.Future[Http1 | None] = self._loop.create_future()
        self._waiting.append(waiter)
        try:
            return await waiter
        except BaseException:
            if waiter.done() and not waiter.cancelled():
                self._give(waiter.result())  # its turn goes to the one behind it
            raise

    def _give(self, one: Http1 | None) -> None:
        """Hand a connection, or the place of one that has ended, to the first that waits; keep it when nobody does."""
        if one is not None and not one.usable:
            one = None
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(one)
                return
        if one is None:
            self._open -= 1
        else:
            one.idle_since = self._loop.time()
            self._idle.append(one)

    def _usable(self) -> Http1 | None:
        oldest = self._loop.time() - IDLE_SECONDS
        while self._idle and self._idle[0].idle_since < oldest:
            self._drop(self._idle.pop(0))
        while self._idle:
            one = self._idle.pop()
            if one.usable:
                return one
            self._drop(one)
        return None

    def _drop(self, one: Http1) -> None:
        one.close()
        self._open -= 1
