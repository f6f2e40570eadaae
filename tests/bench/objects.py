"""Objects of one resource, and every way in which they can be written.

Rule: an object is written by number; what is sent is made before the batch is measured, and each answer's
resourceVersion is kept for the next write of the same object.
"""

from collections.abc import Callable
from typing import Any

import orjson

from task_pipeline.api.group import VERSION
from tests.bench.apiserver import JSON, METADATA, ApiServer

Body = dict[str, Any]
MERGE, JSON_PATCH, APPLY = (
    f"application/{form}" for form in ("merge-patch+json", "json-patch+json", "apply-patch+yaml")
)
_APPLY = "fieldManager=bench&force=true"


class Objects:
    """The objects that `make` makes, at `path`; `group` replaces their own API group."""

    def __init__(self, server: ApiServer, path: str, make: Callable[[int], Body], group: str | None = None) -> None:
        self._server = server
        self.path = path
        self._make = make
        self._group = group
        self._bodies: dict[int, Body] = {}
        self._versions: dict[int, str] = {}

    def prepare(self, numbers: range) -> None:
        """Make what will be sent for these."""
        self._bodies = {number: self._body(number) for number in numbers}

    async def post(self, number: int, query: str = "", accept: str = METADATA) -> None:
        self._keep(number, await self._server.send("POST", self.path + query, self._bodies[number], accept=accept))

    async def apply(self, number: int) -> None:
        """Create by server-side apply."""
        place = f"{self.path}/{self._name(number)}?{_APPLY}"
        self._keep(number, await self._server.send("PATCH", place, self._bodies[number], content=APPLY))

    async def merge(
        self, number: int, status: Body, query: str = "", *, accept: str = METADATA, tested: bool = True
    ) -> None:
        """The status by merge patch; `tested`: only if nobody else has written."""
        body: Body = {"status": status}
        if tested:
            body["metadata"] = {"resourceVersion": self._versions[number]}
        await self._status("PATCH", number, body, MERGE, query, accept)

    async def json_patch(self, number: int, status: Body) -> None:
        """The status by JSON patch, field by field."""
        operations: list[Body] = [
            {"op": "test", "path": "/metadata/resourceVersion", "value": self._versions[number]},
            *({"op": "add", "path": f"/status/{name}", "value": value} for name, value in status.items()),
        ]
        await self._status("PATCH", number, operations, JSON_PATCH)

    async def put(self, number: int, status: Body, *, spec: bool) -> None:
        """The whole status by PUT, with the spec (as it is) or without."""
        await self._status("PUT", number, self._whole(number, status, spec=spec), JSON)

    async def apply_status(self, number: int, status: Body) -> None:
        """The whole status by server-side apply."""
        body = self._whole(number, status, spec=False)
        await self._status("PATCH", number, body, APPLY, f"?{_APPLY}")

    async def _status(
        self, method: str, number: int, body: Any, content: str, query: str = "", accept: str = METADATA
    ) -> None:
        place = f"{self.path}/{self._name(number)}/status{query}"
        self._keep(number, await self._server.send(method, place, body, content=content, accept=accept))

    def _whole(self, number: int, status: Body, *, spec: bool) -> Body:
        made = self._bodies[number]
        metadata = {"name": self._name(number), "resourceVersion": self._versions[number]}
        body = {"apiVersion": made["apiVersion"], "kind": made["kind"], "metadata": metadata, "status": status}
        return body | {"spec": made["spec"]} if spec else body

    def _body(self, number: int) -> Body:
        made = self._make(number)
        return made | {"apiVersion": f"{self._group}/{VERSION}"} if self._group else made

    def _name(self, number: int) -> str:
        name: str = self._bodies[number]["metadata"]["name"]
        return name

    def _keep(self, number: int, answer: bytes) -> None:
        self._versions[number] = orjson.loads(answer)["metadata"]["resourceVersion"]
