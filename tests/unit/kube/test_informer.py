"""The informer on lists that hold what it cannot read."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, cast

import pytest

from task_pipeline.api.objects import ObjectMeta, View
from task_pipeline.api.resources import PIPELINE_JOBS
from task_pipeline.kube.cluster import Cluster
from task_pipeline.kube.errors import Gone
from task_pipeline.kube.informer import Informer

pytestmark = [pytest.mark.looptime]


class Thing(View, frozen=True):
    metadata: ObjectMeta
    size: int = 0


class Sink:
    """Remembers what exists."""

    def __init__(self) -> None:
        self.there: set[str] = set()

    def put(self, thing: Thing) -> None:
        self.there.add(thing.metadata.uid)

    def gone(self, uid: str) -> None:
        self.there.discard(uid)


class Lists:
    """A cluster that answers one list after the other, and whose every watch is too old."""

    def __init__(self, *lists: list[dict[str, Any]]) -> None:
        self._lists = iter(lists)
        self.events: list[dict[str, Any]] = []

    async def list(self, *place: Any, **query: Any) -> bytes:
        items = next(self._lists, None)
        if items is None:
            await asyncio.sleep(1e9)
        return json.dumps({"metadata": {"resourceVersion": "9"}, "items": items}).encode()

    async def watch(self, *place: Any, **query: Any) -> AsyncIterator[bytes]:
        for event in self.events:
            yield json.dumps(event).encode()
        raise Gone(410, "Expired", "too old")


def thing(uid: str, **fields: Any) -> dict[str, Any]:
    metadata = {"name": uid, "namespace": "n", "uid": uid, "resourceVersion": "1", "creationTimestamp": "t"}
    return {"metadata": metadata} | fields


async def after(*lists: list[dict[str, Any]]) -> set[str]:
    """What the sink knows when all lists have been read."""
    sink = Sink()
    informer = Informer(cast(Cluster, Lists(*lists)), PIPELINE_JOBS, Thing, sink)
    with suppress(TimeoutError):
        await asyncio.wait_for(informer.run(), 1000)
    return sink.there


async def test_what_is_missing_from_a_list_is_gone() -> None:
    assert await after([thing("a"), thing("b")], [thing("b")]) == {"b"}


async def test_what_cannot_be_read_any_more_is_not_taken_for_gone() -> None:
    assert await after([thing("a"), thing("b")], [thing("a", size="large"), thing("b")]) == {"a", "b"}


async def test_what_has_no_metadata_at_all_disturbs_nobody() -> None:
    assert await after([thing("a")], [{"metadata": 1}, thing("a")]) == {"a"}


async def test_what_cannot_be_read_can_go_as_well() -> None:
    """The last version of what was deleted is told with it, and need not be read."""
    cluster, sink = Lists([thing("a"), thing("b")]), Sink()
    cluster.events = [{"type": "DELETED", "object": thing("a", size="large")}]
    with suppress(TimeoutError):
        await asyncio.wait_for(Informer(cast(Cluster, cluster), PIPELINE_JOBS, Thing, sink).run(), 0.1)
    assert sink.there == {"b"}


async def test_it_is_told_which_version_of_what_cannot_be_read(caplog: pytest.LogCaptureFixture) -> None:
    cluster = Lists([thing("a")])
    cluster.events = [{"type": "MODIFIED", "object": thing("a", size="large")}]
    informer, told = Informer(cast(Cluster, cluster), PIPELINE_JOBS, Thing, Sink()), list[tuple[str, int]]()
    informer.unreadable = lambda uid, version: told.append((uid, version))
    with suppress(TimeoutError):
        await asyncio.wait_for(informer.run(), 0.1)
    assert told == [("a", 1)]
    assert "PipelineJob n/a cannot be read and is left alone" in caplog.text
