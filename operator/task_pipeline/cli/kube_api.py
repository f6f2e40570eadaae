"""The operator's own client with what only people need: tables, edits in their name, judgement without storing.

Rule: a write says that it comes from `tpctl`, never from the operator, and a manifest is checked strictly, so that a
field which the CRD does not know is an error and not silently dropped (as kubectl does it, KEP-2885).
"""

from urllib.parse import urlencode

from task_pipeline.api.resources import Resource
from task_pipeline.kube.client import HttpCluster
from task_pipeline.kube.cluster import Body

MANAGER = "tpctl"
_JSON = b"Accept: application/json\r\n"
_SEND = _JSON + b"Content-Type: application/json\r\n"
_MERGE = _JSON + b"Content-Type: application/merge-patch+json\r\n"
_TABLE = b"Accept: application/json;as=Table;g=meta.k8s.io;v=v1\r\n"


class Api(HttpCluster):
    """One API server. Only what `HttpCluster` has not."""

    async def submit(self, resource: Resource, namespace: str, body: Body, *, dry_run: bool) -> bytes:
        """POST as a user; the object as it is stored, or with `dry_run` as it would be."""
        query = {"fieldManager": MANAGER, "fieldValidation": "Strict"} | ({"dryRun": "All"} if dry_run else {})
        return await self._send("POST", f"{resource.path(namespace)}?{urlencode(query)}", _SEND, body)

    async def edit(self, resource: Resource, namespace: str, name: str, body: Body) -> bytes:
        """Merge-patch as a user; the object after it. `Conflict` when `body` names a stale resourceVersion."""
        path = f"{resource.path(namespace, name)}?{urlencode({'fieldManager': MANAGER})}"
        return await self._send("PATCH", path, _MERGE, body)

    async def table(self, resource: Resource, namespace: str | None, query: dict[str, str]) -> bytes:
        """One page of a collection as a Table: the printer columns of the CRD without the objects."""
        return await self._send("GET", f"{resource.path(namespace)}?{urlencode(query)}", _TABLE)
