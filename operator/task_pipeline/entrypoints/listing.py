"""Lists that have to succeed before the operator goes on: they are tried until they do, and say what they wait for."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import msgspec

from task_pipeline.api.resources import Resource
from task_pipeline.kube.cluster import Cluster
from task_pipeline.kube.errors import KubeError, NotFound

log = logging.getLogger(__name__)

LONGEST_PAUSE = 10.0


class _Name(msgspec.Struct):
    name: str = ""


class _Item(msgspec.Struct):
    metadata: _Name


class _Page(msgspec.Struct):
    metadata: dict[str, Any]
    items: tuple[msgspec.Raw, ...] = ()


async def wait_for_resource(cluster: Cluster, resource: Resource, namespace: str | None) -> None:
    """Wait until the API server answers and knows the resource; say what is waited for, once."""
    pause, told = 0.25, ""
    while True:
        try:
            await cluster.list(resource, namespace, limit=1, metadata_only=True)
            return
        except NotFound:
            text = f"the CRD {resource.plural}.{resource.group} is not installed: kubectl apply -f crds/"
        except KubeError as error:
            text = f"cannot reach the API server: {error}"
        if text != told:
            log.warning("waiting: %s", text)
            told = text
        await asyncio.sleep(pause)
        pause = min(LONGEST_PAUSE, pause * 1.5)


async def list_into(
    cluster: Cluster,
    resource: Resource,
    namespace: str | None,
    view: Any,
    put: Callable[[Any], None],
    *,
    selector: str | None = None,
) -> None:
    """Give every object of a resource, decoded into `view`, to `put`; some may come twice."""
    token: str | None = None
    while True:
        if token is None:
            await wait_for_resource(cluster, resource, namespace)
        try:
            raw = await cluster.list(resource, namespace, selector=selector, continue_token=token)
            page = msgspec.json.decode(raw, type=_Page)
        except KubeError as error:  # it was there a moment ago; what was listed already may come twice
            log.warning("cannot list %s: %s; starting again", resource.plural, error)
            token = None
            await asyncio.sleep(1)
            continue
        for item in page.items:
            try:
                put(msgspec.json.decode(item, type=view))
            except msgspec.ValidationError as error:
                name = msgspec.json.decode(item, type=_Item).metadata.name
                log.error("%s %s cannot be read and is left alone: %s", resource.kind, name, error)
        token = page.metadata.get("continue")
        if not token:
            return
