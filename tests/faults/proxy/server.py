"""The proxy itself: it ends TLS on loopback with the API server's own certificate and speaks TLS to the API server.

One operator uses it, so that its writes can be numbered; everything that it asks for is in `calls`.
"""

import asyncio
import contextlib
import ssl
import time
from pathlib import Path

import aiohttp
from aiohttp import web

from tests.background import Background
from tests.faults.proxy.calls import Call, Counter
from tests.faults.proxy.exchange import Exchange
from tests.faults.proxy.paths import place_of
from tests.faults.proxy.rules import Rule, Stop
from tests.faults.proxy.streams import watch

SECONDS = 60.0  # to start and to stop, on a machine that is busy
TLS_SECONDS = 0.25  # aiohttp closes TLS connections in the background and does not tell when it has


class FaultProxy(Background):
    """A context manager; `server` is the URL of the API server, `pki` the folder of its certificates.

    The first rule that picks a call decides what becomes of it; without one it is passed on.
    """

    def __init__(self, server: str, pki: Path) -> None:
        super().__init__(SECONDS)
        self._server = server
        self._pki = pki
        self._counter = Counter()
        self._runner: web.AppRunner | None = None
        self._site: web.TCPSite | None = None
        self._session: aiohttp.ClientSession | None = None
        self._held: set[asyncio.Task[object]] = set()
        self._stop_at: Stop | None = None
        self._stopped = False
        self.rules: list[Rule] = []
        self.calls: list[Call] = []
        self.port = 0

    @property
    def writes(self) -> list[Call]:
        """The calls that asked for a change, in the order of their arrival."""
        return [call for call in self.calls if call.write]

    def add(self, rule: Rule) -> Rule:
        """One rule more."""
        self.rules.append(rule)
        return rule

    def forget(self) -> None:
        """No rules any more, and calls are numbered anew."""
        self._counter = Counter()
        self.rules.clear()
        self.calls.clear()

    def stop_at(self, stop: Stop) -> Stop:
        """Let the world stop there: from then on nothing passes and nothing is answered, until `go_on`."""
        self._stop_at = stop
        return stop

    def go_on(self) -> None:
        """Let the world go on for another operator; what was held is never carried out."""
        asyncio.run_coroutine_threadsafe(self._go_on(), self._loop).result(SECONDS)

    def close(self) -> None:
        """Refuse connections and cut those that exist."""
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(SECONDS)

    def open(self) -> None:
        """Accept connections again, on the same port."""
        asyncio.run_coroutine_threadsafe(self._open(), self._loop).result(SECONDS)

    def kubeconfig(self, source: Path, target: Path) -> Path:
        """A copy of the kubeconfig `source` at `target` that leads through this proxy."""
        lines = [
            f"{line[: line.index('server:')]}server: https://127.0.0.1:{self.port}" if "server:" in line else line
            for line in source.read_text().splitlines()
        ]
        target.write_text("\n".join(lines) + "\n")
        return target

    async def _start(self) -> None:
        client = ssl.create_default_context(cafile=str(self._pki / "ca.crt"))
        connector = aiohttp.TCPConnector(limit=0, ssl=client)
        self._session = aiohttp.ClientSession(
            connector=connector,
            auto_decompress=False,
            skip_auto_headers=("Accept-Encoding", "Content-Type", "User-Agent"),  # only what the operator asks for
        )
        app = web.Application(client_max_size=2**26)
        app.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await self._open()

    async def _stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
        if self._session is not None:
            await self._session.close()
        await end_all()

    async def _open(self) -> None:
        assert self._runner is not None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._pki / "server.crt", self._pki / "server.key")
        self._site = web.TCPSite(self._runner, "127.0.0.1", self.port, ssl_context=context)
        await self._site.start()
        self.port = int(self._runner.addresses[-1][1])

    async def _close(self) -> None:
        assert self._runner is not None
        if self._site is not None:
            await self._site.stop()
            self._site = None
        for connection in getattr(self._runner.server, "connections", ()):
            if connection.transport is not None:
                connection.transport.abort()
        await asyncio.sleep(0.05)

    async def _go_on(self) -> None:
        held, self._held = self._held, set()
        self._stop_at, self._stopped = None, False
        for task in held:
            task.cancel()
        await asyncio.gather(*held, return_exceptions=True)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        assert self._session is not None
        call = self._counter.call(
            request.method, place_of(request.path), request.query, request.headers.get("Content-Type", ""),
            time.monotonic(),
        )  # fmt: skip
        self.calls.append(call)
        exchange = Exchange(request, call, await request.read(), self._server, self._session)
        await self._still(exchange)
        try:
            return await self._deal(exchange)
        except (aiohttp.ClientError, ConnectionError) as error:
            return exchange.cut(f"unreachable: {type(error).__name__}")

    async def _still(self, exchange: Exchange) -> None:
        """Hold the request for ever if the world has stopped, or stops with it."""
        stop = self._stop_at
        if stop is None or not (self._stopped or stop.pick(exchange.call)):
            return
        task = asyncio.current_task()
        assert task is not None
        self._held.add(task)
        first, self._stopped = not self._stopped, True
        exchange.call.outcome = "held"
        if first:
            with contextlib.suppress(aiohttp.ClientError):
                await stop.here(exchange)
        await asyncio.Event().wait()

    async def _deal(self, exchange: Exchange) -> web.StreamResponse:
        for rule in self.rules:
            if rule.strikes(exchange.call):
                return await rule.fault.strike(exchange)
        if exchange.call.verb == "watch":
            return await watch(exchange)
        return await exchange.relay()


async def end_all() -> None:
    """End every other task of this loop, and give TLS connections the time to close."""
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)
    await asyncio.sleep(TLS_SECONDS)
