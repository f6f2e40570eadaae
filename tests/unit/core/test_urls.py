"""One reading of every URL: what is taken, in which spelling, and what is refused in which words."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from task_pipeline.core.urls import MAX_URL, Entry, WrongURL, parse_entry, parse_url

TAKEN = [
    ("https://example.com", "https://example.com/"),
    ("HTTPS://Example.COM/A%20b?q=%2F", "https://example.com/A%20b?q=%2F"),
    ("https://example.com:443/x", "https://example.com/x"),
    ("http://example.com:80", "http://example.com/"),
    ("http://example.com:8080/a/../b", "http://example.com:8080/a/../b"),
    ("https://example.com./", "https://example.com/"),
    ("https://xn--bcher-kva.example/", "https://xn--bcher-kva.example/"),
    ("https://my_service.shop.svc/", "https://my_service.shop.svc/"),
    ("https://example.com?a=b", "https://example.com/?a=b"),
    ("https://93.184.216.34/", "https://93.184.216.34/"),
    ("https://[2606:2800:0220:0001:0000::1]:8443/x", "https://[2606:2800:220:1::1]:8443/x"),
    ("https://example.com/@me:x", "https://example.com/@me:x"),
    ("https://1e100.net/", "https://1e100.net/"),
]

REFUSED = [
    ("", "must not be empty"),
    ("example.com", "whole URL"),
    ("//example.com/", "whole URL"),
    ("https:/example.com", "whole URL"),
    ("https:example.com", "whole URL"),
    ("file:///etc/passwd", "https:// or http://"),
    ("gopher://example.com/", "https:// or http://"),
    ("javascript://example.com/", "https:// or http://"),
    ("unix:///run/docker.sock", "https:// or http://"),
    ("https://", "must have a host"),
    ("https:///path", "must have a host"),
    ("https://.", "must have a host"),
    ("https://..example.com/", "must have a host"),
    ("https://example..com/", "must have a host"),
    ("https://example.com../", "must have a host"),
    ("https://-a.com/", "must have a host"),
    (f"https://{'a' * 64}.com/", "must have a host"),
    (f"https://{'a.' * 127}com/", "must have a host"),
    ("https://*.example.com/", "must have a host"),
    ("https://user@example.com/", "user name"),
    ("https://user:secret@example.com/", "user name"),
    ("https://example.com@127.0.0.1/", "user name"),
    ("https://example.com\\@127.0.0.1/", "\\"),
    ("https:\\\\example.com/", "\\"),
    ("https://example.com\t/", "control characters"),
    ("https://example.com/\r\nHost: x", "control characters"),
    ("https://exam\x00ple.com/", "control characters"),
    (" https://example.com/", "blanks"),
    ("https://example.com/a b", "blanks"),
    ("https://example.com/#f", "fragment"),
    ("https://example.com#@127.0.0.1/", "fragment"),
    ("https://example.com/{id}", "percent-encode"),
    ("https://exämple.com/", "xn--"),
    ("https://\uff11\uff12\uff17.0.0.1/", "ASCII"),
    ("https://127\u30020\u30020\u30021/", "ASCII"),
    ("https://%31%32%37.0.0.1/", "four decimal numbers"),
    ("https://%6cocalhost/", "must have a host"),
    ("https://2130706433/", "four decimal numbers"),
    ("https://0x7f000001/", "four decimal numbers"),
    ("https://0x7f.0.0.1/", "four decimal numbers"),
    ("https://0x7f.0.0.0x1/", "four decimal numbers"),
    ("https://017700000001/", "four decimal numbers"),
    ("https://0177.0.0.1/", "four decimal numbers"),
    ("https://127.1/", "four decimal numbers"),
    ("https://127.0.0.1.2/", "four decimal numbers"),
    ("https://127.0.0.256/", "four decimal numbers"),
    ("https://0/", "four decimal numbers"),
    ("https://[::ffff:127.0.0.1]/", "IPv4 address as an IPv6"),
    ("https://[::ffff:7f00:1]/", "IPv4 address as an IPv6"),
    ("https://[fe80::1%25eth0]/", "zone id"),
    ("https://[fe80::1%eth0]/", "zone id"),
    ("https://[]/", "valid IPv6"),
    ("https://[::1/", "at most one port"),
    ("https://::1/", "at most one port"),
    ("https://[127.0.0.1]/", "valid IPv6"),
    ("https://example.com:/", "port of 1 to 65535"),
    ("https://example.com:0/", "port of 1 to 65535"),
    ("https://example.com:65536/", "port of 1 to 65535"),
    ("https://example.com:080/", "port of 1 to 65535"),
    ("https://example.com:80:90/", "at most one port"),
    ("https://example.com:8a/", "port of 1 to 65535"),
    ("https://example.com/" + "x" * MAX_URL, "the limit is 4096"),
]


@pytest.mark.parametrize(("text", "canonical"), TAKEN, ids=[text for text, _ in TAKEN])
def test_taken_in_one_spelling(text: str, canonical: str) -> None:
    target = parse_url(text)
    assert target.url == canonical
    assert parse_url(target.url) == target


@pytest.mark.parametrize(("text", "words"), REFUSED, ids=[ascii(text)[:60] for text, _ in REFUSED])
def test_refused_with_the_way_out(text: str, words: str) -> None:
    with pytest.raises(WrongURL) as caught:
        parse_url(text)
    assert words in str(caught.value)
    assert "secret" not in str(caught.value).lower().replace("reference to a secret", "")


@given(st.text("htps:/@\\.127x0[]%#?aé\t-_*", max_size=40).map(lambda text: "https://" + text))
@example("https://a/[")
def test_whatever_passes_reads_the_same_again(text: str) -> None:
    try:
        target = parse_url(text)
    except WrongURL:
        return
    assert parse_url(target.url) == target
    assert target.host
    assert not set(target.host) & set("@\\%#?/")


def test_messages_leave_out_the_query() -> None:
    assert parse_url("https://example.com/work?key=hidden").shown == "https://example.com/work"


ENTRIES = [
    ("https://*", Entry("https", "", 443, True)),
    ("https://*:8443", Entry("https", "", 8443, True)),
    ("https://*.Example.com", Entry("https", "example.com", 443, True)),
    ("http://payments.shop.svc:8080", Entry("http", "payments.shop.svc", 8080, False)),
    ("http://10.0.0.7/", Entry("http", "10.0.0.7", 80, False)),
    ("http://[fd00::0:1]:80", Entry("http", "fd00::1", 80, False)),
]


@pytest.mark.parametrize(("text", "entry"), ENTRIES, ids=[text for text, _ in ENTRIES])
def test_entries(text: str, entry: Entry) -> None:
    assert parse_entry(text) == entry


@pytest.mark.parametrize(
    "text",
    "|*|example.com|https://example.com/x|https://example.com?x|ftp://*|https://*.10.0.0.1|https://a.*.com|https://*.|"
    "https://u@example.com|https://*:x|https://*example.com|https://* x".split("|"),
)
def test_wrong_entries(text: str) -> None:
    with pytest.raises(WrongURL):
        parse_entry(text)


@pytest.mark.parametrize(
    ("entry", "url", "covered"),
    [
        ("https://*", "https://example.com/", True),
        ("https://*", "https://93.184.216.34/", True),
        ("https://*", "http://example.com/", False),
        ("https://*", "https://example.com:8443/", False),
        ("https://*.example.com", "https://a.b.example.com/", True),
        ("https://*.example.com", "https://example.com/", False),
        ("https://*.example.com", "https://badexample.com/", False),
        ("https://*.example.com", "https://example.com.evil.net/", False),
        ("http://a.svc:8080", "http://A.svc.:8080/x", True),
        ("http://a.svc:8080", "http://a.svc/x", False),
        ("http://[fd00::1]", "http://[fd00:0::1]/", True),
    ],
)
def test_what_entries_cover(entry: str, url: str, covered: bool) -> None:
    assert parse_entry(entry).covers(parse_url(url)) is covered
