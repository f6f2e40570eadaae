"""The connection and the pool, against a server that says exactly what a test wants it to say."""

import asyncio
import gc
import socket
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import TypeAlias

import pytest

from task_pipeline.kube.http1 import UNREAD_LIMIT, Answer, Disconnected, Http1
from task_pipeline.kube.pool import Pool

Reader: TypeAlias = asyncio.StreamReader
Writer: TypeAlias = asyncio.StreamWriter
REQUEST = b"GET /x HTTP/1.1\r\nHost: test\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


class Server:
    """Answers each request of a connection with the next of `answers`; None ends the connection."""

    def __init__(self, answers: list[bytes | None]) -> None:
        self.answers = answers
        self.connections = 0
        self.asked = asyncio.Event()

    async def serve(self, reader: Reader, writer: Writer) -> None:
        self.connections += 1
        while True:
            await reader.readuntil(b"\r\n\r\n")
            self.asked.set()
            answer = self.answers.pop(0)
            if answer is None:
                return
            writer.write(answer)
            await writer.drain()


@asynccontextmanager
async def listening(serve: Callable[[Reader, Writer], Awaitable[None]]) -> AsyncIterator[str]:
    """The URL of a server on loopback. A connection ends when `serve` returns, or meets its end."""
    tasks: set[asyncio.Task[None]] = set()

    async def handle(reader: Reader, writer: Writer) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        with suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            await serve(reader, writer)
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def pool_of(*answers: bytes | None, limit: int = 4) -> AsyncIterator[tuple[Pool, Server]]:
    """A pool, and the server behind it."""
    server = Server(list(answers))
    async with listening(server.serve) as url:
        pool = Pool(url, False, limit)
        try:
            yield pool, server
        finally:
            pool.close()


async def read(connection: Http1, *, silence: float = 5.0, total: float = 5.0) -> bytes:
    """What a stream still brings."""
    return b"".join([piece async for piece in connection.pieces(silence, total)])


async def test_one_connection_carries_one_request_after_the_other() -> None:
    chunked = CHUNKED + b"2\r\nok\r\n0\r\n\r\n"
    async with pool_of(OK, chunked, OK) as (pool, server):
        for _ in range(3):
            assert await pool.exchange(REQUEST, 5) == Answer(200, b"ok", None)
        assert server.connections == 1


async def test_an_idle_connection_keeps_nothing_of_the_last_answer() -> None:
    async with pool_of(OK) as (pool, _):
        assert (await pool.exchange(REQUEST, 5)).body == b"ok"
        assert [list(one._pieces) for one in pool._idle] == [[]]


async def test_a_refusal_says_when_to_come_again_and_the_next_answer_does_not() -> None:
    busy = b"HTTP/1.1 429 Too Many Requests\r\nretry-AFTER: 7\r\nContent-Length: 0\r\n\r\n"
    async with pool_of(busy, OK) as (pool, _):
        assert await pool.exchange(REQUEST, 5) == Answer(429, b"", "7")
        assert await pool.exchange(REQUEST, 5) == Answer(200, b"ok", None)


async def test_an_announcement_is_not_the_answer() -> None:
    async with pool_of(b"HTTP/1.1 100 Continue\r\n\r\n" + OK) as (pool, _):
        assert await pool.exchange(REQUEST, 5) == Answer(200, b"ok", None)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(None, id="nothing"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nConnection: close\r\n\r\nhalf", id="junk"),
        pytest.param(b"SSH-2.0-OpenSSH_9.2\r\n", id="another-protocol"),
        pytest.param(CHUNKED + b"zz\r\nok\r\n", id="broken-chunk"),
    ],
)
async def test_what_is_no_answer_is_told_and_the_connection_not_used_again(answer: bytes | None) -> None:
    async with pool_of(answer, None, OK) as (pool, server):
        for _ in range(2):
            with pytest.raises(Disconnected):
                await pool.exchange(REQUEST, 0.2)
        assert await pool.exchange(REQUEST, 5) == Answer(200, b"ok", None)
        assert server.connections == 3


async def test_a_server_that_ends_connections_gets_new_ones() -> None:
    last = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"
    async with pool_of(last, last) as (pool, server):
        for _ in range(2):
            assert (await pool.exchange(REQUEST, 5)).body == b"ok"
        assert server.connections == 2


async def test_an_idle_connection_that_the_server_has_closed_is_not_used() -> None:
    async def serve(reader: Reader, writer: Writer) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)

    async with listening(serve) as url:
        pool = Pool(url, False, 1)
        assert (await pool.exchange(REQUEST, 5)).body == b"ok"
        await asyncio.sleep(0.05)  # the end of the connection is on its way through the loopback device
        assert (await pool.exchange(REQUEST, 5)).body == b"ok"
        pool.close()


async def test_a_late_answer_is_not_taken_for_that_of_the_next_request() -> None:
    async def serve(reader: Reader, writer: Writer) -> None:
        number = int((await reader.readuntil(b"\r\n\r\n"))[5:6])
        if number == 1:
            await asyncio.sleep(0.1)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d" % number)
        await reader.read()

    async with listening(serve) as url:
        pool = Pool(url, False, 1)
        with pytest.raises(Disconnected, match=r"no answer within 0\.05 s"):
            await pool.exchange(b"GET /1 HTTP/1.1\r\n\r\n", 0.05)
        assert (await pool.exchange(b"GET /2 HTTP/1.1\r\n\r\n", 5)).body == b"2"
        pool.close()


@pytest.mark.parametrize("more", [OK, OK[:-1], b"?"], ids=["whole", "a-part", "junk"])
async def test_what_nobody_asked_for_is_not_taken_for_an_answer(more: bytes) -> None:
    async def serve(reader: Reader, writer: Writer) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 1\r\n\r\n1" + more)
        await reader.read()

    async with listening(serve) as url:
        pool = Pool(url, False, 1)
        for _ in range(2):
            assert await pool.exchange(REQUEST, 5) == Answer(404, b"1", None)
        pool.close()


async def test_what_comes_before_it_was_asked_for_ends_the_connection() -> None:
    connections = 0

    async def serve(reader: Reader, writer: Writer) -> None:
        nonlocal connections
        connections += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        if connections == 1:
            await asyncio.sleep(0.01)
            writer.write(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
        await reader.read()

    async with listening(serve) as url:
        pool = Pool(url, False, 1)
        assert (await pool.exchange(REQUEST, 5)).body == b"ok"
        async with asyncio.timeout(10):
            while pool._idle[0].usable:  # noqa: ASYNC110 (nothing tells of it)
                await asyncio.sleep(0.01)
        assert (await pool.exchange(REQUEST, 5)).body == b"ok"
        assert connections == 2
        pool.close()


async def test_a_cancelled_request_closes_its_connection() -> None:
    async with pool_of(b"", OK) as (pool, server):
        task = asyncio.create_task(pool.exchange(REQUEST, 5))
        await server.asked.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled()
        assert (await pool.exchange(REQUEST, 5)).body == b"ok"
        assert server.connections == 2


async def test_never_more_connections_than_allowed() -> None:
    open_now = most = 0

    async def serve(reader: Reader, writer: Writer) -> None:
        nonlocal open_now, most
        while True:
            await reader.readuntil(b"\r\n\r\n")
            open_now += 1
            most = max(most, open_now)
            await asyncio.sleep(0.005)
            open_now -= 1
            writer.write(OK)

    async with listening(serve) as url:
        pool = Pool(url, False, 3)
        answers = await asyncio.gather(*(pool.exchange(REQUEST, 5) for _ in range(20)))
        assert {answer.body for answer in answers} == {b"ok"}
        assert most == 3
        pool.close()


async def test_nobody_there_is_an_os_error() -> None:
    async with listening(Server([]).serve) as url:
        pass
    with pytest.raises(OSError, match=r"refused|Connect"):
        await Pool(url, False, 1).exchange(REQUEST, 5)


async def test_a_stream_brings_what_comes_when_it_comes() -> None:
    go_on = asyncio.Event()

    async def serve(reader: Reader, writer: Writer) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(CHUNKED + b"3\r\none\r\n")
        await go_on.wait()
        writer.write(b"3\r\ntwo\r\n0\r\n\r\n")

    async with listening(serve) as url:
        connection = await Pool(url, False, 1).fresh()
        assert await connection.open(REQUEST) == 200
        pieces = connection.pieces(5, 5)
        assert await anext(pieces) == b"one"
        go_on.set()
        assert [piece async for piece in pieces] == [b"two"]


async def test_nothing_is_kept_of_a_stream_that_was_closed() -> None:
    async with pool_of(CHUNKED + b"3\r\none\r\n") as (pool, _):
        connection = await pool.fresh()
        await connection.open(REQUEST)
        pieces = connection.pieces(3600, 3600)
        assert await anext(pieces) == b"one"
        left = weakref.ref(connection)
        connection.close()
        await pieces.aclose()  # type: ignore[attr-defined]
        del connection, pieces
        await asyncio.sleep(0.05)
        gc.collect()
        assert left() is None


async def test_a_stream_that_breaks_off_gives_what_it_had_and_says_so() -> None:
    async with pool_of(CHUNKED + b"3\r\none\r\n", None) as (pool, _):
        connection = await pool.fresh()
        await connection.open(REQUEST)
        pieces = connection.pieces(0.05, 5)
        assert await anext(pieces) == b"one"
        with pytest.raises(Disconnected, match="silent"):
            await anext(pieces)


async def test_a_stream_ends_after_its_time_however_much_comes() -> None:
    async def serve(reader: Reader, writer: Writer) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(CHUNKED)
        while not writer.is_closing():
            writer.write(b"1\r\n.\r\n")
            await asyncio.sleep(0.005)

    async with listening(serve) as url:
        connection = await Pool(url, False, 1).fresh()
        await connection.open(REQUEST)
        with pytest.raises(Disconnected):
            await read(connection, silence=5, total=0.1)


async def test_a_stream_that_is_not_read_holds_its_server_back() -> None:
    sent = 0

    async def serve(reader: Reader, writer: Writer) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(CHUNKED)
        piece = b"10000\r\n" + b"x" * 65536 + b"\r\n"
        for _ in range(1000):
            writer.write(piece)
            await writer.drain()
            sent += 65536
        writer.write(b"0\r\n\r\n")

    async with listening(serve) as url:
        connection = await Pool(url, False, 1).fresh()
        await connection.open(REQUEST)
        before = -1
        while sent != before:
            before = sent
            await asyncio.sleep(0.05)
        assert UNREAD_LIMIT <= sent < 32 * UNREAD_LIMIT  # the rest is what the two kernels hold
        assert len(await read(connection)) == 1000 * 65536


async def test_who_gives_up_waiting_lets_the_next_have_its_turn() -> None:
    async with pool_of(OK, limit=1) as (pool, _):
        one = await pool._take()
        second, third = (asyncio.create_task(pool.exchange(REQUEST, 5)) for _ in range(2))
        await asyncio.sleep(0)  # both wait now
        pool._give(one)
        second.cancel()  # when its turn has come
        assert (await asyncio.wait_for(third, 2)).body == b"ok"
        assert second.cancelled()


async def test_who_waits_is_not_overtaken_by_one_who_asks_again_and_again() -> None:
    async with pool_of(*[OK] * 1000, limit=1) as (pool, server):

        async def busy() -> None:
            while True:
                await pool.exchange(REQUEST, 5)

        task = asyncio.create_task(busy())
        await server.asked.wait()
        before = len(server.answers)
        await pool.exchange(REQUEST, 5)
        assert before - len(server.answers) <= 3
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_connections_that_cannot_be_made_do_not_use_the_pool_up() -> None:
    async with listening(Server([OK]).serve) as url:
        pool = Pool(url, False, 1)
        deaf = socket.socket()  # bound, and nobody listens
        deaf.bind(("127.0.0.1", 0))
        good, pool._port = pool._port, deaf.getsockname()[1]
        for _ in range(3):
            with pytest.raises(OSError, match=r".+"):
                await pool.exchange(REQUEST, 5)
        pool._port = good
        deaf.close()
        assert (await pool.exchange(REQUEST, 5)).body == b"ok"
        pool.close()


async def test_who_waits_too_long_for_a_connection_sends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("task_pipeline.kube.pool.CONNECT_SECONDS", 0.05)
    async with pool_of(OK, limit=1) as (pool, server):
        one = await pool._take()
        with pytest.raises(TimeoutError):
            await pool.exchange(REQUEST, 5)
        pool._give(one)
        assert not server.asked.is_set()
        assert (await pool.exchange(REQUEST, 5)).body == b"ok"
