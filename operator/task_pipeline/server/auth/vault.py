"""The server's own Secrets in the operator's namespace: read by name, made once by whichever replica is first.

Rule: of two replicas that make one at the same moment the API server takes one, and the other reads it. Nothing of
a Secret's data is ever part of an error or a log line.
"""

import base64
import binascii
from collections.abc import Mapping
from typing import Any

import orjson

from task_pipeline.api.group import LABEL_MANAGED_BY, MANAGED_BY
from task_pipeline.api.resources import SECRETS
from task_pipeline.kube.cluster import Cluster
from task_pipeline.kube.errors import AlreadyExists
from task_pipeline.server.auth.asking import ask

KEYS_SECRET = "task-pipeline-server-keys"  # noqa: S105 (the name of an object)
PEPPER_SECRET = "task-pipeline-server-pepper"  # noqa: S105 (the name of an object)
TYPE_SERVER = "taskpipeline.dev/server"


class Sealed:
    """One Secret as it was read: its bytes by name, and the version for the next write."""

    __slots__ = ("data", "type", "version")

    def __init__(self, raw: bytes) -> None:
        document = orjson.loads(raw)
        self.type: str = document.get("type", "Opaque")
        self.version: str = document["metadata"]["resourceVersion"]
        self.data: Mapping[str, bytes] = {name: _decoded(text) for name, text in (document.get("data") or {}).items()}


async def read(cluster: Cluster, namespace: str, name: str) -> Sealed:
    """The Secret `name`. Raises NotFound and every other KubeError."""
    return Sealed(await ask(lambda: cluster.get(SECRETS, namespace, name)))


async def create(cluster: Cluster, namespace: str, body: dict[str, Any]) -> None:
    """Make a Secret; one that is there already is left as it is. Raises KubeError."""
    try:
        await ask(lambda: cluster.create(SECRETS, namespace, body))
    except AlreadyExists:
        return


async def change(cluster: Cluster, namespace: str, name: str, version: str, data: Mapping[str, bytes | None]) -> Sealed:
    """Set the entries of `data`, take those away that are None, if the Secret is still at `version`.

    Raises Conflict otherwise, or when an answer was lost and the change has been made: read it again.
    """
    changed = {key: None if value is None else encoded(value) for key, value in data.items()}
    patch = {"metadata": {"resourceVersion": version}, "data": changed}
    return Sealed(await ask(lambda: cluster.patch(SECRETS, namespace, name, patch)))


def manifest(name: str, kind: str, data: Mapping[str, bytes], *, immutable: bool = False) -> dict[str, Any]:
    """A Secret to be made."""
    return {
        "apiVersion": SECRETS.api_version,
        "kind": SECRETS.kind,
        "metadata": {"name": name, "labels": {LABEL_MANAGED_BY: MANAGED_BY}},
        "type": kind,
        "immutable": immutable,
        "data": {key: encoded(value) for key, value in data.items()},
    }


def encoded(value: bytes) -> str:
    """Bytes as a Secret holds them."""
    return base64.b64encode(value).decode()


def _decoded(text: Any) -> bytes:
    try:
        return base64.b64decode(text)
    except (binascii.Error, TypeError, ValueError):
        return b""
