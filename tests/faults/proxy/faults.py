"""The fault vocabulary for requests that have one answer. Those for watches are in streams.py.

A fault is given the exchange: it may pass the request on, answer something itself, or cut the connection.
"""

import asyncio
from dataclasses import dataclass
from typing import Protocol

import orjson
from aiohttp import web

from tests.faults.proxy.exchange import Answer, Exchange

_REASONS = {
    409: "Conflict",
    410: "Expired",
    422: "Invalid",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
}


class Fault(Protocol):
    """What becomes of a request that a rule has picked."""

    async def strike(self, exchange: Exchange) -> web.StreamResponse:
        """Deal with the request to its end."""


@dataclass(frozen=True)
class Drop:
    """The request never arrives, and the connection is cut."""

    async def strike(self, exchange: Exchange) -> web.StreamResponse:
        return exchange.cut("dropped")


@dataclass(frozen=True)
class Lose:
    """Timeout after commit: it is carried out, and `seconds` later the connection is cut without an answer."""

    seconds: float = 0.0

    async def strike(self, exchange: Exchange) -> web.StreamResponse:
        answer = await exchange.forward()
        await asyncio.sleep(self.seconds)
        return exchange.cut(f"lost a {answer.status}")


@dataclass(frozen=True)
class Delay:
    """The request is carried out `seconds` late."""

    seconds: float

    async def strike(self, exchange: Exchange) -> web.StreamResponse:
        await asyncio.sleep(self.seconds)
        return await exchange.relay()


@dataclass(frozen=True)
class Late:
    """The request is carried out at once and answered `seconds` late."""

    seconds: float

    async def strike(self, exchange: Exchange) -> web.StreamResponse:
        answer = await exchange.forward()
        await asyncio.sleep(self.seconds)
        return await exchange.send(answer)


@dataclass(frozen=True)
class Twice:
    """The request arrives twice; the answer to the first one is passed on."""

    async def strike(self, exchange: Exchange) -> web.StreamResponse:
        answer = await exchange.forward()
        await exchange.forward()
        return await exchange.send(answer, note="twice")


@dataclass(frozen=True)
class Refuse:
    """An answer that the API server has not given; the request is not carried out. `retry_after` is in seconds."""

    status: int
    message: str = "injected by a test"
    retry_after: int | None = None

    async def strike(self, exchange: Exchange) -> web.StreamResponse:
        headers = {"Content-Type": "application/json"}
        if self.retry_after is not None:
            headers["Retry-After"] = str(self.retry_after)
        return await exchange.send(Answer(self.status, headers, status_body(self.status, self.message)), "injected")


@dataclass(frozen=True)
class Stale:
    """A list as it was at an older revision, which the API server itself still knows until etcd is compacted."""

    revision: int

    async def strike(self, exchange: Exchange) -> web.StreamResponse:
        if "continue" in exchange.request.query:
            return await exchange.relay()
        old = {"resourceVersion": str(self.revision), "resourceVersionMatch": "Exact"}
        return await exchange.send(await exchange.forward(**old), note=f"as of {self.revision}:")


def status_body(code: int, message: str) -> bytes:
    """A metav1.Status of a failure."""
    status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "message": message}
    return orjson.dumps(status | {"reason": _REASONS.get(code, "InternalError")})
