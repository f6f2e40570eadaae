"""The proxy's vocabulary against a small API server in memory: each fault does to a request what its name says."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from tests.background import Background
from tests.cluster import pki
from tests.cluster.paths import ClusterPaths
from tests.faults.proxy import (
    Altered,
    Broken,
    Delay,
    Drop,
    FaultProxy,
    Lag,
    Late,
    Lose,
    Refuse,
    Rule,
    Silent,
    Stale,
    Stop,
    Twice,
    on,
)
from tests.faults.proxy.server import end_all

PODS = "/api/v1/namespaces/n/pods"
SECONDS = 10.0


class SmallServer(Background):
    """Keeps every request that arrives; a watch tells four events and goes on for ever."""

    def __init__(self, folder: Path) -> None:
        super().__init__(SECONDS)
        self._pki = folder
        self._runner: web.AppRunner | None = None
        self.requests: list[tuple[str, str]] = []
        self.encodings: set[str] = set()
        self.url = ""

    async def _start(self) -> None:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._pki / "server.crt", self._pki / "server.key")
        await web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=context).start()
        self.url = f"https://127.0.0.1:{self._runner.addresses[0][1]}"

    async def _stop(self) -> None:
        assert self._runner is not None
        await self._runner.cleanup()
        await end_all()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        self.requests.append((request.method, request.path_qs))
        self.encodings.add(request.headers.get("Accept-Encoding", ""))
        if request.query.get("watch") != "true":
            return web.json_response({"got": (await request.read()).decode(), "number": len(self.requests)})
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b'{"type":"BOOKMARK","object":{}}\n')
        for number in range(1, 5):
            await response.write(json.dumps({"type": "ADDED", "object": number}).encode() + b"\n")
        await asyncio.Event().wait()
        return response


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    paths = ClusterPaths(tmp_path_factory.mktemp("keys"))
    pki.create(paths, ["127.0.0.1"])
    return paths.pki


@pytest.fixture(scope="module")
def both(keys: Path) -> Iterator[tuple[SmallServer, FaultProxy]]:
    with SmallServer(keys) as server, FaultProxy(server.url, keys) as proxy:
        yield server, proxy


@pytest.fixture
def server(both: tuple[SmallServer, FaultProxy]) -> SmallServer:
    both[0].requests.clear()
    return both[0]


@pytest.fixture
def proxy(both: tuple[SmallServer, FaultProxy]) -> FaultProxy:
    """Without rules, and as if nothing had come yet."""
    both[1].forget()
    return both[1]


@asynccontextmanager
async def client(proxy: FaultProxy, keys: Path) -> AsyncIterator[aiohttp.ClientSession]:
    """What an operator would use."""
    connector = aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=str(keys / "ca.crt")))
    base = f"https://127.0.0.1:{proxy.port}"
    async with aiohttp.ClientSession(base, connector=connector, timeout=aiohttp.ClientTimeout(5)) as session:
        yield session
    await asyncio.sleep(0.25)


async def post(session: aiohttp.ClientSession) -> tuple[int, Any]:
    """A write, and what is answered."""
    async with session.post(PODS, json={"a": 1}) as answer:
        return answer.status, await answer.json()


async def events(session: aiohttp.ClientSession, *, seconds: float = 0.5, first: float = 5.0) -> list[Any]:
    """The objects (or the codes of errors) that a watch tells, until it has been silent for `seconds`."""
    seen: list[Any] = []
    try:
        async with asyncio.timeout(first) as limit, session.get(PODS, params={"watch": "true"}) as answer:
            async for line in answer.content:
                limit.reschedule(asyncio.get_running_loop().time() + seconds)
                event = json.loads(line)
                if event["type"] != "BOOKMARK":
                    seen.append(event["object"]["code"] if event["type"] == "ERROR" else event["object"])
    except TimeoutError:
        return seen
    return [*seen, "end"]


async def test_without_a_rule_everything_passes(proxy: FaultProxy, server: SmallServer, keys: Path) -> None:
    async with client(proxy, keys) as session:
        assert await post(session) == (200, {"got": '{"a": 1}', "number": 1})
        assert await events(session) == [1, 2, 3, 4]
    assert [(call.write, call.verb, call.resource) for call in proxy.calls] == [
        (1, "create", "pods"),
        (0, "watch", "pods"),
    ]


async def test_dropped_never_arrives(proxy: FaultProxy, server: SmallServer, keys: Path) -> None:
    proxy.add(Rule(on("create", "pods"), Drop()))
    async with client(proxy, keys) as session:
        with pytest.raises(aiohttp.ClientConnectionError):
            await post(session)
        assert server.requests == []
        assert (await post(session))[0] == 200


async def test_lost_is_carried_out(proxy: FaultProxy, server: SmallServer, keys: Path) -> None:
    proxy.add(Rule(on("write"), Lose()))
    async with client(proxy, keys) as session:
        with pytest.raises(aiohttp.ClientConnectionError):
            await post(session)
    assert server.requests == [("POST", PODS)]
    assert str(proxy.calls[0]) == "1 (write 1) create pods/ lost a 200"


async def test_twice_arrives_twice_and_the_first_answer_counts(
    proxy: FaultProxy, server: SmallServer, keys: Path
) -> None:
    proxy.add(Rule(on("write"), Twice()))
    async with client(proxy, keys) as session:
        assert (await post(session))[1]["number"] == 1
    assert len(server.requests) == 2


@pytest.mark.parametrize(("fault", "arrived"), [(Delay(2.0), 0), (Late(2.0), 1)])
async def test_late_requests_and_late_answers(
    proxy: FaultProxy, server: SmallServer, keys: Path, fault: Delay | Late, arrived: int
) -> None:
    proxy.add(Rule(on("write"), fault))
    async with client(proxy, keys) as session:
        sending = asyncio.create_task(post(session))
        await asyncio.sleep(0.15)
        while len(server.requests) < arrived:  # noqa: ASYNC110 (nothing tells of it)
            await asyncio.sleep(0.01)
        assert (len(server.requests), sending.done()) == (arrived, False)
        assert (await sending)[0] == 200


async def test_refusals_are_like_those_of_the_api_server(proxy: FaultProxy, server: SmallServer, keys: Path) -> None:
    proxy.add(Rule(on("write"), Refuse(429, retry_after=7)))
    async with client(proxy, keys) as session, session.post(PODS) as answer:
        assert (answer.status, answer.headers["Retry-After"]) == (429, "7")
        assert (await answer.json())["reason"] == "TooManyRequests"
    assert server.requests == []


async def test_a_stale_list_asks_for_the_old_revision(proxy: FaultProxy, server: SmallServer, keys: Path) -> None:
    proxy.add(Rule(on("list"), Stale(17)))
    async with client(proxy, keys) as session, session.get(PODS, params={"limit": "500"}):
        pass
    assert server.requests == [("GET", f"{PODS}?limit=500&resourceVersion=17&resourceVersionMatch=Exact")]


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (Altered(2, "lost"), [1, 3, 4]),
        (Altered(2, "doubled"), [1, 2, 2, 3, 4]),
        (Altered(2, "delayed", 5.0), [1]),
        (Altered(2, "delayed", 0.1), [1, 2, 3, 4]),
        (Broken(3, 410), [1, 2, 410, "end"]),
        (Broken(0, 500), [500, "end"]),
        (Silent(3), [1, 2]),
        (Silent(0), []),
    ],
    ids=str,
)
async def test_events(
    proxy: FaultProxy, server: SmallServer, keys: Path, fault: Altered | Broken | Silent, told: list[Any]
) -> None:
    proxy.add(Rule(on("watch", "pods"), fault, times=None))
    async with client(proxy, keys) as session:
        assert await events(session) == told
        assert fault.struck
        assert await events(session) == [1, 2, 3, 4]


async def test_lag_delays_lists_and_events(proxy: FaultProxy, server: SmallServer, keys: Path) -> None:
    proxy.add(Rule(on(resource="pods"), Lag(0.4), times=None))
    async with client(proxy, keys) as session:
        assert await events(session, first=0.2) == []
        assert await events(session) == [1, 2, 3, 4]


@pytest.mark.parametrize("after", [False, True])
async def test_the_world_stops_and_goes_on(proxy: FaultProxy, server: SmallServer, keys: Path, after: bool) -> None:
    stop = proxy.stop_at(Stop.at(2, after=after))
    async with client(proxy, keys) as session:
        await post(session)
        tasks = [asyncio.create_task(post(session)) for _ in range(3)]
        assert await asyncio.to_thread(stop.reached.wait, 5)
        await asyncio.sleep(0.1)
        assert len(server.requests) == 1 + after
        await asyncio.to_thread(proxy.go_on)
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(answer, aiohttp.ClientError) for answer in answers)
        assert (await post(session))[0] == 200
    assert len(server.requests) == 2 + after


async def test_closed_it_refuses_and_open_it_serves_on_the_same_port(
    proxy: FaultProxy, server: SmallServer, keys: Path
) -> None:
    async with client(proxy, keys) as session:
        watching = asyncio.create_task(events(session, seconds=5))
        await asyncio.sleep(0.2)
        await asyncio.to_thread(proxy.close)
        with pytest.raises(aiohttp.ClientError):
            await watching
        with pytest.raises(aiohttp.ClientConnectionError):
            await post(session)
        await asyncio.to_thread(proxy.open)
        assert (await post(session))[0] == 200


async def test_an_api_server_that_is_away_is_a_cut_connection(
    keys: Path,
) -> None:
    with FaultProxy("https://127.0.0.1:1", keys) as proxy:
        async with client(proxy, keys) as session:
            with pytest.raises(aiohttp.ClientConnectionError):
                await post(session)
    assert proxy.calls[0].outcome == "unreachable: ClientConnectorError"


async def test_the_lease_and_reviews_are_no_writes(proxy: FaultProxy, server: SmallServer, keys: Path) -> None:
    async with client(proxy, keys) as session:
        for path in ("/apis/coordination.k8s.io/v1/namespaces/n/leases/x", f"{PODS}/p/status"):
            async with session.patch(path, json={}):
                pass
    assert [(call.resource, call.name, call.write) for call in proxy.calls] == [
        ("leases", "x", 0),
        ("pods/status", "p", 1),
    ]


async def test_the_api_server_is_asked_for_no_compression_that_the_operator_has_not_asked_for(
    proxy: FaultProxy, server: SmallServer, keys: Path
) -> None:
    server.encodings.clear()
    async with client(proxy, keys) as session, session.get(PODS, skip_auto_headers=("Accept-Encoding",)):
        pass
    assert server.encodings == {""}
