"""Questions that the API server answers and does not store, and Secrets: on both worlds."""

import base64
from typing import Any

import orjson
import pytest

from task_pipeline.api.resources import ACCESS_REVIEWS, SECRETS, TOKEN_REVIEWS, Resource
from task_pipeline.kube.errors import AlreadyExists, Conflict, NotFound
from tests.contract.worlds import World, thing


async def ask(world: World, resource: Resource, spec: dict[str, Any]) -> dict[str, Any]:
    body = {"apiVersion": resource.api_version, "kind": resource.kind, "spec": spec}
    answer: dict[str, Any] = orjson.loads(await world.cluster.post(resource, None, body))
    assert answer["kind"] == resource.kind
    return dict(answer["status"])


async def test_an_unknown_token_is_not_authenticated(world: World) -> None:
    status = await ask(world, TOKEN_REVIEWS, {"token": "a.b.c", "audiences": ["task-pipeline"]})
    assert not status.get("authenticated")
    assert status["user"] == {}
    assert "audiences" not in status
    assert status["error"]


async def test_a_stranger_may_do_nothing(world: World) -> None:
    wanted = {"group": "taskpipeline.dev", "resource": "pipelines", "verb": "get", "namespace": world.namespace}
    status = await ask(world, ACCESS_REVIEWS, {"user": "stranger", "groups": ["none"], "resourceAttributes": wanted})
    assert status["allowed"] is False


async def test_what_is_no_resource_is_not_found(world: World) -> None:
    nothing = Resource("authorization.k8s.io", "v1", "nothings", "Nothing")
    with pytest.raises(NotFound):
        await world.cluster.post(nothing, None, {"apiVersion": nothing.api_version, "kind": "Nothing"})


async def test_a_secret_keeps_its_bytes_and_its_type(world: World) -> None:
    data = {"hash": base64.b64encode(b"\x00value").decode()}
    body = thing(SECRETS, "s") | {"data": data, "type": "taskpipeline.dev/client-secret"}
    await world.cluster.create(SECRETS, world.namespace, body)
    found = await world.get(SECRETS, "s")
    assert (found["data"], found["type"]) == (data, "taskpipeline.dev/client-secret")
    assert "generation" not in found["metadata"]
    with pytest.raises(AlreadyExists):
        await world.cluster.create(SECRETS, world.namespace, body)
    stale = {"metadata": {"resourceVersion": found["metadata"]["resourceVersion"]}, "data": {"more": data["hash"]}}
    changed = await world.patch(SECRETS, "s", stale)
    assert set(changed["data"]) == {"hash", "more"}
    with pytest.raises(Conflict):
        await world.patch(SECRETS, "s", stale | {"data": {"other": data["hash"]}})
