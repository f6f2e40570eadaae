"""What the Cluster protocol promises about field selectors, on the in-memory cluster and on a real API server."""

from typing import Any

import pytest

from task_pipeline.api.resources import PIPELINES
from task_pipeline.kube.errors import Invalid
from tests.contract.cases import spec
from tests.contract.worlds import World, thing


async def test_a_field_selector_picks_by_state_and_client(world: World) -> None:
    for name, client in (("one", "acme"), ("two", "acme"), ("three", "default")):
        await world.cluster.create(PIPELINES, world.namespace, thing(PIPELINES, name, spec=spec(clientId=client)))
    running = {"status": {"state": "IN PROGRESS"}}
    await world.cluster.patch_status(PIPELINES, world.namespace, "one", running)

    async def names(fields: str, **query: Any) -> list[str]:
        return [item["metadata"]["name"] for item in (await world.page(PIPELINES, fields=fields, **query))["items"]]

    assert await names("spec.clientId=acme") == ["one", "two"]
    assert await names("status.state=IN PROGRESS") == ["one"]
    assert await names("status.state=READY,spec.clientId=acme") == ["two"]
    assert await names("status.state=READY,spec.clientId!=acme") == ["three"]
    assert await names("metadata.name=two") == ["two"]
    page = await world.page(PIPELINES, fields="spec.clientId=acme", limit=1)
    rest = await names("spec.clientId=acme", limit=1, continue_token=page["metadata"]["continue"])
    assert [page["items"][0]["metadata"]["name"], *rest] == ["one", "two"]


async def test_a_field_selector_of_another_field_is_refused(world: World) -> None:
    with pytest.raises(Invalid, match="field label not supported"):
        await world.page(PIPELINES, fields="spec.priority=3")
