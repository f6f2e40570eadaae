"""The benchmark's own connection to the API server: nothing of any contender is in it."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import orjson

from tests.cluster import Cluster

JSON = "application/json"
MERGE = "application/merge-patch+json"
METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
METADATA_LIST = METADATA.replace("PartialObjectMetadata;", "PartialObjectMetadataList;")
CONNECTIONS = 32
WATCH_SECONDS = 290
TIMEOUT_SECONDS = 60.0
READY_SECONDS = 30.0
_LINE_LIMIT = 2**26

Body = dict[str, Any]


class Refused(Exception):
    """The API server did not do what it was asked for; `status` is its HTTP code."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Client:
    """Requests of the cluster's administrator, at most `CONNECTIONS` at once, and watches besides."""

    def __init__(self, server: str, context: ssl.SSLContext, token: str) -> None:
        self._server = server
        headers = {"Authorization": f"Bearer {token}", "User-Agent": "task-pipeline-bench"}
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=CONNECTIONS, ssl=context),
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS),
        )
        self._watches = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=context), headers=headers, read_bufsize=2**18
        )

    async def close(self) -> None:
        """Close every connection."""
        await self._session.close()
        await self._watches.close()

    async def send(
        self, method: str, path: str, body: Any = None, *, content: str = JSON, accept: str = METADATA
    ) -> Any:
        """The decoded answer; raises Refused for anything but a success."""
        headers = {"Accept": accept} | ({} if body is None else {"Content-Type": content})
        data = None if body is None else orjson.dumps(body)
        async with self._session.request(method, self._server + path, data=data, headers=headers) as response:
            raw = await response.read()
            if response.status >= 400:
                text = raw[:500].decode(errors="replace")
                raise Refused(response.status, f"{method} {path}: {response.status} {text}")
            return orjson.loads(raw)

    async def install(self, manifests: Iterable[tuple[str, Body]]) -> None:
        """Create objects, given as (collection, manifest); what exists already stays as it is."""
        for path, manifest in manifests:
            try:
                await self.send("POST", path, manifest)
            except Refused as refused:
                if refused.status != 409:
                    raise

    async def served(self, path: str) -> None:
        """Wait until the collection at `path` can be listed, as after a new CRD."""
        async with asyncio.timeout(READY_SECONDS):
            while True:
                try:
                    await self.send("GET", f"{path}?limit=1", accept=JSON)
                except Refused:
                    await asyncio.sleep(0.1)
                else:
                    return

    async def version(self, path: str) -> str:
        """The resourceVersion of the collection at `path` now."""
        page = await self.send("GET", f"{path}?limit=1", accept=JSON)
        version: str = page["metadata"]["resourceVersion"]
        return version

    async def watch(self, path: str, version: str) -> AsyncIterator[Body]:
        """Events after `version` until the server ends the watch, at the latest after `WATCH_SECONDS`."""
        query = f"watch=true&allowWatchBookmarks=true&resourceVersion={version}&timeoutSeconds={WATCH_SECONDS}"
        timeout = aiohttp.ClientTimeout(total=WATCH_SECONDS + 30)
        async with self._watches.get(f"{self._server}{path}?{query}", timeout=timeout) as response:
            if response.status >= 400:
                raise Refused(response.status, f"WATCH {path}: {response.status}")
            rest = b""
            async for chunk in response.content.iter_any():
                *whole, rest = (rest + chunk).split(b"\n") if rest else chunk.split(b"\n")
                assert len(rest) <= _LINE_LIMIT, f"an event of {path} has more than {_LINE_LIMIT} bytes"
                for line in whole:
                    if line:
                        yield orjson.loads(line)


@asynccontextmanager
async def client_of(cluster: Cluster) -> AsyncIterator[Client]:
    """A client that is closed when the block ends."""
    client = Client(cluster.server, ssl.create_default_context(cafile=str(cluster.ca_file)), cluster.token)
    try:
        yield client
    finally:
        await client.close()
