"""Which addresses a job may reach: the classes of addresses, and what entries of the allow-list open."""

import ipaddress
from collections.abc import Sequence

import pytest

from task_pipeline.core.urls import parse_entry, parse_url
from task_pipeline.runner.targets import AllowList, Reach, Refused, reach_of

REACHES = [
    ("93.184.216.34", Reach.GLOBAL),
    ("1.1.1.1", Reach.GLOBAL),
    ("172.15.255.255", Reach.GLOBAL),
    ("172.32.0.0", Reach.GLOBAL),
    ("100.63.255.255", Reach.GLOBAL),
    ("100.128.0.0", Reach.GLOBAL),
    ("223.255.255.255", Reach.GLOBAL),
    ("2606:2800:220:1::1", Reach.GLOBAL),
    ("64:ff9b::1.1.1.1", Reach.GLOBAL),
    ("10.0.0.1", Reach.PRIVATE),
    ("172.16.0.1", Reach.PRIVATE),
    ("192.168.0.1", Reach.PRIVATE),
    ("100.64.0.1", Reach.PRIVATE),
    ("fd12:3456::1", Reach.PRIVATE),
    ("64:ff9b::10.0.0.1", Reach.PRIVATE),
    ("::ffff:10.0.0.1", Reach.PRIVATE),
    ("127.0.0.1", Reach.LOOPBACK),
    ("127.255.0.9", Reach.LOOPBACK),
    ("::1", Reach.LOOPBACK),
    ("::ffff:127.0.0.1", Reach.LOOPBACK),
    ("64:ff9b::127.0.0.1", Reach.LOOPBACK),
    ("169.254.1.1", Reach.LINK_LOCAL),
    ("fe80::1", Reach.LINK_LOCAL),
    ("169.254.169.254", Reach.METADATA),
    ("::ffff:169.254.169.254", Reach.METADATA),
    ("100.100.100.200", Reach.METADATA),
    ("168.63.129.16", Reach.METADATA),
    ("fd00:ec2::254", Reach.METADATA),
    ("0.0.0.0", Reach.RESERVED),
    ("0.1.2.3", Reach.RESERVED),
    ("192.0.2.1", Reach.RESERVED),
    ("198.18.0.1", Reach.RESERVED),
    ("203.0.113.5", Reach.RESERVED),
    ("224.0.0.1", Reach.RESERVED),
    ("240.0.0.1", Reach.RESERVED),
    ("255.255.255.255", Reach.RESERVED),
    ("::", Reach.RESERVED),
    ("::127.0.0.1", Reach.RESERVED),
    ("2001:0:7f00::1", Reach.RESERVED),
    ("2002:7f00:1::", Reach.RESERVED),
    ("2001:db8::1", Reach.RESERVED),
    ("64:ff9b:1::1", Reach.RESERVED),
    ("fec0::1", Reach.RESERVED),
    ("ff02::1", Reach.RESERVED),
]


@pytest.mark.parametrize(("text", "reach"), REACHES, ids=[text for text, _ in REACHES])
def test_where_an_address_leads(text: str, reach: Reach) -> None:
    assert reach_of(ipaddress.ip_address(text)) is reach


def allowed(url: str, entries: Sequence[str], *addresses: str) -> str | None:
    """Why `url` must not be requested at `addresses`; None if it may."""
    listed, target = AllowList([parse_entry(entry) for entry in entries]), parse_url(url)
    try:
        listed.check_target(target)
        for address in addresses:
            listed.check_address(target, ipaddress.ip_address(address))
    except Refused as refused:
        return str(refused)
    return None


DEFAULT = ["https://*"]


@pytest.mark.parametrize(
    ("url", "entries", "addresses"),
    [
        ("https://example.com/", DEFAULT, ["93.184.216.34", "2606:2800:220:1::1"]),
        ("https://93.184.216.34/", DEFAULT, []),
        ("http://payments.shop.svc:8080/x", ["http://payments.shop.svc:8080"], ["10.96.0.7"]),
        ("http://10.96.0.7/x", ["http://10.96.0.7"], []),
        ("http://127.0.0.1:81/x", ["http://127.0.0.1:81"], []),
        ("http://localhost:81/x", ["http://localhost:81"], ["127.0.0.1", "::1"]),
        ("http://169.254.169.254/x", ["http://169.254.169.254"], []),
    ],
)
def test_allowed(url: str, entries: list[str], addresses: list[str]) -> None:
    assert allowed(url, entries, *addresses) is None


@pytest.mark.parametrize(
    ("url", "entries", "addresses", "words"),
    [
        ("https://example.com/", [], ["93.184.216.34"], 'can add "https://example.com" to httpAllow'),
        ("http://example.com/", DEFAULT, ["93.184.216.34"], "not in the operator's list"),
        ("https://example.com:8443/", DEFAULT, ["93.184.216.34"], "not in the operator's list"),
        ("https://127.0.0.1/", DEFAULT, [], "is loopback"),
        ("https://[::1]/", DEFAULT, [], "naming https://[::1] in httpAllow"),
        ("https://169.254.169.254/", DEFAULT, [], "metadata"),
        ("https://kubernetes.default.svc/", DEFAULT, ["10.96.0.1"], "naming https://kubernetes.default.svc"),
        ("https://localhost/", DEFAULT, ["127.0.0.1"], "at 127.0.0.1 loopback"),
        ("https://example.com/", DEFAULT, ["93.184.216.34", "10.0.0.1"], "at 10.0.0.1 private"),
        ("https://a.example.com/", ["https://*.example.com"], ["10.0.0.1"], "private"),
        ("http://a.svc/", ["http://a.svc"], ["127.0.0.1"], "that address itself"),
        ("http://a.svc/", ["http://a.svc"], ["169.254.169.254"], "that address itself"),
        ("http://a.svc/", ["http://a.svc"], ["fd00:ec2::254"], "metadata"),
        ("http://a.svc/", ["http://a.svc"], ["0.0.0.0"], "reserved"),
        ("http://10.0.0.1/", ["http://*"], [], "private"),
    ],
)
def test_refused(url: str, entries: list[str], addresses: list[str], words: str) -> None:
    assert words in (allowed(url, entries, *addresses) or "")
