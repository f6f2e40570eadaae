"""Following one Pipeline and its PipelineJobs over the Kubernetes API: two lists, then two watches in one stream."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import orjson

from task_pipeline.api.group import LABEL_PIPELINE_UID
from task_pipeline.api.resources import PIPELINE_JOBS, PIPELINES, Resource
from task_pipeline.cli.backend import Event, Object
from task_pipeline.kube.client import HttpCluster
from task_pipeline.kube.errors import ApiError, Gone, KubeError, Unauthorized, is_transient

PAGE = 500
PAUSE, LONGEST_PAUSE = 0.5, 10.0  # seconds between two tries


async def listed(
    api: HttpCluster,
    resource: Resource,
    namespace: str | None,
    *,
    selector: str | None = None,
    fields: str | None = None,
) -> tuple[list[Object], str]:
    """All objects of a collection, page by page, and the resourceVersion of the list."""
    found: list[Object] = []
    token = None
    while True:
        raw = await api.list(resource, namespace, selector=selector, fields=fields, limit=PAGE, continue_token=token)
        page = orjson.loads(raw)
        found += page["items"]
        token = page["metadata"].get("continue")
        if not token:
            return found, str(page["metadata"]["resourceVersion"])


@dataclass(frozen=True, slots=True)
class _Source:
    """What one of the two watches is about."""

    resource: Resource
    namespace: str
    selector: str | None = None
    fields: str | None = None


async def events(api: HttpCluster, pipeline: Object) -> AsyncIterator[Event]:
    """What happens to that very Pipeline and its jobs from now on, `synced` after what exists has been told.

    Raises KubeError for what will not pass, such as a missing right.
    """
    meta = pipeline["metadata"]
    news: asyncio.Queue[Event | Exception] = asyncio.Queue(1000)
    jobs = _Source(PIPELINE_JOBS, meta["namespace"], selector=f"{LABEL_PIPELINE_UID}={meta['uid']}")
    own = _Source(PIPELINES, meta["namespace"], fields=f"metadata.name={meta['name']}")
    tasks = [asyncio.create_task(_follow(api, source, meta["uid"], news)) for source in (own, jobs)]
    waiting = len(tasks)
    try:
        while True:
            one = await news.get()
            if isinstance(one, Exception):
                raise one
            if one.what == "synced":
                waiting -= 1
                if waiting:
                    continue
            yield one
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _follow(api: HttpCluster, source: _Source, uid: str, news: "asyncio.Queue[Event | Exception]") -> None:
    """List, tell, watch, tell; again when the place is too old. One `synced` after the first list.

    A credential that is refused is tried once more, read anew; twice without news between them is the end.
    """
    place, synced, pause, refused = "", False, PAUSE, False
    while True:
        try:
            if not place:
                place, refused = await _list(api, source, uid, news), False
                if not synced:
                    synced = True
                    await news.put(Event("synced", {}))
            lines = api.watch(
                source.resource,
                source.namespace,
                selector=source.selector,
                fields=source.fields,
                resource_version=place,
            )
            async with contextlib.aclosing(lines):  # type: ignore[type-var]
                async for line in lines:
                    pause, refused = PAUSE, False
                    place = await _tell(orjson.loads(line), source, uid, news)
        except Gone:
            place = ""
        except KubeError as error:
            if not is_transient(error) or (refused and isinstance(error, Unauthorized)):
                await news.put(error)
                return
            refused |= isinstance(error, Unauthorized)
            await news.put(Event("trouble", {"message": str(error)}))
            pause = min(pause * 2, LONGEST_PAUSE)
        await asyncio.sleep(pause)


async def _list(api: HttpCluster, source: _Source, uid: str, news: "asyncio.Queue[Event | Exception]") -> str:
    found, place = await listed(api, source.resource, source.namespace, selector=source.selector, fields=source.fields)
    if source.resource == PIPELINES and not any(thing["metadata"]["uid"] == uid for thing in found):
        await news.put(Event("gone", {}))
    for thing in found:
        await _put(thing, source, uid, news)
    return place


async def _tell(event: dict[str, Any], source: _Source, uid: str, news: "asyncio.Queue[Event | Exception]") -> str:
    """Pass a watch event on; the resourceVersion after it. Raises ApiError for an error event."""
    thing = event["object"]
    if event["type"] == "ERROR":
        kind = Gone if thing.get("code") == 410 else ApiError
        raise kind(int(thing.get("code", 500)), str(thing.get("reason", "")), str(thing.get("message", "")))
    if event["type"] == "DELETED" and source.resource == PIPELINES and thing["metadata"]["uid"] == uid:
        await news.put(Event("gone", thing))
    elif event["type"] in ("ADDED", "MODIFIED"):
        await _put(thing, source, uid, news)
    return str(thing["metadata"]["resourceVersion"])


async def _put(thing: Object, source: _Source, uid: str, news: "asyncio.Queue[Event | Exception]") -> None:
    if source.resource == PIPELINE_JOBS:
        await news.put(Event("job", thing))
    elif thing["metadata"]["uid"] == uid:
        await news.put(Event("pipeline", thing))
