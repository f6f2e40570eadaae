"""The in-memory cluster behind a port, so that the whole program talks to it: URLs, headers and all.

Rule: only what kubectl-like clients send is understood; what the answers hold comes from `tests.fakes`, which one
contract suite holds to a real API server. Tables are made as the CRD's printer columns say.
"""

import asyncio
from collections.abc import Mapping
from functools import cache
from typing import Any

import orjson
from aiohttp import web

from task_pipeline.api import resources
from task_pipeline.api.crd import crd_for
from task_pipeline.api.resources import PIPELINES, Resource
from task_pipeline.cli.ages import age
from task_pipeline.kube.cluster import LogQuery
from task_pipeline.kube.errors import ApiError, KubeError
from tests.fakes import FakeCluster

RESOURCES = {one.plural: one for one in vars(resources).values() if isinstance(one, Resource)}
TOKEN = "the-token-of-the-test"


class ApiServer:
    """Answers requests from `cluster`. `requests` has the method and path of each, `refuse` the status of the next."""

    def __init__(self, cluster: FakeCluster) -> None:
        self.cluster = cluster
        self.requests: list[str] = []
        self.headers: list[Mapping[str, str]] = []
        self.refuse: list[tuple[int, str, str]] = []
        self.delay = 0.0

    def application(self) -> web.Application:
        """The application, with one route for everything."""
        app = web.Application(client_max_size=4 * 2**20)
        app.router.add_route("*", "/{path:.*}", self._handle)
        return app

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(f"{request.method} {request.path}")
        self.headers.append(dict(request.headers))
        await asyncio.sleep(self.delay)
        try:
            if request.headers.get("Authorization") != f"Bearer {TOKEN}":
                raise ApiError(401, "Unauthorized", "Unauthorized")
            if self.refuse:
                raise ApiError(*self.refuse.pop(0))
            return await self._answer(request)
        except ApiError as error:
            status = {"kind": "Status", "code": error.status, "reason": error.reason, "message": error.message}
            return web.json_response(status, status=error.status)
        except ConnectionError:
            return web.Response(status=500)  # whoever asked is gone
        except KubeError as error:
            return web.json_response({"kind": "Status", "message": str(error)}, status=500)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        resource, namespace, name, sub = _target(request.path)
        cluster = self.cluster
        if name is None and request.method == "GET":
            return await self._collection(request, resource, namespace)
        match request.method:
            case "GET" if sub == "log":
                return await self._log(request, namespace, name or "")
            case "GET":
                return _raw(await cluster.get(resource, namespace, name or ""))
            case "POST":
                body = orjson.loads(await request.read())
                if request.query.get("dryRun"):
                    judged = cluster.admin.create(resource, body, namespace)
                    cluster.admin.delete(resource, judged["metadata"]["name"], namespace or "default")
                    return _raw(orjson.dumps(judged), 201)
                made = await cluster.create(resource, namespace, body)
                return _raw(await cluster.get(resource, namespace, made.name), 201)
            case "PATCH":
                assert name is not None
                return _raw(await cluster.patch(resource, namespace, name, orjson.loads(await request.read())))
            case "DELETE":
                assert name is not None
                options = orjson.loads(await request.read() or b"{}")
                await cluster.delete(resource, namespace, name, uid=options.get("preconditions", {}).get("uid"))
                return _raw(b'{"kind": "Status", "status": "Success"}')
        raise ApiError(405, "MethodNotAllowed", "the server does not allow this method")

    async def _collection(self, request: web.Request, resource: Resource, namespace: str | None) -> web.StreamResponse:
        query, accept = request.query, request.headers.get("Accept", "")
        chosen = {"selector": query.get("labelSelector"), "fields": query.get("fieldSelector")}
        if query.get("watch") == "true":
            response = web.StreamResponse()
            await response.prepare(request)
            place = query["resourceVersion"]
            async for line in self.cluster.watch(resource, namespace, **chosen, resource_version=place):
                await response.write(line + b"\n")
            return response
        page = await self.cluster.list(
            resource,
            namespace,
            **chosen,
            limit=int(query.get("limit", 0)),
            continue_token=query.get("continue"),
            metadata_only="PartialObjectMetadataList" in accept,
        )
        return _raw(_table(resource, orjson.loads(page), query) if "as=Table" in accept else page)

    async def _log(self, request: web.Request, namespace: str | None, name: str) -> web.StreamResponse:
        query = request.query
        numbers = {name: int(query[word]) for name, word in (("tail", "tailLines"),) if word in query}
        wanted = LogQuery(query.get("container", "main"), follow=query.get("follow") == "true", **numbers)
        response = None
        async for piece in self.cluster.log(namespace or "", name, wanted):
            if response is None:
                response = web.StreamResponse()
                await response.prepare(request)
            if piece:
                await response.write(piece)
        return response or web.Response(body=b"")


def _target(path: str) -> tuple[Resource, str | None, str | None, str | None]:
    parts = path.strip("/").split("/")
    parts = parts[3:] if parts[0] == "apis" else parts[2:]
    namespace = None
    if parts[:1] == ["namespaces"] and len(parts) > 2:
        namespace, parts = parts[1], parts[2:]
    resource = RESOURCES.get(parts[0] if parts else "")
    if resource is None:
        raise ApiError(404, "NotFound", "the server could not find the requested resource")
    name, sub = ([*parts[1:], None, None])[:2]
    return resource, namespace, name, sub


def _raw(body: bytes, status: int = 200) -> web.Response:
    return web.Response(body=body, status=status, content_type="application/json")


@cache
def _columns(kind: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = crd_for(kind)["spec"]["versions"][0]["additionalPrinterColumns"]
    return found


def _table(resource: Resource, page: dict[str, Any], query: Mapping[str, str]) -> bytes:
    """The page as a meta.k8s.io/v1 Table."""
    columns = _columns(resource.kind)
    definitions = [{"name": "Name", "type": "string"}, *({"name": one["name"], "type": one["type"]} for one in columns)]
    rows = []
    for thing in page["items"]:
        cells: list[Any] = [thing["metadata"]["name"]]
        for one in columns:
            value: Any = thing
            for part in one["jsonPath"].strip(".").split("."):
                value = value.get(part) if isinstance(value, dict) else None
            cells.append(age(value) if one["type"] == "date" and value else value)
        about = {} if query.get("includeObject") == "None" else {"object": {"metadata": thing["metadata"]}}
        rows.append({"cells": cells, **about})
    return orjson.dumps({"kind": "Table", "columnDefinitions": definitions, "rows": rows, "metadata": page["metadata"]})


def kubeconfig(port: int, namespace: str = "team-a") -> str:
    """A kubeconfig that leads to the port."""
    user = {"name": "me", "user": {"token": TOKEN}}
    cluster = {"name": "fake", "cluster": {"server": f"http://127.0.0.1:{port}"}}
    context = {"name": "fake", "context": {"cluster": "fake", "user": "me", "namespace": namespace}}
    document = {
        "apiVersion": "v1", "kind": "Config", "current-context": "fake",
        "users": [user], "clusters": [cluster], "contexts": [context],
    }  # fmt: skip
    return orjson.dumps(document).decode()


__all__ = ["PIPELINES", "TOKEN", "ApiServer", "kubeconfig"]
