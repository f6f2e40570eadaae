"""A REST server that listens, its callers, and the cluster behind it.

Rule: every answer is held against the served OpenAPI document on its way to the test: its status is one that the
document names for that operation, its body fits the schema, and a refusal is a problem document.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from jsonschema import Draft202012Validator

from task_pipeline.api.resources import PIPELINE_CLIENTS, PIPELINES
from task_pipeline.server import logs
from task_pipeline.server.app import build
from task_pipeline.server.auth.authorizer import RequestAuthorizer
from task_pipeline.server.auth.callers import EVERY_NAMESPACE, Caller, CallerKind, Right, Verb
from task_pipeline.server.document import with_document
from task_pipeline.server.health import Readiness
from task_pipeline.server.order import Orders
from task_pipeline.server.overview import Overview
from task_pipeline.server.problem import ProblemError
from task_pipeline.server.services import Services
from task_pipeline.server.streams import Streams
from task_pipeline.server.table import routes
from task_pipeline.settings import Settings
from tests.contract import cases
from tests.contract.worlds import thing
from tests.fakes import FakeCluster

Raw = dict[str, Any]
TEAM = frozenset({"team-a", "team-b"})

CALLERS: Mapping[str, Caller] = {
    "acme": Caller(CallerKind.CLIENT, "acme", TEAM, "acme"),
    "rival": Caller(CallerKind.CLIENT, "rival", frozenset({"team-a"}), "rival"),
    "idle": Caller(CallerKind.CLIENT, "idle", frozenset(), "idle"),
    "broad": Caller(CallerKind.CLIENT, "broad", frozenset({EVERY_NAMESPACE}), "broad"),
    "admin": Caller(CallerKind.ACCOUNT, "admin"),
    "dev": Caller(CallerKind.ACCOUNT, "dev"),
    "stranger": Caller(CallerKind.ACCOUNT, "stranger"),
    "runner": Caller(CallerKind.RUNNER, "runner"),
    "attempt": Caller(CallerKind.ATTEMPT, "attempt"),
}
GRANTS = {"admin": frozenset({EVERY_NAMESPACE}), "dev": frozenset({"team-b"})}


def job(name: str = "a", stage: str = "s", **more: Any) -> Raw:
    """A job whose params are right, too."""
    return cases.job(name, stage, **{"params": {"image": "busybox", "script": "true"}, **more})


def spec(*jobs: Any, **more: Any) -> Raw:
    """A spec with the stages s and t that nothing is to be said against."""
    return cases.spec(*(jobs or (job(),)), **more)


class Authenticator:
    """Takes the name of a caller of the table as its token."""

    async def authenticate(self, request: web.Request) -> Caller:
        name = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if name not in CALLERS:
            raise ProblemError(401, "Unauthorized", "no such caller", headers={"WWW-Authenticate": "Bearer"})
        return CALLERS[name]


class Accounts:
    """Knows what the table grants to Kubernetes users."""

    async def may(self, caller: Caller, verb: Verb, namespace: str) -> bool:
        granted = GRANTS.get(caller.name, frozenset())
        return EVERY_NAMESPACE in granted or namespace in granted

    async def has(self, caller: Caller, right: Right, namespace: str) -> bool:
        """Whoever may do anything there may also make pods."""
        return await self.may(caller, Verb.CREATE, namespace)


@dataclass
class Answer:
    """What came back."""

    status: int
    body: Any
    headers: Mapping[str, str]

    @property
    def reason(self) -> str:
        """The problem's reason."""
        return str(self.body["reason"])

    @property
    def faults(self) -> dict[str, str]:
        """The problem's faults, path to message."""
        return {fault["path"]: fault["message"] for fault in self.body["errors"]}

    @property
    def names(self) -> list[str]:
        """The names of a list's items."""
        return [item["metadata"]["name"] for item in self.body["items"]]


@dataclass
class Site:
    """The server, reached over HTTP."""

    cluster: FakeCluster
    services: Services
    client: "TestClient[web.Request, web.Application]"
    document: Raw = field(default_factory=dict)

    async def call(
        self,
        method: str,
        path: str,
        *,
        by: str | None = "acme",
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        raw: bytes | None = None,
    ) -> Answer:
        """One request; `path` without /api/v1 unless it begins with a double slash."""
        url = path[1:] if path.startswith("//") else f"/api/v1{path}"
        sent = {"Authorization": f"Bearer {by}"} if by else {}
        if body is not None:
            raw = json.dumps(body).encode()
        if raw is not None:
            sent["Content-Type"] = "application/json"
        async with self.client.request(
            method, url, data=None if raw is None else BytesIO(raw), headers={**sent, **(headers or {})}
        ) as response:
            content = await response.read()
            answer = Answer(response.status, _decoded(response.content_type, content), response.headers)
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            assert response.headers["Cache-Control"] == "no-store"
            assert response.headers["X-Request-Id"]
            if self.document:
                self._hold_against_document(method, response.url.raw_path, response.content_type, answer)
        return answer

    def _hold_against_document(self, method: str, path: str, media: str, answer: Answer) -> None:
        if answer.status >= 400:
            assert media == "application/problem+json", answer
            assert answer.body["status"] == answer.status
        operation = self._operation(method, path)
        if operation is None:
            assert answer.status in (404, 405), f"{method} {path} is not in the document"
            return
        described = operation["responses"].get(str(answer.status))
        assert described is not None, f"{method} {path}: {answer.status} is not documented: {answer.body}"
        if "$ref" in described:
            described = self.document["components"]["responses"][described["$ref"].rsplit("/", 1)[1]]
        content = described.get("content")
        if content is None:
            assert answer.body in (None, b"") or isinstance(answer.body, str)
            return
        schema = {**content[media]["schema"], "components": self.document["components"]}
        faults = [
            f"{fault.json_path}: {fault.message}" for fault in Draft202012Validator(schema).iter_errors(answer.body)
        ]
        assert faults == []

    def _operation(self, method: str, path: str) -> Raw | None:
        paths = self.document["paths"]
        for template, operations in [(path, paths[path])] if path in paths else paths.items():
            if re.fullmatch(re.sub(r"{\w+}", "[^/:]+", template), path) and method.lower() in operations:
                found: Raw = operations[method.lower()]
                return found
        return None

    async def create(self, name: str, namespace: str = "team-a", client: str = "acme", **more: Any) -> Raw:
        """A Pipeline, as if somebody had applied it; the object."""
        body = thing(PIPELINES, name, spec=spec(clientId=client, **more))
        await self.cluster.create(PIPELINES, namespace, body)
        return await self.pipeline(name, namespace)

    async def pipeline(self, name: str, namespace: str = "team-a") -> Raw:
        """A Pipeline as the cluster has it."""
        found: Raw = json.loads(await self.cluster.get(PIPELINES, namespace, name))
        return found

    async def status(self, name: str, namespace: str = "team-a", **status: Any) -> None:
        """Write a status, as the operator would."""
        await self.cluster.patch_status(PIPELINES, namespace, name, {"status": status})

    async def pipelines(self, namespace: str | None = None) -> list[str]:
        """Names of all Pipelines."""
        return [item["metadata"]["name"] for item in json.loads(await self.cluster.list(PIPELINES, namespace))["items"]]

    async def client_status(self, name: str, **status: int) -> None:
        """Write what the operator counts for a client."""
        await self.cluster.patch_status(PIPELINE_CLIENTS, "task-pipeline", name, {"status": status})


def _decoded(media: str, content: bytes) -> Any:
    if not content:
        return None
    return json.loads(content) if media.endswith("json") else content.decode()


async def open_site(**settings: Any) -> Site:
    """A site with two teams, the clients acme, rival, idle, broad and default, and no Pipelines."""
    cluster = FakeCluster(namespaces=("default", "task-pipeline", "team-a", "team-b"))
    for name in ("acme", "rival", "idle", "broad", "default"):
        reached = sorted(CALLERS[name].namespaces) if name in CALLERS else ["*"]
        body = thing(PIPELINE_CLIENTS, name, spec={"namespaces": reached or ["nowhere"]})
        await cluster.create(PIPELINE_CLIENTS, "task-pipeline", body)
    authorizer = RequestAuthorizer(Accounts())  # type: ignore[arg-type]
    services = Services(cluster, Settings(**settings), Authenticator(), authorizer)
    overview = Overview(cluster, services.settings)
    more = (*Orders(overview).routes, *Streams().routes, *logs.routes)
    app = build(with_document((*routes(Readiness()), *more)), services)
    overview.serve(app)
    client = TestClient(TestServer(app))
    await client.start_server()
    await overview.synced()
    site = Site(cluster, services, client)
    site.document = (await site.call("GET", "//openapi.json", by=None)).body
    return site
