"""Connections of the event loop, recorded, and led to loopback servers instead of the internet."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import pytest


class Internet:
    """Stands between the runner and the network: `sites` says which loopback port stands for an address.

    A connection to any other address that is not loopback fails, so that no test ever leaves the machine.
    """

    def __init__(self, connect: Callable[..., Any]) -> None:
        self.sites: dict[str, int] = {}
        self.dialled: list[str] = []
        self._connect = connect

    async def dial(self, sock: socket.socket, address: tuple[Any, ...]) -> None:
        """In place of the loop's `sock_connect`."""
        self.dialled.append(address[0])
        site = self.sites.get(address[0])
        if site is None and not address[0].startswith("127."):
            raise OSError(f"{address[0]} is not on this internet")
        await self._connect(sock, address if site is None else ("127.0.0.1", site))


@pytest.fixture
async def internet(monkeypatch: pytest.MonkeyPatch) -> Internet:
    """All connections of this test's loop."""
    loop = asyncio.get_running_loop()
    made = Internet(loop.sock_connect)
    monkeypatch.setattr(loop, "sock_connect", made.dial)
    return made
