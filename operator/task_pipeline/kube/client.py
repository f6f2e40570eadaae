"""HttpCluster: the cluster protocol over aiohttp.

Raw requests with orjson cost a fifth of a generated client's CPU, which is what the write budget is about. One
kept-alive connection pool serves writes; every watch has a connection of its own.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiohttp
import msgspec
import orjson

from task_pipeline.api.group import FIELD_MANAGER
from task_pipeline.api.objects import ObjectMeta
from task_pipeline.api.resources import PODS, Resource
from task_pipeline.kube.cluster import Body, LogQuery, Propagation
from task_pipeline.kube.config import Connection, NoCluster
from task_pipeline.kube.errors import Unreachable, from_status

LOG_SECONDS = 3600.0  # no log is followed for longer; whoever wants more asks again
WATCH_SECONDS = 290  # the server ends a watch itself; resuming is cheap
SILENCE_SECONDS = (
    150  # bookmarks come about every minute, on a quiet cluster not always: a longer silence is a dead stream
)
_LINE_LIMIT = 2**26  # one watch event; etcd itself refuses objects far below it
_METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
_METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_JSON = {"Accept": "application/json"}
_WRITE = {"Accept": _METADATA, "Content-Type": "application/json"}
_MERGE = {"Accept": _METADATA, "Content-Type": "application/merge-patch+json"}


class _Reply(msgspec.Struct):
    metadata: ObjectMeta


_decode_reply = msgspec.json.Decoder(_Reply).decode


class HttpCluster:
    """A real API server. Use as an async context manager, or call `close`."""

    def __init__(self, connection: Connection, *, connections: int = 32, timeout: float = 15.0) -> None:
        self._connection = connection
        self._timeout = aiohttp.ClientTimeout(total=timeout, connect=5)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=connections, ssl=connection.ssl, keepalive_timeout=60),
            headers={"User-Agent": connection.user_agent},
            read_bufsize=2**18,
            auto_decompress=True,
        )
        self._watch_session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=connection.ssl),
            headers={"User-Agent": connection.user_agent},
            read_bufsize=2**18,
        )

    async def __aenter__(self) -> "HttpCluster":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every connection."""
        await self._session.close()
        await self._watch_session.close()

    async def create(self, resource: Resource, namespace: str | None, body: Body) -> ObjectMeta:
        raw = await self._send("POST", resource.path(namespace), _WRITE, body)
        return _decode_reply(raw).metadata

    async def post(self, resource: Resource, namespace: str | None, body: Body) -> bytes:
        return await self._send("POST", resource.path(namespace), {"Content-Type": "application/json", **_JSON}, body)

    async def patch_status(self, resource: Resource, namespace: str | None, name: str, body: Body) -> ObjectMeta:
        raw = await self._send("PATCH", resource.path(namespace, name, "status"), _MERGE, body)
        return _decode_reply(raw).metadata

    async def patch(self, resource: Resource, namespace: str | None, name: str, body: Body | list[Body]) -> bytes:
        form = "json-patch" if isinstance(body, list) else "merge-patch"
        headers = {"Content-Type": f"application/{form}+json", **_JSON}
        path = f"{resource.path(namespace, name)}?fieldManager={FIELD_MANAGER}"
        return await self._send("PATCH", path, headers, body)

    async def apply(
        self, resource: Resource, namespace: str | None, name: str, body: Body, *, force: bool = False
    ) -> bytes:
        query = f"?fieldManager={FIELD_MANAGER}&force={'true' if force else 'false'}"
        headers = {"Content-Type": "application/apply-patch+yaml", **_JSON}
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
        headers = {"Content-Type": "application/json", **_JSON}
        await self._send("DELETE", resource.path(namespace, name), headers, body)

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
        headers = {"Accept": _METADATA_LIST} if metadata_only else _JSON
        return await self._send("GET", resource.path(namespace), headers, params=query)

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
        timeout = aiohttp.ClientTimeout(total=WATCH_SECONDS + 30, connect=5, sock_read=SILENCE_SECONDS)
        async with self._stream(resource.path(namespace), query, timeout) as content:
            async for line in _lines(content):
                yield line

    async def log(self, namespace: str, pod: str, query: LogQuery) -> AsyncIterator[bytes]:
        wanted = {"container": query.container, "follow": "true" if query.follow else "false"}
        numbers = {"tailLines": query.tail, "sinceSeconds": query.since}
        wanted |= {name: str(value) for name, value in numbers.items() if value is not None}
        timeout = aiohttp.ClientTimeout(total=LOG_SECONDS, connect=5)
        async with self._stream(PODS.path(namespace, pod, "log"), wanted, timeout) as content:
            async for chunk in content.iter_any():
                yield chunk

    @contextlib.asynccontextmanager
    async def _stream(
        self, path: str, query: Mapping[str, str], limits: aiohttp.ClientTimeout
    ) -> AsyncIterator[aiohttp.StreamReader]:
        """The body of a GET that goes on for long."""
        url, headers = self._connection.server + path, {**_JSON, **await self._authorization()}
        with _reachable():
            async with self._watch_session.get(url, params=query, headers=headers, timeout=limits) as response:
                if response.status >= 400:
                    if response.status == 401:
                        self._connection.refused()
                    raise from_status(response.status, _loads(await response.read()))
                yield response.content

    async def _authorization(self) -> dict[str, str]:
        try:
            return await self._connection.authorization()
        except (OSError, NoCluster) as error:
            raise Unreachable(f"no credential: {error}") from error

    async def _send(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: Any = None,
        *,
        params: Mapping[str, str] | None = None,
    ) -> bytes:
        data = None if body is None else orjson.dumps(body)
        sent = {**headers, **await self._authorization()}
        with _reachable():
            async with self._session.request(
                method,
                self._connection.server + path,
                data=data,
                headers=sent,
                params=params,
                timeout=self._timeout,
            ) as response:
                raw = await response.read()
        if response.status >= 400:
            if response.status == 401:
                self._connection.refused()
            raise from_status(response.status, _loads(raw), response.headers.get("Retry-After"))
        return raw


class _reachable(contextlib.AbstractContextManager[None]):
    """Turn the transport's own errors into `Unreachable`."""

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, aiohttp.ClientError | asyncio.TimeoutError | OSError):
            raise Unreachable(f"{type(error).__name__}: {error}") from error


def _loads(raw: bytes) -> Any:
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        return raw[:500].decode(errors="replace")


async def _lines(stream: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Whole lines of a stream; a last line without its end is dropped (a server that died in mid-sentence)."""
    rest = b""
    async for chunk in stream.iter_any():
        *whole, rest = (rest + chunk).split(b"\n") if rest else chunk.split(b"\n")
        if len(rest) > _LINE_LIMIT:
            raise Unreachable(f"a watch event of more than {_LINE_LIMIT} bytes")
        for line in whole:
            if line:
                yield line
