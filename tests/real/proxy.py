"""A TCP proxy on loopback in front of the API server, which a test can close and open like a switch."""

import asyncio
import contextlib
import threading
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit


class Proxy:
    """Passes bytes through while it is open. Closed, it refuses connections and cuts those that exist."""

    def __init__(self, server: str) -> None:
        address = urlsplit(server)
        self._target = (address.hostname or "127.0.0.1", address.port or 443)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self.port = 0

    def __enter__(self) -> Self:
        self._thread.start()
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def open(self) -> None:
        """Accept connections, on the same port as before."""
        asyncio.run_coroutine_threadsafe(self._open(), self._loop).result(5)

    def close(self) -> None:
        """Refuse connections and cut the existing ones."""
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(5)

    async def _open(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        if self._server is None:
            return
        self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        self._server = None
        await asyncio.sleep(0.05)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            up_reader, up_writer = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, up_writer}
        with contextlib.suppress(OSError, asyncio.CancelledError):
            await asyncio.gather(_pump(reader, up_writer), _pump(up_reader, writer))
        self._writers -= {writer, up_writer}
        for each in (writer, up_writer):
            each.transport.abort()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(2**16):
        writer.write(data)
        await writer.drain()
    writer.transport.abort()


def through(kubeconfig: Path, port: int, path: Path) -> Path:
    """A copy of `kubeconfig` at `path` whose server is a proxy on loopback."""
    lines = kubeconfig.read_text().splitlines()
    kept = [
        f"{line[: line.index('server:')]}server: https://127.0.0.1:{port}" if "server:" in line else line
        for line in lines
    ]
    path.write_text("\n".join(kept) + "\n")
    return path
