"""Requests to a task-pipeline-server, over the operator's own HTTP connections.

Rule: a refusal (RFC 9457) becomes the error class of `kube.errors` that its status has, so commands know one family of
errors. Credentials come from the environment or from files, never from the command line, where others can see them.
"""

import asyncio
import ssl
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import orjson

from task_pipeline.cli.backend import InvalidManifest
from task_pipeline.cli.kubeconfig import USER_AGENT
from task_pipeline.kube.config import NoCluster
from task_pipeline.kube.errors import ApiError, Unreachable, from_status
from task_pipeline.kube.http1 import Disconnected
from task_pipeline.kube.pool import Pool

LOCAL = ("localhost", "127.0.0.1", "::1")
STREAM_SECONDS = 1000.0  # the server ends a stream itself before
SILENCE_SECONDS = 60.0  # it says something every 15 seconds


@dataclass(frozen=True, slots=True)
class Credential:
    """What goes into the Authorization header; `client` is the client id, if it is known."""

    header: str | None = field(repr=False)
    client: str | None = None
    again: Callable[[], "Credential"] | None = None  # reads it anew, for one that is refused: files change


def credential(environ: Mapping[str, str]) -> Credential:
    """From TPCTL_TOKEN, TPCTL_TOKEN_FILE, or TPCTL_CLIENT with TPCTL_CLIENT_SECRET or its file. Raises NoCluster."""
    token = _from(environ, "TPCTL_TOKEN")
    again = partial(credential, environ)
    if token is not None:
        return Credential(_header(f"Bearer {token}"), again=again)
    client = environ.get("TPCTL_CLIENT")
    if not client:
        return Credential(None)
    secret = _from(environ, "TPCTL_CLIENT_SECRET")
    if secret is None:
        raise NoCluster("TPCTL_CLIENT is set without TPCTL_CLIENT_SECRET or TPCTL_CLIENT_SECRET_FILE")
    return Credential(_header("Basic " + b64encode(f"{client}:{secret}".encode()).decode()), client, again)


def _from(environ: Mapping[str, str], name: str) -> str | None:
    if environ.get(name):
        return environ[name].strip()
    path = environ.get(f"{name}_FILE")
    if not path:
        return None
    try:
        return Path(path).expanduser().read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise NoCluster(f"{name}_FILE: {path} cannot be read: {getattr(error, 'strerror', 'no text')}") from error


def _header(text: str) -> str:
    if not (text.isascii() and text.isprintable()):
        raise NoCluster("the credential for the REST API holds characters that no header can carry")
    return text


class Http:
    """One server. `base` is its address, with a path in front of `/api` if there is one."""

    def __init__(self, base: str, login: Credential, timeout: float) -> None:
        parts = urlsplit(base)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise NoCluster(f"--server {base!r} is no http or https address")
        self.place = f"the server {base}"
        self.exposed = parts.scheme == "http" and parts.hostname not in LOCAL and login.header is not None
        self._timeout = timeout
        self._root = parts.path.rstrip("/")
        self._pool = Pool(base, ssl.create_default_context() if parts.scheme == "https" else False, 4)
        self._head = f" HTTP/1.1\r\nHost: {parts.netloc.rpartition('@')[2]}\r\nUser-Agent: {USER_AGENT}\r\n"
        self._login = login

    def close(self) -> None:
        """Close the connections."""
        self._pool.close()

    async def json(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """The decoded answer, None for an empty one. Raises KubeError."""
        key = query.pop("idempotency_key", None)
        raw = await self._exchange(self._request(method, path, query, body, {"Idempotency-Key": key} if key else {}))
        return orjson.loads(raw) if raw else None

    async def text(self, path: str, **query: Any) -> bytes:
        """An answer as it is."""
        return await self._exchange(self._request("GET", path, query))

    @asynccontextmanager
    async def stream(
        self, path: str, query: Mapping[str, Any], headers: Mapping[str, str], silence: float
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """The body of a GET that goes on, in pieces. Raises KubeError."""
        request = self._request("GET", path, query, headers=headers)
        with _reaching():
            connection = await self._pool.fresh()
            try:
                async with asyncio.timeout(self._timeout):
                    status = await connection.open(request)
                pieces = connection.pieces(silence, STREAM_SECONDS)
                if status >= 300:
                    raise self._refusal(status, b"".join([piece async for piece in pieces]))
                yield pieces
            finally:
                connection.close()

    def _request(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any],
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> bytes:
        asked = {name: str(value) for name, value in query.items() if value is not None}
        target = self._root + path + (f"?{urlencode(asked)}" if asked else "")
        content = b"" if body is None else orjson.dumps(body)
        own = {} if self._login.header is None else {"Authorization": self._login.header}
        lines = "".join(f"{name}: {value}\r\n" for name, value in {**own, **(headers or {})}.items())
        if method != "GET":
            lines += f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n"
        return f"{method} {target}{self._head}{lines}\r\n".encode("ascii") + content

    async def _exchange(self, request: bytes) -> bytes:
        with _reaching():
            answer = await self._pool.exchange(request, self._timeout)
        if answer.status >= 300:
            raise self._refusal(answer.status, answer.body, answer.retry_after)
        return answer.body

    def _refusal(self, status: int, body: bytes, retry_after: str | None = None) -> ApiError | Unreachable:
        if status == 401 and self._login.again is not None:
            self._login = self._login.again()
        return refusal(status, body, retry_after)


def part(text: str) -> str:
    """`text` as one part of a path."""
    return quote(text, safe="")


def refusal(status: int, body: bytes, retry_after: str | None = None) -> ApiError | Unreachable:
    """The error for a problem document, or for whatever stands between here and the server."""
    if status < 400:
        return Unreachable(f"it sends us elsewhere (HTTP status {status}): it is no task-pipeline-server")
    try:
        problem = orjson.loads(body)
        faults = [(str(one["path"]), str(one["message"])) for one in problem.get("errors", ())]
        detail = {"reason": problem.get("reason", ""), "message": problem.get("detail", "")}
    except (ValueError, AttributeError, KeyError, TypeError):
        return from_status(status, {"message": body[:200].decode(errors="replace")}, retry_after)
    error = from_status(status, detail, retry_after)
    if status in (400, 422) and faults:
        return InvalidManifest(detail["message"], faults)
    return error


class _reaching:
    """Turn the transport's own errors into `Unreachable`."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, Disconnected | OSError):
            why = f"{type(error).__name__}: {error}" if str(error) else "no connection, or no answer, in time"
            raise Unreachable(why) from error
