"""The write gate: open until a moment of a clock that no change of the time of day moves, and never again once closed.

One thread opens it, another looks at it and closes it, without a lock: to open and to close are single writes of two
different fields, so an opening that is under way while it is closed opens nothing.
"""

import time
from collections.abc import AsyncIterator, Callable

from task_pipeline.api.objects import ObjectMeta
from task_pipeline.api.resources import Resource
from task_pipeline.kube.cluster import Body, Cluster, LogQuery, Propagation
from task_pipeline.kube.errors import KubeError

_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def clock() -> float:
    """Seconds that also pass while the machine sleeps, where the system has such a clock."""
    return time.clock_gettime(_CLOCK)


class NotLeading(KubeError):
    """This replica does not hold the Lease: nothing was sent, and nothing will be."""


class Gate:
    """Closed at first."""

    def __init__(self, clock: Callable[[], float] = clock) -> None:
        self.clock = clock
        self._until = 0.0
        self._closed = False

    def open_until(self, moment: float) -> None:
        """Let writes pass before `moment`."""
        self._until = moment

    def close(self) -> None:
        """Let no write pass any more, for good."""
        self._closed = True

    @property
    def is_open(self) -> bool:
        """Whether a write may be sent now."""
        return not self._closed and self.clock() < self._until

    def check(self) -> None:
        """Raise NotLeading unless a write may be sent now."""
        if not self.is_open:
            raise NotLeading("this replica does not lead")


class GatedCluster:
    """A Cluster whose requests for changes pass the gate; it is looked at right before each of them is handed on."""

    def __init__(self, cluster: Cluster, gate: Gate) -> None:
        self._cluster = cluster
        self._gate = gate

    async def create(self, resource: Resource, namespace: str | None, body: Body) -> ObjectMeta:
        self._gate.check()
        return await self._cluster.create(resource, namespace, body)

    async def post(self, resource: Resource, namespace: str | None, body: Body) -> bytes:
        self._gate.check()
        return await self._cluster.post(resource, namespace, body)

    async def patch_status(self, resource: Resource, namespace: str | None, name: str, body: Body) -> ObjectMeta:
        self._gate.check()
        return await self._cluster.patch_status(resource, namespace, name, body)

    async def patch(self, resource: Resource, namespace: str | None, name: str, body: Body | list[Body]) -> bytes:
        self._gate.check()
        return await self._cluster.patch(resource, namespace, name, body)

    async def apply(
        self, resource: Resource, namespace: str | None, name: str, body: Body, *, force: bool = False
    ) -> bytes:
        self._gate.check()
        return await self._cluster.apply(resource, namespace, name, body, force=force)

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
        self._gate.check()
        await self._cluster.delete(
            resource, namespace, name, uid=uid, resource_version=resource_version, propagation=propagation
        )

    async def get(self, resource: Resource, namespace: str | None, name: str) -> bytes:
        return await self._cluster.get(resource, namespace, name)

    async def list(  # noqa: PLR0913 (as in the protocol)
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
        return await self._cluster.list(
            resource,
            namespace,
            selector=selector,
            fields=fields,
            limit=limit,
            continue_token=continue_token,
            metadata_only=metadata_only,
        )

    def watch(
        self,
        resource: Resource,
        namespace: str | None,
        *,
        selector: str | None = None,
        fields: str | None = None,
        resource_version: str,
    ) -> AsyncIterator[bytes]:
        return self._cluster.watch(
            resource, namespace, selector=selector, fields=fields, resource_version=resource_version
        )

    def log(self, namespace: str, pod: str, query: LogQuery) -> AsyncIterator[bytes]:
        return self._cluster.log(namespace, pod, query)
