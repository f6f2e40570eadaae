"""HttpCluster: the cluster protocol over raw HTTP/1.1 requests.

Raw requests with orjson cost a twentieth of a generated client's CPU, which is what the write budget is about. One
kept-alive connection pool serves writes; every watch has a connection of its own.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, NoReturn
from urllib.parse import urlencode, urlsplit

import msgspec
import orjson

from task_pipeline.api.group import FIELD_MANAGER
from task_pipeline.api.objects import ObjectMeta
from task_pipeline.api.resources import PODS, Resource
from task_pipeline.kube.cluster import Body, LogQuery, Propagation
from task_pipeline.kube.config import Connection, NoCluster
from task_pipeline.kube.errors import Unreachable, from_status
from task_pipeline.kube.http1 import Disconnected
from task_pipeline.kube.pool import Pool

LOG_SECONDS = 3600.0  # no log is followed for longer; whoever wants more asks again
WATCH_SECONDS = 290  # the server ends a watch itself; resuming is cheap
SILENCE_SECONDS = (
    150  # bookmarks come about every minute, on a quiet cluster not always: a longer silence is a dead stream
)
_LINE_LIMIT = 2**26  # one watch event; etcd itself refuses objects far below it
_METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
_METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_JSON = b"Accept: application/json\r\n"
_SEND_JSON = _JSON + b"Content-Type: application/json\r\n"
_WRITE = f"Accept: {_METADATA}\r\nContent-Type: application/json\r\n".encode()
_MERGE = f"Accept: {_METADATA}\r\nContent-Type: application/merge-patch+json\r\n".encode()
_LIST_METADATA = f"Accept: {_METADATA_LIST}\r\n".encode()


class _Reply(msgspec.Struct):
    metadata: ObjectMeta


_decode_reply = msgspec.json.Decoder(_Reply).decode


class HttpCluster:
    """A real API server. Use as an async context manager, or call `close`."""

    def __init__(self, connection: Connection, *, connections: int = 32, timeout: float = 15.0) -> None:
        self._connection = connection
        self._timeout = timeout
        self._clock = asyncio.get_running_loop().time
        self._pool = Pool(connection.server, connection.ssl, connections)
        place = urlsplit(connection.server)
        self._root = place.path.rstrip("/").encode()
        self._end_of_line = f" HTTP/1.1\r\nHost: {place.netloc}\r\nUser-Agent: {connection.user_agent}\r\n".encode()

    async def __aenter__(self) -> "HttpCluster":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every connection."""
        self._pool.close()

    async def create(self, resource: Resource, namespace: str | None, body: Body) -> ObjectMeta:
        raw = await self._send("POST", resource.path(namespace), _WRITE, body)
        return _decode_reply(raw).metadata

    async def post(self, resource: Resource, namespace: str | None, body: Body) -> bytes:
        return await self._send("POST", resource.path(namespace), _SEND_JSON, body)

    async def replace(self, resource: Resource, namespace: str | None, name: str, body: Body) -> bytes:
        """PUT the whole object and return it as it is then. `Conflict` if the resourceVersion in `body` is stale."""
        return await self._send("PUT", resource.path(namespace, name), _SEND_JSON, body)

    async def patch_status(self, resource: Resource, namespace: str | None, name: str, body: Body) -> ObjectMeta:
        raw = await self._send("PATCH", resource.path(namespace, name, "status"), _MERGE, body)
        return _decode_reply(raw).metadata

    async def patch(self, resource: Resource, namespace: str | None, name: str, body: Body | list[Body]) -> bytes:
        form = "json-patch" if isinstance(body, list) else "merge-patch"
        headers = _JSON + f"Content-Type: application/{form}+json\r\n".encode()
        path = f"{resource.path(namespace, name)}?fieldManager={FIELD_MANAGER}"
        return await self._send("PATCH", path, headers, body)

    async def apply(
        self, resource: Resource, namespace: str | None, name: str, body: Body, *, force: bool = False
    ) -> bytes:
        query = f"?fieldManager={FIELD_MANAGER}&force={'true' if force else 'false'}"
        headers = _JSON + b"Content-Type: application/apply-patch+yaml\r\n"
        return await self._send("PATCH", resource.path(namespace, name) + query, headers, body)

    async def delete(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        *,
        uid: str | None = None,
        resource_version: str | None = None,
        propagation: Propagation = "Background",
    ) -> None:
        body: Body = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": propagation}
        wanted = {"uid": uid, "resourceVersion": resource_version}
        if uid is not None or resource_version is not None:
            body["preconditions"] = {name: value for name, value in wanted.items() if value is not None}
        await self._send("DELETE", resource.path(namespace, name), _SEND_JSON, body)

    async def get(self, resource: Resource, namespace: str | None, name: str) -> bytes:
        return await self._send("GET", resource.path(namespace, name), _JSON)

    async def list(  # noqa: PLR0913 (one for each part of the query)
        self,
        resource: Resource,
        namespace: str | None,
        *,
        selector: str | None = None,
        fields: str | None = None,
        limit: int = 500,
        continue_token: str | None = None,
        metadata_only: bool = False,
    ) -> bytes:
        query = {"limit": str(limit)}
        if selector:
            query["labelSelector"] = selector
        if fields:
            query["fieldSelector"] = fields
        if continue_token:
            query["continue"] = continue_token
        path = f"{resource.path(namespace)}?{urlencode(query)}"
        return await self._send("GET", path, _LIST_METADATA if metadata_only else _JSON)

    async def watch(
        self,
        resource: Resource,
        namespace: str | None,
        *,
        selector: str | None = None,
        fields: str | None = None,
        resource_version: str,
    ) -> AsyncIterator[bytes]:
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(WATCH_SECONDS),
        }
        if selector:
            query["labelSelector"] = selector
        if fields:
            query["fieldSelector"] = fields
        path = f"{resource.path(namespace)}?{urlencode(query)}"
        async with self._stream(path, self._timeout, SILENCE_SECONDS, WATCH_SECONDS + 30) as pieces:
            async for line in _lines(pieces):
                yield line

    async def log(self, namespace: str, pod: str, query: LogQuery) -> AsyncIterator[bytes]:
        wanted = {"container": query.container, "follow": "true" if query.follow else "false"}
        numbers = {"tailLines": query.tail, "sinceSeconds": query.since}
        wanted |= {name: str(value) for name, value in numbers.items() if value is not None}
        path = f"{PODS.path(namespace, pod, 'log')}?{urlencode(wanted)}"
        async with self._stream(path, LOG_SECONDS, LOG_SECONDS, LOG_SECONDS) as pieces:
            async for piece in pieces:
                yield piece

    @contextlib.asynccontextmanager
    async def _stream(
        self, path: str, opening: float, silence: float, total: float
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """The body of a GET that goes on for long: `total` seconds at most, `silence` of them without a byte. It may
        take `opening` seconds to begin.
        """
        request = await self._request("GET", path, _JSON)
        with _reachable():
            connection, status = await self._pool.fresh(), 0
            try:
                try:
                    async with asyncio.timeout(opening):
                        status = await connection.open(request)
                finally:
                    self._connection.answered("GET", path, status)
                pieces = connection.pieces(silence, total)
                if status >= 300:
                    self._raise(status, b"".join([piece async for piece in pieces]))
                yield pieces
            finally:
                connection.close()

    async def _send(self, method: str, path: str, headers: bytes, body: Any = None) -> bytes:
        began = self._clock()
        request = await self._request(method, path, headers, b"" if body is None else orjson.dumps(body))
        status = 0
        try:
            with _reachable():
                answer = await self._pool.exchange(request, self._timeout, self._clock() - began)
            status = answer.status
        finally:
            self._connection.answered(method, path, status)
        if answer.status >= 300:
            self._raise(answer.status, answer.body, answer.retry_after)
        return answer.body

    async def _request(self, method: str, path: str, headers: bytes, body: bytes = b"") -> bytes:
        """The bytes of a request; `path` begins with a slash and is encoded as URLs are."""
        try:
            credential = await self._connection.authorization()
        except (OSError, NoCluster) as error:
            raise Unreachable(f"no credential: {error}") from error
        target = method.encode() + b" " + self._root + path.encode("ascii")
        identity = "".join(f"{name}: {value}\r\n" for name, value in credential.items()).encode("latin-1")
        if method != "GET":
            headers += b"Content-Length: %d\r\n" % len(body)
        return b"".join((target, self._end_of_line, identity, headers, b"\r\n", body))

    def _raise(self, status: int, body: bytes, retry_after: str | None = None) -> NoReturn:
        if status < 400:  # followed, it might be carried out by somebody else than the API server
            raise Unreachable(f"the server sends us elsewhere (HTTP status {status}): it is no API server")
        if status == 401:
            self._connection.refused()
        raise from_status(status, _loads(body), retry_after)


class _reachable(contextlib.AbstractContextManager[None]):
    """Turn the transport's own errors into `Unreachable`."""

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, Disconnected | OSError):
            why = f"{type(error).__name__}: {error}" if str(error) else "no connection, or no answer, in time"
            raise Unreachable(why) from error


def _loads(raw: bytes) -> Any:
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        return raw[:500].decode(errors="replace")


async def _lines(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Whole lines of a stream; a last line without its end is dropped (a server that died in mid-sentence)."""
    rest = b""
    async for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n") if rest else piece.split(b"\n")
        if len(rest) > _LINE_LIMIT:
            raise Unreachable(f"a watch event of more than {_LINE_LIMIT} bytes")
        for line in whole:
            if line:
                yield line
