"""The part of the REST server that the runner speaks to, played by the test."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import web

PATH = "/api/v1/attempts"


class Rest:
    """Hands out `offers` one after the other, and remembers what is said of them.

    `over` are paths of attempts that are 410; `cancelled` are those whose heartbeat says so. `refusal` is the status of
    claims while it is set.
    """

    def __init__(self, interval: float = 0.05) -> None:
        self.interval = interval
        self.offers: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.tokens: list[str] = []
        self.beats: list[str] = []
        self.reports: dict[str, dict[str, Any]] = {}
        self.over: set[str] = set()
        self.cancelled: set[str] = set()
        self.refusal: int | None = None
        self.reported = asyncio.Event()
        self.url = ""

    def offer(self, uid: str, params: dict[str, Any], **more: Any) -> str:
        """Let the next claim have this job; the path of its attempt."""
        job = {"uid": uid, "attempt": 1, "kind": "HTTP", "version": "1.0.0"}
        claimed = {"job": job, "params": params, "token": f"token-{uid}", "path": f"{PATH}/{uid}/1"}
        self.offers.put_nowait(claimed | {"nextIntervalSeconds": self.interval, "timeoutSeconds": 60} | more)
        return f"{PATH}/{uid}/1"

    async def report_of(self, path: str) -> dict[str, Any]:
        """What is reported of an attempt, once it is."""
        async with asyncio.timeout(5):
            while path not in self.reports:
                self.reported.clear()
                await self.reported.wait()
        return self.reports[path]

    async def claim(self, request: web.Request) -> web.Response:
        """POST :claim."""
        self.tokens.append(request.headers["Authorization"])
        if self.refusal is not None:
            return web.json_response({"detail": "go away"}, status=self.refusal)
        return web.json_response(await self.offers.get())

    async def heartbeat(self, request: web.Request) -> web.Response:
        """POST heartbeat."""
        path = request.path.removesuffix("/heartbeat")
        assert request.headers["Authorization"] == f"Bearer token-{request.match_info['uid']}"
        self.beats.append(path)
        if path in self.over or path in self.reports:
            return web.json_response({"reason": "AttemptOver"}, status=410)
        state = "Cancelled" if path in self.cancelled else "Running"
        return web.json_response({"desiredState": state, "nextIntervalSeconds": self.interval})

    async def result(self, request: web.Request) -> web.Response:
        """PUT result."""
        path = request.path.removesuffix("/result")
        assert request.headers["Authorization"] == f"Bearer token-{request.match_info['uid']}"
        self.reports[path] = await request.json()
        self.reported.set()
        return web.json_response({})


@contextlib.asynccontextmanager
async def rest_server() -> AsyncIterator[Rest]:
    """The server, listening on loopback."""
    rest = Rest()
    app = web.Application()
    app.router.add_post("/api/v1/workers/http:claim", rest.claim)
    app.router.add_post(PATH + "/{uid}/{n}/heartbeat", rest.heartbeat)
    app.router.add_put(PATH + "/{uid}/{n}/result", rest.result)
    runner = web.AppRunner(app, shutdown_timeout=0, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    rest.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield rest
    finally:
        await runner.cleanup()
