"""What the Cluster protocol promises about lists and watches, on the in-memory cluster and on a real API server."""

import asyncio
import contextlib
from typing import Any

import orjson
import pytest

from task_pipeline.api.resources import CONFIG_MAPS, PIPELINES, PODS
from task_pipeline.kube.cluster import LogQuery
from task_pipeline.kube.errors import Invalid, NotFound
from tests.contract.worlds import SECONDS, World, thing

Raw = dict[str, Any]
YOUNG_SECONDS = 120.0  # an API server sends no bookmarks in the first minute of a resource
PODS_SPEC = {"restartPolicy": "Never", "containers": [{"name": "main", "image": "busybox:1"}]}


async def some(world: World, *names: str, **labels: dict[str, str]) -> None:
    for name in names:
        await world.pipeline(name, labels=labels.get(name, {}))


def names(page: Raw) -> list[str]:
    return [item["metadata"]["name"] for item in page["items"]]


def told(events: list[Raw]) -> list[tuple[str, str]]:
    return [(event["type"], event["object"]["metadata"]["name"]) for event in events]


async def test_pages_are_of_one_moment(world: World) -> None:
    await some(world, "a", "b", "c", "d", "e")
    first = await world.page(PIPELINES, limit=2)
    assert first["kind"] == "PipelineList"
    assert first["metadata"]["remainingItemCount"] == 3
    await some(world, "c2", "f")
    await world.cluster.delete(PIPELINES, world.namespace, "d")
    await world.patch(PIPELINES, "e", {"spec": {"priority": 1}})
    second = await world.page(PIPELINES, limit=2, continue_token=first["metadata"]["continue"])
    third = await world.page(PIPELINES, limit=2, continue_token=second["metadata"]["continue"])
    assert [names(page) for page in (first, second, third)] == [["a", "b"], ["c", "d"], ["e"]]
    assert third["items"][0]["spec"]["priority"] == 10
    assert not third["metadata"].get("continue")
    versions = {page["metadata"]["resourceVersion"] for page in (first, second, third)}
    assert len(versions) == 1
    events = await world.events(PIPELINES, versions.pop(), 4)
    assert told(events) == [("ADDED", "c2"), ("ADDED", "f"), ("DELETED", "d"), ("MODIFIED", "e")]


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("k", ["a", "b", "c"]),
        ("!k", ["d"]),
        ("k=1", ["a"]),
        ("k==1", ["a"]),
        ("k!=1", ["b", "c", "d"]),
        ("k in (1, 2)", ["a", "b"]),
        ("k notin (1,2)", ["c", "d"]),
        ("k in (1,2),l=x", ["b"]),
        ("k,l", ["b"]),
        ("example.dev/k=v", ["c"]),
        ("k=", []),
        ("none=1", []),
    ],
)
async def test_label_selectors(world: World, selector: str, expected: list[str]) -> None:
    labels = {"a": {"k": "1"}, "b": {"k": "2", "l": "x"}, "c": {"k": "3", "example.dev/k": "v"}}
    await some(world, "a", "b", "c", "d", **labels)
    assert names(await world.page(PIPELINES, selector=selector)) == expected


async def test_a_selector_that_is_none_is_refused(world: World) -> None:
    with pytest.raises(Invalid) as refused:
        await world.page(PIPELINES, selector="k in 1")
    assert refused.value.status == 400


async def test_a_list_may_be_of_metadata_alone(world: World) -> None:
    await some(world, "a", a={"k": "1"})
    page = await world.page(PIPELINES, metadata_only=True)
    assert page["kind"] == "PartialObjectMetadataList"
    (item,) = page["items"]
    assert (item["kind"], item["metadata"]["labels"]) == ("PartialObjectMetadata", {"k": "1"})
    assert not {"spec", "status"} & item.keys()


async def test_items_of_built_in_lists_do_not_say_what_they_are(world: World) -> None:
    await some(world, "a")
    await world.cluster.create(PODS, world.namespace, thing(PODS, "a", spec=PODS_SPEC))
    assert (await world.page(PIPELINES))["items"][0]["kind"] == "Pipeline"
    assert "kind" not in (await world.page(PODS))["items"][0]


async def test_an_empty_list_has_a_version_to_watch_from(world: World) -> None:
    page = await world.page(PIPELINES)
    assert page["items"] == []
    await some(world, "a")
    assert told(await world.events(PIPELINES, page["metadata"]["resourceVersion"], 1)) == [("ADDED", "a")]


async def test_a_list_of_all_namespaces_holds_this_one(world: World) -> None:
    await some(world, "a")
    items = orjson.loads(await world.cluster.list(PIPELINES, None))["items"]
    assert world.namespace in {item["metadata"]["namespace"] for item in items}


async def test_a_watch_goes_on_where_it_is_told_to(world: World) -> None:
    await some(world, "before")
    version = await world.version(PIPELINES)
    await some(world, "a")
    await world.patch(PIPELINES, "a", {"spec": {"priority": 1}})
    await world.cluster.patch_status(PIPELINES, world.namespace, "a", {"status": {"message": "m"}})
    await world.cluster.delete(PIPELINES, world.namespace, "a")
    await some(world, "a")
    events = await world.events(PIPELINES, version, 5)
    assert [event["type"] for event in events] == ["ADDED", "MODIFIED", "MODIFIED", "DELETED", "ADDED"]
    objects = [event["object"] for event in events]
    versions = [int(one["metadata"]["resourceVersion"]) for one in objects]
    assert versions == sorted(set(versions))
    assert all(one["kind"] == "Pipeline" and one["apiVersion"] for one in objects)
    assert objects[3]["status"]["message"] == "m"
    assert objects[3]["metadata"]["uid"] == objects[0]["metadata"]["uid"] != objects[4]["metadata"]["uid"]
    resumed = await world.events(PIPELINES, str(versions[1]), 3)
    assert resumed == events[2:]


async def test_a_selected_watch_tells_when_an_object_comes_and_goes(world: World) -> None:
    version = await world.version(PIPELINES)
    await some(world, "a", "b", b={"k": "1"})
    for labels in ({"k": "1"}, {"k": "1", "l": "2"}, {"k": None}, {"k": "2"}):
        await world.patch(PIPELINES, "a", {"metadata": {"labels": labels}})
    await world.cluster.delete(PIPELINES, world.namespace, "a")
    await world.cluster.delete(PIPELINES, world.namespace, "b")
    events = await world.events(PIPELINES, version, 5, "k=1")
    assert told(events) == [
        ("ADDED", "b"),
        ("ADDED", "a"),
        ("MODIFIED", "a"),
        ("DELETED", "a"),
        ("DELETED", "b"),
    ]
    left = events[3]["object"]["metadata"]
    assert left["labels"] == {"k": "1", "l": "2"}
    assert int(left["resourceVersion"]) > int(events[2]["object"]["metadata"]["resourceVersion"])


async def test_a_watch_hears_what_happens_while_it_is_open(world: World) -> None:
    version = await world.version(CONFIG_MAPS)
    waiting = asyncio.create_task(world.events(CONFIG_MAPS, version, 2, "mine"))
    await asyncio.sleep(0.2)
    for name in ("x", "y"):
        await world.cluster.create(CONFIG_MAPS, world.namespace, thing(CONFIG_MAPS, name, labels={"mine": ""}))
    assert told(await waiting) == [("ADDED", "x"), ("ADDED", "y")]


async def test_a_watch_without_a_place_begins_with_what_exists(world: World) -> None:
    await some(world, "a", "b")
    assert told(await world.events(PIPELINES, "0", 2)) == [("ADDED", "a"), ("ADDED", "b")]


async def test_a_place_that_is_forgotten_ends_the_watch_with_an_error(world: World) -> None:
    (event,) = await world.events(PIPELINES, "1", 1)
    assert event["type"] == "ERROR"
    status = event["object"]
    assert (status["kind"], status["code"], status["reason"]) == ("Status", 410, "Expired")
    assert "too old resource version" in status["message"]


async def test_a_stream_sends_a_bookmark_and_ends(world: World) -> None:
    world.shorten(4)
    version = await world.version(PIPELINES)
    await some(world, "a")
    events: list[Raw] = []
    async with asyncio.timeout(YOUNG_SECONDS):
        while len(events) < 2:
            stream = world.cluster.watch(PIPELINES, world.namespace, resource_version=version)
            async with contextlib.aclosing(stream):  # type: ignore[type-var]
                events = [orjson.loads(line) async for line in stream]
    assert [event["type"] for event in events[:2]] == ["ADDED", "BOOKMARK"]
    added, bookmark = (event["object"]["metadata"] for event in events[:2])
    assert int(bookmark["resourceVersion"]) >= int(added["resourceVersion"])
    assert "name" not in bookmark
    assert events[1]["object"]["kind"] == "Pipeline"
    await some(world, "b")
    assert told(await world.events(PIPELINES, bookmark["resourceVersion"], 1)) == [("ADDED", "b")]


async def test_a_watch_by_fields_tells_when_an_object_comes_and_goes(world: World) -> None:
    await some(world, "a", "b")
    version = (await world.page(PIPELINES))["metadata"]["resourceVersion"]
    for state in ("IN PROGRESS", "DONE"):
        await world.cluster.patch_status(PIPELINES, world.namespace, "b", {"status": {"state": state}})
    stream = world.cluster.watch(
        PIPELINES, world.namespace, fields="status.state=IN PROGRESS", resource_version=version
    )
    found = []
    async with asyncio.timeout(SECONDS), contextlib.aclosing(stream):  # type: ignore[type-var]
        async for line in stream:
            event = orjson.loads(line)
            found += [] if event["type"] == "BOOKMARK" else [event]
            if len(found) == 2:
                break
    assert told(found) == [("ADDED", "b"), ("DELETED", "b")]


async def test_the_log_of_a_pod_that_is_not_there_and_of_one_that_has_no_node(world: World) -> None:
    query = LogQuery("main", tail=5)
    with pytest.raises(NotFound):
        [piece async for piece in world.cluster.log(world.namespace, "none", query)]
    spec = PODS_SPEC | {"nodeSelector": {"no": "such-node"}}
    await world.cluster.create(PODS, world.namespace, thing(PODS, "waits", spec=spec))
    assert b"".join([piece async for piece in world.cluster.log(world.namespace, "waits", query)]) == b""
