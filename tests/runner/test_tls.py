"""HTTPS to a checked address: the server is asked for, and has to prove, the name of the URL, not the address."""

import asyncio
import ssl
import subprocess
from pathlib import Path

import pytest

from task_pipeline.core.urls import parse_entry, parse_url
from task_pipeline.runner.send import Answer, Broken, Request, Sender
from task_pipeline.runner.targets import AllowList
from tests.runner.internet import Internet
from tests.runner.servers import name_server

NAME, GLOBAL = "pinned.example.com", "93.184.216.34"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for NAME that signs itself, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    crt, key = folder / "crt.pem", folder / "key.pem"
    new = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
    ]
    names = ["-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}"]
    subprocess.run([*new, *names, "-keyout", key, "-out", crt], check=True, capture_output=True, timeout=30)
    return crt, key


class Secure:
    """An HTTPS server that answers once, and knows which name it was asked for."""

    def __init__(self, crt: Path, key: Path) -> None:
        self.names: list[str | None] = []
        self.requests: list[bytes] = []
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.context.load_cert_chain(crt, key)
        self.context.sni_callback = lambda sock, name, context: self.names.append(name)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request, one answer."""
        self.requests.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi")
        await writer.drain()
        writer.close()


async def send(certificate: tuple[Path, Path], internet: Internet, url: str, trusted: bool) -> tuple[Secure, Answer]:
    secure = Secure(*certificate)
    listener = await asyncio.start_server(secure.answer, "127.0.0.1", 0, ssl=secure.context)
    internet.sites = {GLOBAL: listener.sockets[0].getsockname()[1]}
    tls = ssl.create_default_context(cafile=certificate[0] if trusted else None)
    try:
        async with name_server([GLOBAL]) as names:
            sender = Sender(AllowList([parse_entry("https://*")]), lookup=names, tls=tls)
            return secure, await sender.send(Request(parse_url(url), "GET", {}, None, 5))
    finally:
        listener.close()
        await asyncio.sleep(0)


async def test_name_and_certificate_are_those_of_the_url(certificate: tuple[Path, Path], internet: Internet) -> None:
    secure, answer = await send(certificate, internet, f"https://{NAME}./x", trusted=True)
    assert answer.body == b"hi"
    assert secure.names == [NAME]
    assert f"Host: {NAME}\r\n".encode() in secure.requests[0]
    assert internet.dialled == [GLOBAL]


@pytest.mark.parametrize(("host", "trusted"), [(NAME, False), ("other.example.com", True), (GLOBAL, True)])
async def test_a_certificate_that_proves_nothing(
    host: str, trusted: bool, certificate: tuple[Path, Path], internet: Internet
) -> None:
    with pytest.raises(Broken, match="certificate"):
        await send(certificate, internet, f"https://{host}/x", trusted)
