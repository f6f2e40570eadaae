"""An in-memory cluster with clients and their secrets, and the authentication of one or more replicas."""

import asyncio
from datetime import datetime
from typing import Any

from task_pipeline.api.resources import PIPELINE_CLIENTS, SECRETS
from task_pipeline.api.times import format_time
from task_pipeline.server.auth import secrets, vault
from task_pipeline.server.auth.credentials import HASH, TYPE_CLIENT, read_pepper
from task_pipeline.server.auth.setup import Auth, AuthConfig, set_up
from tests.fakes import FakeCluster
from tests.fakes.registry import Target

NAMESPACE = "task-pipeline"


class World:
    """The cluster; `replica` makes the authentication of one server process."""

    def __init__(self, cluster: FakeCluster | None = None) -> None:
        self.cluster = cluster or FakeCluster()
        self._number = 0

    def replica(self, **config: Any) -> Auth:
        """A replica that has just started."""
        clock = asyncio.get_running_loop().time
        return set_up(self.cluster, AuthConfig(NAMESPACE, **config), now=self.cluster.now, clock=clock)

    def client(self, name: str, *namespaces: str, credentials: tuple[dict[str, Any], ...] = ()) -> None:
        """A PipelineClient."""
        spec = {"namespaces": list(namespaces), "credentials": list(credentials)}
        self.cluster.registry.create(PIPELINE_CLIENTS, NAMESPACE, {"metadata": {"name": name}, "spec": spec})

    async def secret(self, client: str, *, not_after: datetime | None = None) -> str:
        """A further secret of the client."""
        made = secrets.generate()
        await self.store(client, made, not_after=not_after)
        return made

    async def store(self, client: str, secret: str, *, not_after: datetime | None = None) -> str:
        """Store the hash of `secret` and name it in the PipelineClient; returns the name of the Secret."""
        self._number += 1
        name = f"{client}-{self._number}"
        hashed = secrets.digest(await read_pepper(self.cluster, NAMESPACE), client, secret)
        body = vault.manifest(name, TYPE_CLIENT, {HASH: secrets.to_data(hashed)}, immutable=True)
        self.cluster.registry.create(SECRETS, NAMESPACE, body)
        entry: dict[str, Any] = {"secretRef": {"name": name}}
        if not_after is not None:
            entry["notAfter"] = format_time(not_after)
        self.credentials(client, lambda known: [*known, entry])
        return name

    def credentials(self, client: str, edit: Any) -> None:
        """Change the list of a client's credentials."""

        def changed(thing: dict[str, Any]) -> dict[str, Any]:
            spec = thing["spec"]
            return {**thing, "spec": {**spec, "credentials": edit(spec.get("credentials", []))}}

        self.cluster.registry.update(Target(PIPELINE_CLIENTS, NAMESPACE, client), changed)
