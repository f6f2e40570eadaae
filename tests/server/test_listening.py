"""What listens: bytes that are no HTTP, caps on headers, and requests in flight when the server stops."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web

from task_pipeline.api.resources import PIPELINES
from task_pipeline.server.listening import MAX_FIELD, MAX_HEADERS, MAX_LINE, Runner
from tests.fakes import on
from tests.server.site import Site

KINDS = "/api/v1/kinds"


@pytest.fixture
async def runner(site: Site) -> AsyncIterator[Runner]:
    """The site's application on a port of its own."""
    made = Runner(site.client.app, 10.0)
    await made.setup()
    await web.SockSite(made, _socket()).start()
    yield made
    await made.cleanup()


def _socket() -> socket.socket:
    made = socket.socket()
    made.bind(("127.0.0.1", 0))
    return made


async def talk(runner: Runner, raw: bytes) -> tuple[int, dict[str, str], bytes]:
    """Send bytes; the answer's status, headers and body."""
    reader, writer = await asyncio.open_connection(*runner.addresses[0][:2])
    writer.write(raw)
    async with asyncio.timeout(10):
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    first, *lines = head.decode().split("\r\n")
    return int(first.split()[1]), dict(line.split(": ", 1) for line in lines), body


@pytest.mark.parametrize(
    "raw",
    [
        b"hello\r\n\r\n",
        b"GET / HTTP/9\r\n\r\n",
        b"GET /" + b"a" * MAX_LINE + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * (MAX_FIELD + 1) + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"".join(b"X%d: a\r\n" % number for number in range(2 * MAX_HEADERS)) + b"\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    ],
)
async def test_what_is_no_http_is_a_problem_too(runner: Runner, raw: bytes) -> None:
    status, headers, body = await talk(runner, raw)
    assert (status, headers["Content-Type"]) == (400, "application/problem+json")
    assert (json.loads(body)["reason"], headers["X-Content-Type-Options"]) == ("BadRequest", "nosniff")


async def test_the_longest_query_that_is_allowed_gets_through(runner: Runner) -> None:
    query = f"labelSelector={'%F0%9F%A0%81' * 2048}&continue={'a' * 4096}"
    raw = f"GET /api/v1/namespaces/team-a/pipelines?{query} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    status, _, body = await talk(runner, raw.encode())
    assert (status, json.loads(body)["reason"]) == (401, "Unauthorized")


async def test_a_request_in_flight_is_answered_while_the_server_stops(site: Site, runner: Runner) -> None:
    site.cluster.fault(on("get", PIPELINES), delay=0.5, times=1)
    host, port = runner.addresses[0][:2]
    url, sent = f"http://{host}:{port}/api/v1/namespaces/team-a/pipelines/x", {"Authorization": "Bearer acme"}
    async with aiohttp.ClientSession() as session:

        async def ask() -> int:
            async with session.get(url, headers=sent) as response:
                return response.status

        asking = asyncio.create_task(ask())
        while not site.cluster.journal.of("get", PIPELINES):  # noqa: ASYNC110 (nothing tells of it)
            await asyncio.sleep(0.01)
        began = asyncio.get_running_loop().time()
        await runner.cleanup()
        assert await asking == 404
        assert asyncio.get_running_loop().time() - began < 8  # not until its time runs out
        with pytest.raises(aiohttp.ClientConnectionError):
            await ask()
