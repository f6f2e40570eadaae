"""Servers on loopback that misbehave in one way each, and a name server that changes its mind."""

import asyncio
import contextlib
import ipaddress
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

from task_pipeline.core.urls import Address

Behave = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Server:
    """One listening port: counts connections and keeps what was sent to it."""

    def __init__(self) -> None:
        self.port = 0
        self.connections = 0
        self.received: list[bytes] = []

    @property
    def origin(self) -> str:
        """Its URL without a path."""
        return f"http://127.0.0.1:{self.port}"


async def read_request(reader: asyncio.StreamReader) -> bytes:
    """Head and body of one request, for bodies with a Content-Length."""
    head = await reader.readuntil(b"\r\n\r\n")
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return head + await reader.readexactly(int(value))
    return head


def answering(answer: bytes) -> Behave:
    """Read the request, send `answer`, close."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()

    return behave


def endless(head: bytes, piece: bytes, pause: float = 0.0) -> Behave:
    """Send `head`, then `piece` for ever."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        while True:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause)

    return behave


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Never answer; go when the other side goes."""
    await reader.read()


async def half_closed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send nothing more, yet stay."""
    writer.write_eof()
    await reader.read()


@contextlib.asynccontextmanager
async def serve(behave: Behave, host: str = "127.0.0.1") -> AsyncIterator[Server]:
    """Run a server until the block ends; its open connections end with it."""
    server, tasks = Server(), set[asyncio.Task[None]]()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.connections += 1
        try:
            server.received.append(await read_request(reader))
            await behave(reader, writer)
            writer.close()
            await writer.wait_closed()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.transport.abort()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(talk(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    listener = await asyncio.start_server(accept, host, 0)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)  # the loop closes aborted sockets in its next turn


class NameServer(asyncio.DatagramProtocol):
    """DNS over UDP, A records only: question n gets answer n of `answers`, the last one for ever after."""

    def __init__(self, answers: Sequence[Sequence[str]]) -> None:
        self.answers = answers
        self.questions = 0
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where to answer."""
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Answer one question."""
        addresses = self.answers[min(self.questions, len(self.answers) - 1)]
        self.questions += 1
        head = data[:2] + struct.pack(">HHHHH", 0x8180, 1, len(addresses), 0, 0)
        about = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x00\x00\x04"
        records = [about + ipaddress.ip_address(address).packed for address in addresses]
        self.transport.sendto(head + data[12:] + b"".join(records), addr)


class Names:
    """A look-up that asks one name server, as the system's resolver would."""

    def __init__(self, port: int, server: NameServer) -> None:
        self.port, self.server = port, server

    async def __call__(self, host: str, port: int) -> Sequence[Address]:
        loop = asyncio.get_running_loop()
        labels = b"".join(bytes([len(label)]) + label.encode() for label in host.split("."))
        question = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00" + labels + b"\x00\x00\x01\x00\x01"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
            line.setblocking(False)
            line.connect(("127.0.0.1", self.port))
            await loop.sock_sendall(line, question)
            data = await asyncio.wait_for(loop.sock_recv(line, 4096), 5)
        count, start = struct.unpack(">H", data[6:8])[0], 12 + len(labels) + 5
        return [ipaddress.ip_address(data[start + 16 * i + 12 : start + 16 * i + 16]) for i in range(count)]


@contextlib.asynccontextmanager
async def name_server(*answers: Sequence[str]) -> AsyncIterator[Names]:
    """A name server on loopback with these answers, one after the other."""
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(lambda: NameServer(answers), local_addr=("127.0.0.1", 0))
    try:
        yield Names(transport.get_extra_info("sockname")[1], server)
    finally:
        transport.close()
        await asyncio.sleep(0)  # the loop closes the socket in its next turn
