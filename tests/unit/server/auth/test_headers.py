"""The Authorization header and the address of a request."""

import base64
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from task_pipeline.server.auth.headers import Basic, Bearer, Malformed, address, credential, networks


def encoded(text: str | bytes) -> str:
    raw = text if isinstance(text, bytes) else text.encode()
    return "Basic " + base64.b64encode(raw).decode()


READ = {
    "none": ([], None),
    "a token": (["Bearer a.b.c"], Bearer("a.b.c")),
    "any case and spaces": (["  bEaReR   a.b.c "], Bearer("a.b.c")),
    "id and secret": ([encoded("team-a:tps_x-y")], Basic("team-a", "tps_x-y")),
    "lower case basic": ([encoded("a:b").replace("Basic", "basic")], Basic("a", "b")),
    "colons belong to the secret": ([encoded("a:b:c")], Basic("a", "b:c")),
    "form-encoded": ([encoded("team%3Aa:s%2Bx+y")], Basic("team:a", "s+x y")),
    "empty id": ([encoded(":s")], Basic("", "s")),
    "empty secret": ([encoded("a:")], Basic("a", "")),
    "no ASCII": ([encoded("ü:ß")], Basic("ü", "ß")),
}


@pytest.mark.parametrize(("values", "found"), READ.values(), ids=READ)
def test_what_can_be_read(values: list[str], found: Basic | Bearer | None) -> None:
    assert credential(values) == found


REFUSED = {
    "empty": [""],
    "twice": ["Bearer a.b.c", "Bearer a.b.c"],
    "another scheme": ["Digest username=x"],
    "no token": ["Bearer"],
    "blank token": ["Bearer   "],
    "token of other letters": ["Bearer ä"],
    "no base64": ["Basic ???"],
    "base64 with rubbish": ["Basic YTpi!"],
    "no colon": [encoded("ab")],
    "no text": [encoded(b"\xff:\xfe")],
    "a long id": [encoded("a" * 513 + ":b")],
    "a long secret": [encoded("a:" + "b" * 513)],
    "a long header": ["Bearer " + "a" * 9000],
}


@pytest.mark.parametrize("values", REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_read_says_nothing_of_itself(values: list[str]) -> None:
    with pytest.raises(Malformed) as caught:
        credential(values)
    assert str(caught.value) == ""
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@given(st.text(max_size=40), st.text(max_size=40))
def test_every_id_and_secret_survive_the_way(client: str, secret: str) -> None:
    text = f"{quote_plus(client)}:{quote_plus(secret)}"
    assert credential([encoded(text)]) == Basic(client, secret)


@given(st.lists(st.text(max_size=60), max_size=3))
def test_no_header_breaks_the_reader(values: list[str]) -> None:
    try:
        credential(values)
    except Malformed:
        return


def test_no_repr_shows_a_secret() -> None:
    assert "s3cret" not in repr(Basic("a", "s3cret")) + repr(Bearer("s3cret"))


PROXIES = networks(["10.0.0.0/8", "fd00::/8"])
ADDRESSES = {
    "no proxy": ("192.0.2.1", [], "192.0.2.1"),
    "a stranger's header is not believed": ("192.0.2.1", ["198.51.100.1"], "192.0.2.1"),
    "a proxy's header is": ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
    "only what our proxies wrote": ("10.0.0.1", ["203.0.113.9, 198.51.100.1, 10.0.0.2"], "198.51.100.1"),
    "several lines": ("10.0.0.1", ["203.0.113.9", "198.51.100.1"], "198.51.100.1"),
    "all are proxies": ("10.0.0.1", ["10.0.0.3"], "10.0.0.3"),
    "a proxy without a header": ("10.0.0.1", [], "10.0.0.1"),
    "a network of IPv6": ("2001:db8:1:2:3:4:5:6", [], "2001:db8:1:2::/64"),
    "an IPv4 address in IPv6": ("::ffff:192.0.2.7", [], "192.0.2.7"),
    "rubbish from a proxy": ("10.0.0.1", ["x" * 100], "x" * 64),
    "no peer": (None, [], "unknown"),
}


@pytest.mark.parametrize(("peer", "forwarded", "found"), ADDRESSES.values(), ids=ADDRESSES)
def test_whose_address_counts(peer: str | None, forwarded: list[str], found: str) -> None:
    assert address(peer, forwarded, PROXIES) == found


def test_a_network_that_is_none_is_named() -> None:
    with pytest.raises(ValueError, match=r"10\.0\.0\.0/99"):
        networks(["10.0.0.0/99"])
