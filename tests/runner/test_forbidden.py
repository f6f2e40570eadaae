"""What must not be requested is not connected to: a corpus of URLs, names with forbidden addresses, rebinding."""

import os
from collections.abc import Sequence

import pytest

from task_pipeline.core.urls import WrongURL, parse_entry, parse_url
from task_pipeline.runner.resolver import Lookup, Unresolvable, system_lookup
from task_pipeline.runner.send import Answer, Broken, Limits, Request, Sender
from task_pipeline.runner.targets import AllowList, Refused
from tests.runner.internet import Internet
from tests.runner.servers import answering, name_server, serve

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
GLOBAL = "93.184.216.34"


async def send(
    url: str, entries: Sequence[str] = ("https://*", "http://*"), lookup: Lookup = system_lookup, **headers: str
) -> Answer:
    sender = Sender(AllowList([parse_entry(entry) for entry in entries]), Limits(connect=2), lookup)
    return await sender.send(Request(parse_url(url), "GET", headers, None, 5))


HOSTS = [
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "127.8.8.8",
    "2130706433",
    "0x7f000001",
    "0x7f.1",
    "0177.0.0.1",
    "017700000001",
    "0x7f.0.0.0x1",
    "0.0.0.0",
    "0",
    "localhost",
    "LOCALHOST.",
    "localhost.",
    "127.0.0.1.",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::127.0.0.1]",
    "[64:ff9b::127.0.0.1]",
    "[2002:7f00:1::]",
    "[fe80::1%25lo]",
    "[fe80::1]",
    "[fd00:ec2::254]",
    "169.254.169.254",
    "0xa9fea9fe",
    "2852039166",
    "0251.0376.0251.0376",
    "[::ffff:169.254.169.254]",
    "168.63.129.16",
    "100.100.100.200",
    "10.0.0.1",
    "10.96.0.1",
    "172.16.0.1",
    "192.168.0.1",
    "100.64.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "198.18.0.1",
    "example.com@127.0.0.1",
    "user:password@127.0.0.1",
    "example.com\\@127.0.0.1",
    "127.0.0.1\\.example.com",
    "127.0.0.1#.example.com",
    "127.0.0.1 .example.com",
    "127.0.0.1\t",
    "127.0.0.1\r\nHost: example.com",
    "127.0.0.1%00.example.com",
    "%31%32%37.0.0.1",
    "\uff11\uff12\uff17.0.0.1",
    "127\u30020\u30020\u30021",
    "\u24dbocalhost",
    "",
    ".",
]


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("host", HOSTS, ids=[ascii(host) for host in HOSTS])
async def test_no_connection_to_a_forbidden_host(host: str, scheme: str, internet: Internet) -> None:
    """Although every host of both schemes is in the allow-list."""
    with pytest.raises((Refused, WrongURL)):
        await send(f"{scheme}://{host}/latest/meta-data/")
    assert internet.dialled == []


async def test_no_connection_to_a_port_or_scheme_that_is_not_listed(internet: Internet) -> None:
    for url in (f"http://{GLOBAL}/", f"https://{GLOBAL}:22/", f"https://{GLOBAL}:6443/", "https://example.com:8443/"):
        with pytest.raises(Refused):
            await send(url, ["https://*"])
    assert internet.dialled == []


@pytest.mark.parametrize("forbidden", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "0.0.0.0", "224.0.0.1"])
async def test_one_forbidden_address_of_a_name_forbids_the_name(forbidden: str, internet: Internet) -> None:
    async with name_server([GLOBAL, forbidden]) as names:
        with pytest.raises(Refused, match=forbidden):
            await send("http://mixed.example.com/", lookup=names)
    assert internet.dialled == []


async def test_a_name_is_looked_up_once_and_rebinding_changes_nothing(internet: Internet) -> None:
    async with serve(answering(OK)) as outside, serve(answering(OK)) as inside:
        internet.sites = {GLOBAL: outside.port, "127.0.0.1": inside.port}
        async with name_server([GLOBAL], ["127.0.0.1"]) as names:
            answer = await send("http://rebind.example.com/x", lookup=names)
            assert names.server.questions == 1
            assert answer.body == b"hi"
            assert (outside.connections, inside.connections) == (1, 0)
            assert b"Host: rebind.example.com\r\n" in outside.received[0]
            with pytest.raises(Refused):  # the next attempt sees the new address, and is refused
                await send("http://rebind.example.com/x", lookup=names)
        assert (outside.connections, inside.connections) == (1, 0)
    assert internet.dialled == [GLOBAL]


async def test_an_address_that_does_not_answer_leads_to_no_second_look_up(internet: Internet) -> None:
    async with serve(answering(OK)) as inside:
        internet.sites = {"127.0.0.1": inside.port}
        async with name_server([GLOBAL], ["127.0.0.1"]) as names:
            with pytest.raises(Broken):
                await send("http://rebind.example.com/x", lookup=names)
            assert names.server.questions == 1
        assert inside.connections == 0


async def test_a_redirect_is_an_answer(internet: Internet) -> None:
    async with serve(answering(OK)) as inside:
        there = f"HTTP/1.1 302 Found\r\nLocation: {inside.origin}/secret\r\nContent-Length: 0\r\n\r\n"
        async with serve(answering(there.encode())) as server:
            answer = await send(server.origin, [server.origin])
    assert (answer.status, answer.headers["Location"]) == (302, f"{inside.origin}/secret")
    assert (server.connections, inside.connections) == (1, 0)


async def test_proxies_of_the_environment_and_their_credentials_are_not_used(
    monkeypatch: pytest.MonkeyPatch, internet: Internet
) -> None:
    async with serve(answering(OK)) as proxy, serve(answering(OK)) as server:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"):
            monkeypatch.setitem(os.environ, name, proxy.origin)
        await send(server.origin, [server.origin])
    assert (proxy.connections, server.connections) == (0, 1)


async def test_only_the_users_headers_and_the_protocols_own_are_sent() -> None:
    cookie = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b; Path=/\r\nContent-Length: 0\r\n\r\n"
    async with serve(answering(cookie)) as server:
        for _ in range(2):
            await send(server.origin, [server.origin], Authorization="Bearer mine")
    for request in server.received:
        names = {line.partition(b":")[0].decode().lower() for line in request.split(b"\r\n")[1:] if line}
        assert names == {"host", "accept", "accept-encoding", "user-agent", "authorization", "connection"}


@pytest.mark.parametrize("fault", [OSError("no such host"), UnicodeError("label too long")])
async def test_a_name_without_address(fault: Exception) -> None:
    async def lookup(host: str, port: int) -> Sequence[object]:
        raise fault

    with pytest.raises(Unresolvable, match=r"gone\.example\.com cannot be resolved"):
        await send("https://gone.example.com/", lookup=lookup)  # type: ignore[arg-type]


async def test_a_name_with_an_empty_answer(internet: Internet) -> None:
    async with name_server([]) as names:
        with pytest.raises(Unresolvable, match="has no address"):
            await send("https://empty.example.com/", lookup=names)
    assert internet.dialled == []
