"""May this URL be requested, and may this address be connected to? Pure: no name is resolved here.

Rule: default deny. The scheme, host and port must stand in the allow-list (setting httpAllow), and every address of
the host must be global. An entry that names the host itself, without *, also opens private addresses; loopback,
link-local and the metadata services of clouds are open only to an entry that is that very address (or localhost).
"""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from task_pipeline.core.urls import Address, Entry, Target

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Refused(Exception):
    """A request that must not be made; the text says which rule forbids it and who can change that."""


class Reach(StrEnum):
    """Where an address leads."""

    GLOBAL = "global"
    PRIVATE = "private"
    LOOPBACK = "loopback"
    LINK_LOCAL = "link-local"
    METADATA = "a cloud's metadata service"
    RESERVED = "reserved"


def _networks(*texts: str) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(text) for text in texts)


# Own tables instead of `is_global`, whose answers differ between the versions of Python.
_METADATA = frozenset(
    ipaddress.ip_address(text)
    for text in ("169.254.169.254", "100.100.100.200", "168.63.129.16", "fd00:ec2::254", "fd20:ce::254")
)
_REACH: tuple[tuple[Reach, tuple[Network, ...]], ...] = (
    (Reach.LOOPBACK, _networks("127.0.0.0/8", "::1/128")),
    (Reach.LINK_LOCAL, _networks("169.254.0.0/16", "fe80::/10")),
    (Reach.PRIVATE, _networks("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")),
    (
        Reach.RESERVED,
        _networks(
            "0.0.0.0/8",
            "192.0.0.0/24",
            "192.0.2.0/24",
            "192.88.99.0/24",
            "198.18.0.0/15",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "224.0.0.0/3",
            "2001::/23",
            "2001:db8::/32",
            "2002::/16",
            "3fff::/20",
        ),
    ),
)
_GLOBAL_V6 = ipaddress.ip_network("2000::/3")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


@dataclass(frozen=True, slots=True)
class AllowList:
    """The entries of the setting httpAllow."""

    entries: Sequence[Entry]

    def check_target(self, target: Target) -> None:
        """Raise Refused unless an entry covers `target`, and its address if it is one."""
        if not any(entry.covers(target) for entry in self.entries):
            raise Refused(
                f"{target.origin} is not in the operator's list of allowed targets; "
                f'whoever runs the operator can add "{target.origin}" to httpAllow'
            )
        if target.address is not None:
            self.check_address(target, target.address)

    def check_address(self, target: Target, address: Address) -> None:
        """Raise Refused unless `target`, which the list covers, may be reached at `address`."""
        reach = reach_of(address)
        if reach is Reach.GLOBAL:
            return
        named = any(not entry.below and entry.covers(target) for entry in self.entries)
        if named and (reach is Reach.PRIVATE or target.address is not None):
            return
        if named and reach is Reach.LOOPBACK and target.host == "localhost":
            return
        means = target.origin if target.address is not None or reach is Reach.PRIVATE else "that address itself"
        where = "" if target.address is not None else f" at {address}"
        raise Refused(
            f"{target.origin} is{where} {reach.value}, not on the internet; "
            f"whoever runs the operator can allow it by naming {means} in httpAllow"
        )


def reach_of(address: Address) -> Reach:
    """Where `address` leads; an IPv4 address inside an IPv6 one is judged as itself."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = _embedded(address)
        if inner is not None:
            return reach_of(inner)
    if address in _METADATA:
        return Reach.METADATA
    for reach, networks in _REACH:
        if any(address in network for network in networks):
            return reach
    if address.version == 6 and address not in _GLOBAL_V6:
        return Reach.RESERVED
    return Reach.GLOBAL


def _embedded(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that a mapped or translated (NAT64) address stands for."""
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return None
