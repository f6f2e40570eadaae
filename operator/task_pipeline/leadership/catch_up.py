"""What a new leader looks at before its first write: is the Store as new as the moment at which it took over?

A watch may be behind, or dead without having noticed. So everything of ours that is not final is listed once, its
metadata only, and not from before this moment; what is newer there than in the Store is read. What the Store holds as
not final and the list does not have is read as well: it has ended, or is gone. In the usual case nothing is.

Only objects of which something may still be launched matter: see docs/adr/0012-leadership.md for why no more is needed.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import msgspec

from task_pipeline.api.objects import ObjectMeta
from task_pipeline.api.resources import Resource
from task_pipeline.core.records import JobRecord, PipelineRecord
from task_pipeline.kube.cluster import Cluster
from task_pipeline.kube.errors import KubeError, NotFound
from task_pipeline.kube.informer import Sink
from task_pipeline.leadership.gate import NotLeading

log = logging.getLogger(__name__)

LIVE = "status.state!=DONE,status.state!=ERROR,status.state!=CANCELLED"
AT_ONCE = 16  # objects that are read at once
PAUSE = 0.5  # seconds after a failure

Known = Callable[[], Iterable[JobRecord | PipelineRecord]]


@dataclass(frozen=True, slots=True)
class Kept:
    """Objects of one resource in the Store: in which namespaces they are watched, what they are decoded into, all that
    the Store knows of them, where news of them goes, and who is told of a version that cannot be read.
    """

    resource: Resource
    namespaces: tuple[str | None, ...]
    selector: str | None
    view: Any
    known: Known
    sink: Sink[Any]
    unreadable: Callable[[str, int], None] = lambda uid, version: None


class _Item(msgspec.Struct):
    metadata: ObjectMeta


class _Page(msgspec.Struct):
    metadata: dict[str, Any]
    items: tuple[_Item, ...] | None = None  # the API server lists the metadata of nothing as null


async def catch_up(cluster: Cluster, kept: Iterable[Kept]) -> int:
    """Bring the Store up to now; returns how many objects it had not known as they are. Tries until it succeeds."""
    return sum(await asyncio.gather(*(_until_done(cluster, one) for one in kept)))


async def _until_done(cluster: Cluster, kept: Kept) -> int:
    told = ""
    while True:
        try:
            return await _once(cluster, kept)
        except NotLeading:
            raise
        except (KubeError, msgspec.DecodeError) as error:
            text = f"cannot list {kept.resource.plural}: {error}; trying again before anything is launched"
            if text != told:
                log.warning("%s", text)
            told = text
            await asyncio.sleep(PAUSE)


async def _once(cluster: Cluster, kept: Kept) -> int:
    alive = {meta.uid: meta for namespace in kept.namespaces for meta in await _list(cluster, kept, namespace)}
    known = {record.uid: record for record in kept.known()}
    stale = [
        (meta.namespace, meta.name, uid, int(meta.resource_version))
        for uid, meta in alive.items()
        if uid not in known or known[uid].rv < int(meta.resource_version)
    ]
    ended = [
        (record.namespace, record.name, uid, record.rv + 1)
        for uid, record in known.items()
        if not record.final and uid not in alive
    ]  # fmt: skip
    window = asyncio.Semaphore(AT_ONCE)

    async def read(namespace: str, name: str, uid: str, version: int) -> None:
        async with window:
            await _read(cluster, kept, namespace, name, uid, version)

    await asyncio.gather(*(read(*place) for place in stale + ended))
    return len(stale) + len(ended)


async def _list(cluster: Cluster, kept: Kept, namespace: str | None) -> list[ObjectMeta]:
    found: list[ObjectMeta] = []
    token: str | None = None
    while True:
        raw = await cluster.list(
            kept.resource,
            namespace,
            selector=kept.selector,
            fields=LIVE,
            continue_token=token,
            metadata_only=True,
        )
        page = msgspec.json.decode(raw, type=_Page)
        found += [item.metadata for item in page.items or ()]
        token = str(page.metadata.get("continue") or "") or None
        if token is None:
            return found


async def _read(cluster: Cluster, kept: Kept, namespace: str, name: str, uid: str, version: int) -> None:
    try:
        raw = await cluster.get(kept.resource, namespace, name)
    except NotFound:
        kept.sink.gone(uid)
        return
    try:
        view = msgspec.json.decode(raw, type=kept.view)
    except msgspec.DecodeError as error:
        log.error("%s %s/%s cannot be read and is left alone: %s", kept.resource.kind, namespace, name, error)
        kept.unreadable(uid, version)
        return
    if view.metadata.uid != uid:
        kept.sink.gone(uid)
    kept.sink.put(view)
