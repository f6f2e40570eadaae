"""What the client makes of answers that no API server gives, and of none."""

import asyncio

import pytest

from task_pipeline.api.resources import PIPELINES
from task_pipeline.kube.client import HttpCluster
from task_pipeline.kube.config import Connection
from task_pipeline.kube.errors import Unreachable

ELSEWHERE = b"HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 7\r\n\r\n<a></a>"


async def no_token(refused: bool) -> str | None:
    return None


async def test_a_redirect_is_not_taken_for_success() -> None:
    """As of a proxy that wants people to log in."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readline():
            await reader.readuntil(b"\r\n\r\n")
            writer.write(ELSEWHERE)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with HttpCluster(Connection(url, False, no_token)) as cluster:
        with pytest.raises(Unreachable, match="302"):
            await cluster.get(PIPELINES, "default", "p")
        with pytest.raises(Unreachable, match="302"):
            await anext(cluster.watch(PIPELINES, None, resource_version="1"))
    server.close()
    await asyncio.sleep(0.01)  # the server's side of the connections sees their end


async def test_no_connection_in_time_is_told_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("task_pipeline.kube.pool.CONNECT_SECONDS", 0.05)
    async with HttpCluster(Connection("http://127.0.0.1:1", False, no_token), connections=0) as cluster:
        with pytest.raises(Unreachable, match="no connection, or no answer, in time"):
            await cluster.get(PIPELINES, "default", "p")


async def test_what_waited_too_long_for_its_credential_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was allowed to be sent when it began to wait; the next one finds the credential there."""
    monkeypatch.setattr("task_pipeline.kube.pool.CONNECT_SECONDS", 0.05)
    requests = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        await reader.readuntil(b"\r\n\r\n")
        requests += 1
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}")
        writer.close()

    async def slow_token(refused: bool) -> str | None:
        await asyncio.sleep(0.1)
        return "token"

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with HttpCluster(Connection(url, False, slow_token)) as cluster:
        with pytest.raises(Unreachable, match="nothing was sent"):
            await cluster.post(PIPELINES, "default", {})
        assert requests == 0
        assert await cluster.post(PIPELINES, "default", {}) == b"{}"
    server.close()
