"""The protocol through which the operator reaches a cluster.

Two implementations keep it: `kube.client.HttpCluster` (a real API server) and the in-memory one of the tests; one
contract suite runs on both. Bodies go out as dicts; replies come back as raw JSON bytes, or as `ObjectMeta` where
only the metadata is of interest (the server then sends a PartialObjectMetadata).
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from task_pipeline.api.objects import ObjectMeta
from task_pipeline.api.resources import Resource

Body = dict[str, Any]
Propagation = Literal["Background", "Foreground", "Orphan"]


@dataclass(frozen=True, slots=True)
class LogQuery:
    """Which log, and how much: the last `tail` lines, of the last `since` seconds; with `follow` also what comes."""

    container: str
    follow: bool = False
    tail: int | None = None
    since: int | None = None


class Cluster(Protocol):
    """Every method raises `kube.errors.KubeError`; every one of them ends within a timeout."""

    async def create(self, resource: Resource, namespace: str | None, body: Body) -> ObjectMeta:
        """POST `body`. `AlreadyExists` when the name is taken."""

    async def post(self, resource: Resource, namespace: str | None, body: Body) -> bytes:
        """POST `body` and return the whole answer: for reviews, which the server answers and does not store."""

    async def patch_status(self, resource: Resource, namespace: str | None, name: str, body: Body) -> ObjectMeta:
        """Merge-patch the status subresource. With `metadata.resourceVersion` in `body`, `Conflict` if it is stale."""

    async def patch(self, resource: Resource, namespace: str | None, name: str, body: Body | list[Body]) -> bytes:
        """Merge-patch (a dict) or JSON-patch (a list of operations) the object; returns the whole object."""

    async def apply(
        self, resource: Resource, namespace: str | None, name: str, body: Body, *, force: bool = False
    ) -> bytes:
        """Server-side apply by field manager `task-pipeline`; returns the whole object. `Conflict` names managers."""

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
        """DELETE; with `uid` only that very object, with `resource_version` only as it is there (`Conflict` otherwise).

        `NotFound` when it is gone already.
        """

    async def get(self, resource: Resource, namespace: str | None, name: str) -> bytes:
        """GET one object."""

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
        """GET one page of a collection (`namespace` None: of all namespaces).

        `selector` is a label selector, `fields` a field selector such as `status.state=DONE`. `Gone` for a token that
        is too old.
        """

    def watch(
        self,
        resource: Resource,
        namespace: str | None,
        *,
        selector: str | None = None,
        fields: str | None = None,
        resource_version: str,
    ) -> AsyncIterator[bytes]:
        """Watch events, one JSON document each, bookmarks included, until the server ends the stream."""

    def log(self, namespace: str, pod: str, query: LogQuery) -> AsyncIterator[bytes]:
        """The log of a container as raw bytes, in pieces of any size. `NotFound` when the pod is gone, `Invalid` while
        the container has not started.
        """
