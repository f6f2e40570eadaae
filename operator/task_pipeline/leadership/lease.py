"""The Lease on the API server: read, create, replace. Nothing here decides, and nothing is repeated.

A client of its own, so that nothing that the operator sends can keep a renewal waiting for a connection.
The caller bounds the time of each call.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from task_pipeline.api.resources import Resource
from task_pipeline.kube.client import HttpCluster
from task_pipeline.kube.config import Connection
from task_pipeline.kube.errors import NotFound, Unreachable
from task_pipeline.leadership.record import Record, wire

LEASES = Resource("coordination.k8s.io", "v1", "leases", "Lease")
LEASE_NAME = "task-pipeline-operator"


@dataclass(frozen=True, slots=True)
class Found:
    """A Lease as it was read or written: its record, and its metadata, which go back with the next write."""

    record: Record
    metadata: dict[str, Any]


class Leases(Protocol):
    """Where the Lease is. Every method raises `kube.errors.KubeError`."""

    async def read(self) -> Found | None:
        """The Lease; None when there is none."""

    async def create(self, record: Record) -> Found:
        """Make the Lease. `AlreadyExists` when there is one."""

    async def replace(self, known: Found, record: Record) -> Found:
        """Write the record, if the Lease is still as in `known`; `Conflict` otherwise, `NotFound` when it is gone."""


class HttpLeases:
    """One Lease of one namespace. To be used in one event loop; `close` in the end."""

    def __init__(self, connection: Connection, namespace: str, name: str = LEASE_NAME) -> None:
        self._namespace = namespace
        self._name = name
        self._cluster = HttpCluster(connection, connections=2)

    async def close(self) -> None:
        """Close the connection."""
        await self._cluster.close()

    async def read(self) -> Found | None:
        try:
            return _found(await self._cluster.get(LEASES, self._namespace, self._name))
        except NotFound:
            return None

    async def create(self, record: Record) -> Found:
        metadata = {"name": self._name, "namespace": self._namespace}
        return _found(await self._cluster.post(LEASES, self._namespace, _body(metadata, record)))

    async def replace(self, known: Found, record: Record) -> Found:
        body = _body(known.metadata, record)
        return _found(await self._cluster.replace(LEASES, self._namespace, self._name, body))


class _Lease(msgspec.Struct):
    metadata: dict[str, Any]
    spec: Record = Record()


def _found(raw: bytes) -> Found:
    try:
        lease = msgspec.json.decode(raw, type=_Lease)
    except msgspec.DecodeError as error:
        raise Unreachable(f"the answer is no Lease: {error}") from error
    lease.metadata.pop("managedFields", None)
    return Found(lease.spec, lease.metadata)


def _body(metadata: dict[str, Any], record: Record) -> dict[str, Any]:
    return {"apiVersion": LEASES.api_version, "kind": LEASES.kind, "metadata": metadata, "spec": wire(record)}
