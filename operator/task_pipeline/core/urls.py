"""The URLs of HTTP jobs, and the entries that say which of them may be used: one strict reading of both.

Rule: whatever two programs could read differently is refused, not repaired: user names, backslashes, blanks,
percent signs in the host, numbers that are almost addresses (decimal, octal, hexadecimal, short), zone ids. A URL
that passes has one reading, the one in its `Target`, and that is what is resolved, compared and sent.
"""

import ipaddress
import re
from dataclasses import dataclass

MAX_URL = 4096
PORTS = {"http": 80, "https": 443}

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?#]*)(?P<path>[^?#]*)(?P<query>[?][^#]*)?")
_AUTHORITY = re.compile(r"(?P<host>\[[^\[\]]*\]|[^:\[\]]*)(:(?P<port>[^:]*))?")
_PORT = re.compile(r"[1-9][0-9]{0,4}", re.ASCII)
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?", re.ASCII)
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)
_UNSAFE = frozenset('"<>\\^`{|}')


class WrongURL(ValueError):
    """A URL or an entry that cannot be used; the text says why and how to write it, and repeats no secret."""


@dataclass(frozen=True, slots=True)
class Target:
    """A URL as it is understood: lower case `scheme` and `host`, the `port` always given.

    `host` is a DNS name without a final dot, or an address in its one canonical spelling, then also in `address`.
    `path` begins with a slash; `query` is empty or begins with a question mark.
    """

    scheme: str
    host: str
    port: int
    path: str
    query: str
    address: Address | None

    @property
    def origin(self) -> str:
        """Scheme, host and port, such as https://example.com or http://[2001:4860::1]:8080."""
        host = f"[{self.host}]" if isinstance(self.address, ipaddress.IPv6Address) else self.host
        port = "" if self.port == PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{host}{port}"

    @property
    def url(self) -> str:
        """The whole URL in its canonical spelling."""
        return self.origin + self.path + self.query

    @property
    def shown(self) -> str:
        """The URL for messages: without its query, in which people put keys."""
        return self.origin + self.path


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of an allow-list: a scheme, a port, and a host, all names below a host, or every host.

    `host` is a name or an address; with `below` it stands for the names below it (`*.example.com`), and an empty
    `host` then for every host (`*`).
    """

    scheme: str
    host: str
    port: int
    below: bool

    def covers(self, target: Target) -> bool:
        """Whether the scheme, the host and the port of `target` are those of this entry."""
        if (self.scheme, self.port) != (target.scheme, target.port):
            return False
        if not self.below:
            return self.host == target.host
        return not self.host or (target.address is None and target.host.endswith(f".{self.host}"))


def parse_url(text: str) -> Target:
    """The one reading of `text`; raises WrongURL."""
    _check_characters(text)
    match = _URL.fullmatch(text)
    if "#" in text:
        raise WrongURL("must not have a fragment (#...): it is never sent; as part of a value write %23")
    if match is None:
        raise WrongURL("must be a whole URL, such as https://example.com/work")
    scheme = _scheme(match["scheme"])
    host, port, address = _authority(match["authority"], scheme)
    return Target(scheme, host, port, match["path"] or "/", match["query"] or "", address)


def parse_entry(text: str) -> Entry:
    """One entry of an allow-list, such as https://*.example.com or http://payments.shop.svc:8080; raises WrongURL."""
    _check_characters(text)
    match = _URL.fullmatch(text)
    if match is None or match["path"] not in ("", "/") or match["query"] is not None:
        raise WrongURL("must be scheme://host or scheme://host:port, such as https://*.example.com")
    scheme = _scheme(match["scheme"])
    authority = match["authority"]
    if authority == "*" or authority.startswith("*:"):
        return Entry(scheme, "", _port(authority[2:] if ":" in authority else None, scheme), below=True)
    below = authority.startswith("*.")
    host, port, address = _authority(authority.removeprefix("*.") if below else authority, scheme)
    if below and address is not None:
        raise WrongURL("must not have *. before an address")
    return Entry(scheme, host, port, below)


def _check_characters(text: str) -> None:
    if not text:
        raise WrongURL("must not be empty")
    if len(text) > MAX_URL:
        raise WrongURL(f"has {len(text)} characters, the limit is {MAX_URL}: send what is long in the body")
    if not text.isascii():
        raise WrongURL("must be ASCII: percent-encode the path, and write an international host as xn--...")
    if any(not "!" <= char <= "~" for char in text):
        raise WrongURL("must not hold blanks or control characters: percent-encode them")
    unsafe = sorted(set(text) & _UNSAFE)
    if unsafe:
        raise WrongURL(f"must not hold {' '.join(unsafe)}: percent-encode it")


def _scheme(text: str) -> str:
    scheme = text.lower()
    if scheme not in PORTS:
        raise WrongURL("must begin with https:// or http://")
    return scheme


def _authority(text: str, scheme: str) -> tuple[str, int, Address | None]:
    """Host, port and address of `text`."""
    if "@" in text:
        raise WrongURL("must not hold a user name or password: put it into a header, by reference to a Secret")
    match = _AUTHORITY.fullmatch(text)
    if match is None:
        raise WrongURL("must have one host and at most one port; an IPv6 address stands in [ ]")
    port = _port(match["port"], scheme)
    if match["host"].startswith("["):
        address = _ipv6(match["host"][1:-1])
        return str(address), port, address
    host = match["host"].lower().removesuffix(".")
    labels = host.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        return host, port, _ipv4(host)
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise WrongURL("must have a host: a DNS name such as example.com, or an address")
    return host, port, None


def _port(text: str | None, scheme: str) -> int:
    if text is None:
        return PORTS[scheme]
    if not _PORT.fullmatch(text) or int(text) > 65_535:
        raise WrongURL("must have a port of 1 to 65535 after the colon, or no colon")
    return int(text)


def _ipv4(host: str) -> Address:
    try:
        return ipaddress.IPv4Address(host)
    except ValueError:
        raise WrongURL(
            "must have a DNS name as host, or an IPv4 address written as four decimal numbers without leading zeros"
        ) from None


def _ipv6(text: str) -> Address:
    if "%" in text:
        raise WrongURL("must not hold a zone id (%...): such an address means something else on every machine")
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError:
        raise WrongURL("must have a valid IPv6 address in its [ ]") from None
    if address.ipv4_mapped is not None:
        raise WrongURL("must not write an IPv4 address as an IPv6 one: write four decimal numbers")
    return address
