"""From a target to addresses that may be connected to, and a connector that knows no others.

Rule: a name is looked up once, and every address of the answer must be allowed: a name with one good and one
forbidden address is refused. The connection then goes to these addresses only. A second look-up, for which a hostile
name server could answer differently (rebinding), never happens, because the connector cannot look up at all.
"""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from task_pipeline.core.urls import Address, Target
from task_pipeline.runner.targets import AllowList

MAX_ADDRESSES = 64
DISCONNECTED = "the server closed the connection without an answer"

Lookup = Callable[[str, int], Awaitable[Sequence[Address]]]


class Unresolvable(Exception):
    """A host without an address; the text names it."""


async def system_lookup(host: str, port: int) -> Sequence[Address]:
    """The addresses of `host` as the system's resolver gives them; raises OSError when there are none."""
    # A slow name server holds a thread; the loop's own look-ups would share four of them with all jobs.
    found = await asyncio.to_thread(socket.getaddrinfo, host, port, 0, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    return [ipaddress.ip_address(str(info[4][0])) for info in found]


async def checked_addresses(target: Target, allowed: AllowList, lookup: Lookup = system_lookup) -> Sequence[Address]:
    """Where `target` may be reached. Raises Refused if it may not be, Unresolvable if it has no address."""
    allowed.check_target(target)
    if target.address is not None:
        return [target.address]
    try:
        addresses = list(dict.fromkeys(await lookup(target.host, target.port)))
    except (OSError, UnicodeError, ValueError) as error:
        raise Unresolvable(f"the host {target.host} cannot be resolved: {error}") from error
    if not addresses:
        raise Unresolvable(f"the host {target.host} has no address")
    for address in addresses:
        allowed.check_address(target, address)
    return addresses[:MAX_ADDRESSES]


class _Pinned(AbstractResolver):
    """Knows one host and its checked addresses, and asks nobody."""

    def __init__(self, host: str, addresses: Sequence[Address]) -> None:
        self._host, self._addresses = host, addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        if host != self._host:
            raise OSError(f"{host} was not checked")
        return [
            ResolveResult(
                hostname=host,
                host=str(address),
                port=port,
                family=socket.AF_INET if address.version == 4 else socket.AF_INET6,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address in self._addresses
        ]

    async def close(self) -> None:
        """Nothing is open."""


class _Once(aiohttp.TCPConnector):
    """Connects once. The client would send GET, PUT and DELETE again by itself when an answer is lost."""

    _used = False

    async def connect(self, *args: Any, **options: Any) -> Any:
        if self._used:
            raise aiohttp.ServerDisconnectedError(DISCONNECTED)
        self._used = True
        return await super().connect(*args, **options)


def pinned_connector(
    target: Target, addresses: Sequence[Address], tls: ssl.SSLContext | bool = True
) -> aiohttp.TCPConnector:
    """A connector for one request to `target` at `addresses`; names (SNI, Host, certificate) stay those of `target`."""
    return _Once(resolver=_Pinned(target.host, addresses), use_dns_cache=False, ssl=tls, limit=1, force_close=True)
