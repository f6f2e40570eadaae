"""One request and its answer, between a user who may be hostile and a server that may be.

Rule: everything is bounded: time in all, to connect and for the body; headers, bytes on the wire, and bytes after
decompression, which stops where enough is known. Sent once, to the checked address, over a connection of its own:
no redirect is followed, no proxy of the environment used, no cookie kept, no credential of the runner's at hand.
"""

import asyncio
import ssl
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError
from yarl import URL

from task_pipeline import __version__
from task_pipeline.api.faults import cut
from task_pipeline.core.urls import Target
from task_pipeline.runner.resolver import DISCONNECTED, Lookup, checked_addresses, pinned_connector, system_lookup
from task_pipeline.runner.targets import AllowList
from task_pipeline.runner.texts import escaped

MAX_HEADERS = 64
MAX_HEADER_LINE = 4096
_DECODABLE = {"gzip": zlib.MAX_WBITS | 16, "x-gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS}


class Broken(Exception):
    """No whole answer came; the text says what happened. The server may have done the work all the same."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds and bytes: `kept` is how much of the decoded body is returned, `wire` how much is read at most."""

    connect: float = 10.0
    body: float = 60.0
    wire: int = 2**20
    kept: int = 4096


@dataclass(frozen=True, slots=True)
class Request:
    """What to send. `headers` are the user's; `seconds` is the time for everything."""

    target: Target
    method: str
    headers: Mapping[str, str]
    body: bytes | None
    seconds: float


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the first bytes of the decoded body, and whether these are all of them (`whole`)."""

    status: int
    phrase: str
    headers: Mapping[str, str]
    body: bytes
    whole: bool
    unreadable: str | None = None  # the content encoding that could not be decoded; `body` is then empty


@dataclass(frozen=True, slots=True)
class Sender:
    """Sends requests to what `allowed` covers. `tls` is the context for https, True for the system's authorities."""

    allowed: AllowList
    limits: Limits = field(default_factory=Limits)
    lookup: Lookup = system_lookup
    tls: ssl.SSLContext | bool = True

    async def send(self, request: Request) -> Answer:
        """The answer to `request`. Raises Refused, Unresolvable, or Broken; no more than one request is ever sent."""
        try:
            async with asyncio.timeout(request.seconds):
                addresses = await checked_addresses(request.target, self.allowed, self.lookup)
                connector = pinned_connector(request.target, addresses, self.tls)
                async with self._session(connector) as session:
                    return await self._exchange(session, request)
        except (aiohttp.ClientError, HttpProcessingError) as error:
            raise Broken(_text(error)) from error
        except TimeoutError:
            raise Broken(f"no answer within {request.seconds:g} s") from None
        except OSError as error:
            raise Broken(_text(error)) from error

    def _session(self, connector: aiohttp.TCPConnector) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=self.limits.connect),
            auto_decompress=False,
            trust_env=False,
            max_line_size=MAX_HEADER_LINE,
            max_field_size=MAX_HEADER_LINE,
            max_headers=MAX_HEADERS,
        )

    async def _exchange(self, session: aiohttp.ClientSession, request: Request) -> Answer:
        headers = {
            "Accept": "*/*",
            "User-Agent": f"task-pipeline/{__version__}",
            **request.headers,
            "Accept-Encoding": "identity",
        }
        async with session.request(
            request.method,
            URL(request.target.url, encoded=True),
            data=request.body,
            headers=headers,
            allow_redirects=False,
            skip_auto_headers=("Content-Type",),
        ) as response:
            encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
            body = _Body(encoding, self.limits)
            try:
                async with asyncio.timeout(self.limits.body):
                    async for chunk in response.content.iter_any():
                        if not body.take(chunk):
                            break
            except TimeoutError:
                raise Broken(
                    f"answered {response.status}, and then took more than {self.limits.body:g} s for the body"
                ) from None
            except aiohttp.ClientError as error:
                raise Broken(f"answered {response.status}, and then broke off: {_text(error)}") from error
            return Answer(
                response.status, response.reason or "", response.headers, body.kept, body.whole, body.unreadable
            )


class _Body:
    """The first bytes of a body, decoded piece by piece, never more at a time than there is room for."""

    def __init__(self, encoding: str, limits: Limits) -> None:
        self.unreadable: str | None = None
        self._limits = limits
        self._kept = bytearray()  # one byte more than wanted, to know whether there are more
        self._wire = 0
        self._decoder: zlib._Decompress | None = None
        if encoding in _DECODABLE:
            self._decoder = zlib.decompressobj(_DECODABLE[encoding])
        elif encoding not in ("", "identity"):
            self.unreadable = cut(encoding)

    @property
    def kept(self) -> bytes:
        """The first bytes, decoded."""
        return b"" if self.unreadable else bytes(self._kept[: self._limits.kept])

    @property
    def whole(self) -> bool:
        """Whether `kept` is all there was."""
        fits = len(self._kept) <= self._limits.kept and self._wire <= self._limits.wire and not self.unreadable
        return fits and (self._decoder is None or self._decoder.eof or self._wire == 0)

    def take(self, chunk: bytes) -> bool:
        """Take the next bytes from the wire; False when no more are wanted."""
        self._wire += len(chunk)
        room = self._limits.kept + 1 - len(self._kept)
        if room > 0 and not self.unreadable:
            self._kept += self._decoded(chunk, room)
        return self._wire <= self._limits.wire

    def _decoded(self, chunk: bytes, room: int) -> bytes:
        """At most `room` bytes."""
        if self._decoder is None:
            return chunk[:room]
        try:
            return self._decoder.decompress(chunk, room)
        except zlib.error:
            self.unreadable = "damaged compression"
            return b""


def _text(error: BaseException) -> str:
    """What went wrong with a connection, in one printable line."""
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return DISCONNECTED
    if isinstance(error, aiohttp.ClientResponseError | HttpProcessingError):
        return f"the answer is no valid HTTP, or has too many or too long headers: {_first_line(error.message)}"
    return _first_line(str(error)) or type(error).__name__


def _first_line(text: str) -> str:
    return escaped(text.partition("\n")[0].rstrip(":"))
