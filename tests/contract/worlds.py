"""The clusters that one contract suite runs on: the in-memory one, and a real API server.

Rule: a test gets a World and cannot tell which it has; only how a world is made, and how its watches are made
short, differs. What is waited for is polled with a deadline, in the time of the event loop.
"""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import orjson

from task_pipeline.api.resources import NAMESPACES, PIPELINE_JOBS, PIPELINES, Resource
from task_pipeline.kube.cluster import Cluster
from task_pipeline.kube.errors import NotFound
from tests.contract.cases import spec

Raw = dict[str, Any]
T = TypeVar("T")
SECONDS = 30.0
SERVICE_ACCOUNTS = Resource("", "v1", "serviceaccounts", "ServiceAccount")

JOB_SPEC: Raw = {
    "pipeline": "p",
    "name": "a",
    "stage": "s",
    "stageIndex": 0,
    "index": 0,
    "run": 1,
    "clientId": "default",
    "kind": "Shell",
    "version": "1.0.0",
    "params": {"image": "busybox"},
}


@dataclass
class World:
    """One cluster and one namespace in it. `shorten(seconds)` lets the server end its watches after that time."""

    cluster: Cluster
    namespace: str
    shorten: Callable[[float], None]

    async def get(self, resource: Resource, name: str) -> Raw:
        """One object, decoded."""
        found: Raw = orjson.loads(await self.cluster.get(resource, self.namespace, name))
        return found

    async def page(self, resource: Resource, **query: Any) -> Raw:
        """One page, decoded."""
        page: Raw = orjson.loads(await self.cluster.list(resource, self.namespace, **query))
        return page

    async def version(self, resource: Resource) -> str:
        """The resourceVersion of the collection as it is now."""
        return str((await self.page(resource, limit=1))["metadata"]["resourceVersion"])

    async def patch(self, resource: Resource, name: str, body: Any) -> Raw:
        """Patch, and the object after it."""
        result: Raw = orjson.loads(await self.cluster.patch(resource, self.namespace, name, body))
        return result

    async def apply(self, resource: Resource, name: str, body: Raw, *, force: bool = False) -> Raw:
        """Server-side apply of `body`, completed with what every apply must say, and the object after it."""
        whole = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": {"name": name}} | body
        result: Raw = orjson.loads(await self.cluster.apply(resource, self.namespace, name, whole, force=force))
        return result

    async def pipeline(self, name: str, **more: Any) -> None:
        """A Pipeline with one job; `more` goes into its metadata."""
        await self.cluster.create(PIPELINES, self.namespace, thing(PIPELINES, name, spec=spec(), **more))

    async def job(self, name: str, **more: Any) -> str:
        """A PipelineJob; returns its UID."""
        body = thing(PIPELINE_JOBS, name, spec=JOB_SPEC, **more)
        return (await self.cluster.create(PIPELINE_JOBS, self.namespace, body)).uid

    async def exists(self, resource: Resource, name: str) -> bool:
        """Whether the object is there."""
        try:
            await self.cluster.get(resource, self.namespace, name)
        except NotFound:
            return False
        return True

    async def events(self, resource: Resource, version: str, count: int, selector: str | None = None) -> list[Raw]:
        """The first `count` watch events from `version` on, bookmarks left out."""
        stream = self.cluster.watch(resource, self.namespace, selector=selector, resource_version=version)
        found: list[Raw] = []
        async with asyncio.timeout(SECONDS), contextlib.aclosing(stream):  # type: ignore[type-var]
            async for line in stream:
                event = orjson.loads(line)
                if event["type"] != "BOOKMARK":
                    found.append(event)
                if len(found) == count:
                    break
        return found


def thing(resource: Resource, name: str, *, spec: Raw | None = None, **metadata: Any) -> Raw:
    """A manifest."""
    head = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": {"name": name, **metadata}}
    return head | ({} if spec is None else {"spec": spec})


async def until(check: Callable[[], Awaitable[T]], seconds: float = SECONDS) -> T:
    """Ask again and again until the answer is true; that answer."""
    deadline = asyncio.get_running_loop().time() + seconds
    while not (answer := await check()):
        assert asyncio.get_running_loop().time() < deadline, f"not within {seconds} s"
        await asyncio.sleep(0.05)
    return answer


@contextlib.asynccontextmanager
async def new_namespace(cluster: Cluster, *, real: bool) -> AsyncIterator[str]:
    """A namespace of its own, ready to have pods, and asked to go at the end."""
    name = f"contract-{secrets.token_hex(4)}"
    await cluster.create(NAMESPACES, None, {"metadata": {"name": name}})
    if real:

        async def account() -> bool:
            page = orjson.loads(await cluster.list(SERVICE_ACCOUNTS, name))
            return any(item["metadata"]["name"] == "default" for item in page["items"])

        await until(account)
    yield name
    with contextlib.suppress(NotFound):
        await cluster.delete(NAMESPACES, None, name)
