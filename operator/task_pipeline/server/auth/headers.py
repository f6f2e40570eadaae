"""What a request says of its sender: the Authorization header and the address.

Rule: pure text work. A header that cannot be read is no credential, and never part of an error.
"""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import unquote_plus

MOST_CHARS = 9000  # a Kubernetes token and its scheme
MOST_SECRET_CHARS = 512

Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class Basic:
    """A client id and a secret."""

    client: str
    secret: str

    def __repr__(self) -> str:
        return "Basic(...)"


@dataclass(frozen=True, slots=True)
class Bearer:
    """A token."""

    token: str

    def __repr__(self) -> str:
        return "Bearer(...)"


class Malformed(Exception):
    """An Authorization header that cannot be read; says nothing of it."""


def credential(values: Sequence[str]) -> Basic | Bearer | None:
    """The credential in the Authorization headers of a request, None when there are none. Raises Malformed."""
    if not values:
        return None
    if len(values) > 1 or len(values[0]) > MOST_CHARS:
        raise Malformed
    scheme, _, rest = values[0].strip().partition(" ")
    rest = rest.strip()
    if scheme.lower() == "basic":
        return basic(rest)
    if scheme.lower() == "bearer" and rest and rest.isascii():
        return Bearer(rest)
    raise Malformed


def basic(text: str) -> Basic:
    """Client id and secret as RFC 6749 2.3.1 has them: form-encoded, joined by a colon, in base64.

    Raises Malformed.
    """
    try:
        plain = base64.b64decode(text, validate=True).decode()
    except (binascii.Error, ValueError):
        raise Malformed from None
    client, colon, secret = plain.partition(":")
    if not colon or len(client) > MOST_SECRET_CHARS or len(secret) > MOST_SECRET_CHARS:
        raise Malformed
    return Basic(unquote_plus(client), unquote_plus(secret))


def address(peer: str | None, forwarded: Sequence[str], proxies: Sequence[Network]) -> str:
    """The address that limits are counted for: an IPv4 address, or the /64 of an IPv6 one.

    `forwarded` are the X-Forwarded-For headers: believed only as far as they were written by `proxies`.
    """
    found = peer or "unknown"
    hops = [hop.strip() for line in forwarded for hop in line.split(",")]
    while hops and _is_in(found, proxies):
        found = hops.pop()
    return _group(found)


def networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """The networks that `texts` name; raises ValueError for one that is none."""
    return tuple(ip_network(text, strict=False) for text in texts)


def _is_in(text: str, proxies: Sequence[Network]) -> bool:
    try:
        where = ip_address(text)
    except ValueError:
        return False
    return any(where in network for network in proxies)


def _group(text: str) -> str:
    try:
        where = ip_address(text)
    except ValueError:
        return text[:64]
    if isinstance(where, IPv6Address):
        if where.ipv4_mapped is not None:
            return str(where.ipv4_mapped)
        return str(IPv6Network((int(where) >> 64 << 64, 64)))
    return str(where)
