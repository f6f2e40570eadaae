"""Servers that want to hang, drown or confuse the runner: every request ends in bounded time and memory."""

import asyncio
import gzip
import ipaddress
import time
import tracemalloc
import zlib
from collections.abc import Iterator

import pytest

from task_pipeline.core.urls import parse_entry, parse_url
from task_pipeline.runner.send import Answer, Broken, Limits, Request, Sender
from task_pipeline.runner.targets import AllowList
from tests.runner.servers import Behave, answering, endless, half_closed, serve, silent

HEAD = b"HTTP/1.1 200 OK\r\n"
LIMITS = Limits(connect=1, body=1)
MEBIBYTE = 2**20


@pytest.fixture(autouse=True)
def bounded_memory() -> Iterator[None]:
    """No test of this file may hold more than 8 MiB at once."""
    tracemalloc.start()
    yield
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * MEBIBYTE


async def ask(behave: Behave, *, seconds: float = 2.0, method: str = "GET", body: bytes | None = None) -> Answer:
    async with serve(behave) as server:
        sender = Sender(AllowList([parse_entry(server.origin)]), LIMITS)
        started = time.monotonic()
        try:
            return await sender.send(Request(parse_url(f"{server.origin}/x"), method, {}, body, seconds))
        finally:
            assert time.monotonic() - started < seconds + 1.5
            assert server.connections == 1


@pytest.mark.parametrize(
    ("behave", "words"),
    [
        (silent, "no answer within 2 s"),
        (half_closed, "closed the connection without an answer"),
        (answering(b""), "closed the connection without an answer"),
        (answering(HEAD[:7]), ""),
        (answering(b"SSH-2.0-OpenSSH_9.9\r\n\r\n"), "no valid HTTP"),
        (answering(b"\x00" * 5000), "no valid HTTP"),
        (answering(HEAD + b"X: " + b"y" * 5000 + b"\r\n\r\n"), "too long headers"),
        (answering(HEAD + b"X: y\r\n" * 500 + b"\r\n"), "too many"),
        (answering(HEAD + b"X" * 100_000), "too long headers"),
        (endless(HEAD, b"X: y\r\n"), "too many"),
        (endless(HEAD + b"X: ", b"y" * 1000), "too long headers"),
        (endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.01), "no answer within 2 s"),
        (endless(HEAD + b"X: ", b"y", 0.05), "no answer within 2 s"),
        (endless(HEAD + b"\r\n", b"z", 0.05), "more than 1 s for the body"),
        (endless(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nz\r\n", 0.05), "more than 1 s for the body"),
        (answering(HEAD + b"Content-Length: 100\r\n\r\nshort"), "broke off"),
        (answering(HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n"), "broke off"),
        (answering(HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nshort\r\n"), "no valid HTTP"),
        (answering(HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nshort"), "no valid HTTP"),
    ],
)
async def test_an_answer_that_is_none(behave: Behave, words: str) -> None:
    with pytest.raises(Broken) as caught:
        await ask(behave)
    assert words in str(caught.value)
    assert str(caught.value).isprintable()


async def test_trailers_without_end() -> None:
    start = HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n"
    with pytest.raises(Broken):
        await ask(endless(start, b"X: y\r\n"))


async def test_an_endless_body_is_cut() -> None:
    answer = await ask(endless(HEAD + b"\r\n", b"z" * 10_000))
    assert (answer.status, answer.body, answer.whole) == (200, b"z" * LIMITS.kept, False)


async def test_endless_small_chunks_are_cut() -> None:
    piece = b"400\r\n" + b"z" * 1024 + b"\r\n"
    answer = await ask(endless(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", piece))
    assert (len(answer.body), answer.whole) == (LIMITS.kept, False)


@pytest.mark.parametrize("size", [0, 1, LIMITS.kept, LIMITS.kept + 1, 200_000])
@pytest.mark.parametrize("encoding", ["identity", "gzip", "deflate"])
async def test_a_body_is_whole_or_says_that_it_is_not(size: int, encoding: str) -> None:
    text = bytes(97 + i % 26 for i in range(size))
    packed = {"identity": text, "gzip": gzip.compress(text), "deflate": zlib.compress(text)}[encoding]
    head = HEAD + f"Content-Encoding: {encoding}\r\nContent-Length: {len(packed)}\r\n\r\n".encode()
    answer = await ask(answering(head + packed))
    assert (answer.body, answer.whole) == (text[: LIMITS.kept], size <= LIMITS.kept)


async def test_a_compression_bomb_is_not_unpacked() -> None:
    packer = zlib.compressobj(9, wbits=zlib.MAX_WBITS | 16)
    bomb = b"".join(packer.compress(bytes(MEBIBYTE)) for _ in range(256)) + packer.flush()
    head = HEAD + f"Content-Encoding: gzip\r\nContent-Length: {len(bomb)}\r\n\r\n".encode()
    answer = await ask(answering(head + bomb))
    assert (answer.body, answer.whole) == (bytes(LIMITS.kept), False)


@pytest.mark.parametrize(
    ("encoding", "body", "unreadable"),
    [
        (b"br", b"\x0b\x01\x80hi\x03", "br"),
        (b"gzip, gzip", b"x", "gzip, gzip"),
        (b"gzip", b"this is no gzip", "damaged compression"),
    ],
)
async def test_an_encoding_that_is_not_read(encoding: bytes, body: bytes, unreadable: str) -> None:
    answer = await ask(answering(HEAD + b"Content-Encoding: " + encoding + b"\r\n\r\n" + body))
    assert (answer.status, answer.body, answer.whole, answer.unreadable) == (200, b"", False, unreadable)


async def test_a_cut_off_compression_is_not_whole() -> None:
    answer = await ask(answering(HEAD + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b"hello" * 100)[:-12]))
    assert not answer.whole


async def test_a_server_that_does_not_read_the_body() -> None:
    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(60)

    async with serve(deaf) as server:
        sender = Sender(AllowList([parse_entry(server.origin)]), LIMITS)
        with pytest.raises(Broken, match="no answer within 1 s"):
            await sender.send(Request(parse_url(server.origin), "POST", {}, b"x" * 250_000, 1))


async def test_nobody_listens() -> None:
    async with serve(silent) as server:
        origin = server.origin
    sender = Sender(AllowList([parse_entry(origin)]), LIMITS)
    with pytest.raises(Broken, match="Cannot connect"):
        await sender.send(Request(parse_url(origin), "GET", {}, None, 2))


async def test_a_name_server_that_does_not_answer() -> None:
    async def lookup(host: str, port: int) -> list[ipaddress.IPv4Address]:
        await asyncio.sleep(60)
        return []

    sender = Sender(AllowList([parse_entry("https://*")]), LIMITS, lookup)
    with pytest.raises(Broken, match="no answer within"):
        await sender.send(Request(parse_url("https://slow.example.com"), "GET", {}, None, 0.2))


async def test_one_request_is_sent_once_though_its_answer_is_lost() -> None:
    """The server has done the work and the connection breaks: nothing is sent a second time in this attempt."""
    async with serve(answering(b"")) as server:
        sender = Sender(AllowList([parse_entry(server.origin)]), LIMITS)
        with pytest.raises(Broken):
            await sender.send(Request(parse_url(server.origin), "GET", {}, None, 2))
        assert server.connections == 1


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"])
async def test_every_method(method: str) -> None:
    body = None if method == "HEAD" else b'{"a": 1}'
    async with serve(answering(HEAD + b"Content-Length: 2\r\n\r\n" + (b"" if method == "HEAD" else b"ok"))) as server:
        sender = Sender(AllowList([parse_entry(server.origin)]), LIMITS)
        answer = await sender.send(Request(parse_url(f"{server.origin}/a%2Fb?c=%20"), method, {}, body, 2))
    assert (answer.status, answer.whole) == (200, True)
    assert server.received[0].startswith(f"{method} /a%2Fb?c=%20 HTTP/1.1\r\n".encode())
    assert server.received[0].endswith(body or b"\r\n\r\n")
