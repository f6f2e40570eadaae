"""A proxy that understands requests, in front of the API server: what is listed and watched comes late, and a request
can be kept back for good.

It answers on loopback with the API server's own certificate, so that the operator needs nothing but another port.
"""

import asyncio
import ssl
import threading
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import aiohttp
from aiohttp import web
from yarl import URL

from tests.background import Background

SECONDS = 10.0
_HOP = frozenset({"connection", "transfer-encoding", "content-length", "host", "keep-alive"})
_CLUSTER = web.AppKey("cluster", aiohttp.ClientSession)


class LaggingProxy(Background):
    """`lag` maps plurals of resources to the seconds by which reading them is behind."""

    def __init__(self, server: str, pki: Path, lag: Mapping[str, float]) -> None:
        self._server = server
        self._pki = pki
        self._lag = dict(lag)
        self._kept: tuple[str, str] | None = None
        super().__init__(SECONDS)
        self._runner: web.AppRunner | None = None
        self.port = 0
        self.kept = threading.Event()
        """Set once a request has been kept back."""

    def keep_next(self, method: str, plural: str) -> None:
        """Never pass on the next such request, nor answer it."""
        self.kept.clear()
        self._kept = (method, plural)

    async def _start(self) -> None:
        app = web.Application(client_max_size=2**24)
        app.router.add_route("*", "/{path:.*}", self._serve)
        app.cleanup_ctx.append(self._connect)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._pki / "server.crt", self._pki / "server.key")
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=context)
        await site.start()
        self.port = int(self._runner.addresses[0][1])

    async def _stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)
        await asyncio.sleep(0.25)  # aiohttp closes TLS connections in the background and does not tell when it has

    async def _connect(self, app: web.Application) -> AsyncIterator[None]:
        context = ssl.create_default_context(cafile=str(self._pki / "ca.crt"))
        connector = aiohttp.TCPConnector(limit=0, ssl=context)
        async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as session:
            app[_CLUSTER] = session
            yield

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        plural = _plural(request.path)
        if self._kept == (request.method, plural):
            self._kept = None
            self.kept.set()
            await asyncio.Event().wait()
        seconds = self._lag.get(plural, 0.0) if request.method == "GET" else 0.0
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP}
        timeout = aiohttp.ClientTimeout(total=None)
        async with request.app[_CLUSTER].request(
            request.method,
            URL(self._server + request.raw_path, encoded=True),
            headers=headers,
            data=await request.read() or None,
            timeout=timeout,
        ) as answer:
            kept = {name: value for name, value in answer.headers.items() if name.lower() not in _HOP}
            response = web.StreamResponse(status=answer.status, headers=kept)
            if "watch" in request.query:
                await response.prepare(request)
                await _late(answer.content, response, seconds)
            else:
                body = await answer.read()
                await asyncio.sleep(seconds)
                response.content_length = len(body)
                await response.prepare(request)
                await response.write(body)
            return response


async def _late(source: aiohttp.StreamReader, target: web.StreamResponse, seconds: float) -> None:
    """Pass on everything in its order, each part `seconds` after it has come."""
    loop = asyncio.get_running_loop()
    parts: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def read() -> None:
        async for part in source.iter_any():
            parts.put_nowait((loop.time() + seconds, part))
        parts.put_nowait((loop.time() + seconds, b""))

    reading = asyncio.create_task(read())
    try:
        while (found := await parts.get())[1]:
            await asyncio.sleep(max(0.0, found[0] - loop.time()))
            await target.write(found[1])
    finally:
        reading.cancel()


def _plural(path: str) -> str:
    """The resource that a path is about."""
    parts = path.strip("/").split("/")
    parts = parts[2:] if parts[0] == "api" else parts[3:]
    return parts[2] if parts[:1] == ["namespaces"] and len(parts) > 2 else parts[0] if parts else ""
