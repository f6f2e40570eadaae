"""Server processes with authentication and three probing routes, on one in-memory cluster."""

import base64
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer

from task_pipeline.kube.cluster import Cluster
from task_pipeline.server.app import build
from task_pipeline.server.auth.callers import AttemptClaim
from task_pipeline.server.auth.gate import Limits
from task_pipeline.server.auth.limits import Patience, Rate
from task_pipeline.server.auth.setup import Auth, AuthConfig, set_up
from task_pipeline.server.call import Call, Reply
from task_pipeline.server.routes import Access, Route
from task_pipeline.server.services import Services
from task_pipeline.settings import Settings
from tests.unit.server.auth.world import NAMESPACE, World

WIDE = Limits(Rate(1e6, 1e6), Rate(1e6, 1e6), Patience(free=10**9))
CLAIM = AttemptClaim("a", "p-job", "uid-1", 2)


@dataclass
class Clock:
    """Both clocks of a server, which a test moves on."""

    world: World
    moved: float = 0.0

    def now(self) -> datetime:
        return self.world.cluster.now() + timedelta(seconds=self.moved)

    def steady(self) -> float:
        return self.now().timestamp()


@dataclass
class Replica:
    """One server process."""

    auth: Auth
    http: TestClient[Any, Any]

    async def get(self, path: str, authorization: str | None = None, **headers: str) -> ClientResponse:
        sent = headers if authorization is None else headers | {"Authorization": authorization}
        response: ClientResponse = await self.http.get(path, headers=sent)
        await response.read()
        return response

    async def token(self, data: Any = None, authorization: str | None = None) -> ClientResponse:
        headers = {} if authorization is None else {"Authorization": authorization}
        form = {"grant_type": "client_credentials"} if data is None else data
        response: ClientResponse = await self.http.post("/oauth2/token", data=form, headers=headers)
        await response.read()
        return response


async def _whoami(call: Call) -> Reply:
    caller = call.caller
    return Reply(body={"kind": caller.kind, "name": caller.name, "namespaces": sorted(caller.namespaces)})


PROBES = (
    Route("GET", "/probe", _whoami, Access.CALLER, "who calls"),
    Route("GET", "/attempt", _whoami, Access.ATTEMPT, "which attempt calls"),
    Route("GET", "/open", _whoami, Access.PUBLIC, "for everybody"),
)


@contextlib.asynccontextmanager
async def replica(world: World, clock: Clock, limits: Limits = WIDE, **config: Any) -> AsyncIterator[Replica]:
    """A running server on the in-memory cluster."""
    auth = set_up(world.cluster, AuthConfig(NAMESPACE, limits=limits, **config), now=clock.now, clock=clock.steady)
    async with serving(world.cluster, auth) as made:
        yield made


@contextlib.asynccontextmanager
async def serving(cluster: Cluster, auth: Auth) -> AsyncIterator[Replica]:
    """A running server with that authentication."""
    settings = Settings(operator_namespace=NAMESPACE)
    services = Services(cluster, settings, auth.authenticator, auth.authorizer)
    async with TestClient(TestServer(build((*PROBES, *auth.routes), services))) as http:
        yield Replica(auth, http)


def basic(client: str, secret: str) -> str:
    """The header of RFC 7617."""
    return "Basic " + base64.b64encode(f"{client}:{secret}".encode()).decode()
