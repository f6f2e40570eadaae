"""What tests can make of requests and watches of the in-memory cluster."""

import asyncio
import contextlib
from typing import Any

import orjson
import pytest

from task_pipeline.api.resources import CONFIG_MAPS, PODS
from task_pipeline.kube.errors import AlreadyExists, Conflict, Gone, NotFound, Overloaded, ServerError, Unreachable
from tests.fakes import FakeCluster, on
from tests.fakes.refusals import server_error, stale, too_many

pytestmark = [pytest.mark.looptime]


def config_map(name: str) -> dict[str, Any]:
    return {"metadata": {"name": name}}


async def create(cluster: FakeCluster, name: str) -> None:
    await cluster.create(CONFIG_MAPS, "default", config_map(name))


def exists(cluster: FakeCluster, name: str) -> bool:
    return cluster.admin.find(CONFIG_MAPS, name) is not None


async def test_an_error_before_leaves_nothing() -> None:
    cluster = FakeCluster()
    fault = cluster.fault(on("create", CONFIG_MAPS), before=Unreachable("refused"))
    with pytest.raises(Unreachable):
        await create(cluster, "a")
    assert not exists(cluster, "a")
    await create(cluster, "a")
    assert (fault.hits, fault.spent) == (1, True)


async def test_an_error_after_leaves_the_write() -> None:
    cluster = FakeCluster()
    cluster.fault(on("write"), after=Unreachable("lost"))
    with pytest.raises(Unreachable):
        await create(cluster, "a")
    assert exists(cluster, "a")
    (request,) = cluster.journal.writes
    assert (request.outcome, request.committed) == ("Unreachable", True)


async def test_a_request_may_be_carried_out_after_its_caller_gave_up() -> None:
    cluster = FakeCluster()
    cluster.fault(on("create"), commit_after=5)
    with pytest.raises(Unreachable):
        await create(cluster, "a")
    assert not exists(cluster, "a")
    await asyncio.sleep(5.01)
    assert exists(cluster, "a")


async def test_a_delay_beyond_the_timeout_is_no_answer() -> None:
    cluster, loop = FakeCluster(), asyncio.get_running_loop()
    cluster.fault(on("create"), delay=3)
    await create(cluster, "a")
    assert loop.time() == 3
    cluster.fault(on("create"), delay=20)
    with pytest.raises(Unreachable):
        await create(cluster, "b")
    assert loop.time() == 3 + cluster.timeout
    assert not exists(cluster, "b")
    await asyncio.sleep(5.01)
    assert exists(cluster, "b")


@pytest.mark.parametrize(
    ("problem", "kind"),
    [(too_many(3), Overloaded), (server_error, ServerError), (stale(CONFIG_MAPS, "a"), Conflict)],
)
async def test_faults_strike_whom_they_are_meant_for(problem: Any, kind: type[Exception]) -> None:
    cluster = FakeCluster()
    fault = cluster.fault(on("create", CONFIG_MAPS, "b"), before=problem, times=2, skip=1)
    for name in ("a", "b"):
        await create(cluster, name)
    for _ in range(2):
        with pytest.raises(kind):
            await create(cluster, "b")
    with pytest.raises(AlreadyExists):
        await create(cluster, "b")
    assert fault.hits == 2


async def test_a_fault_for_all_ends_when_it_is_removed() -> None:
    cluster = FakeCluster()
    fault = cluster.fault(on(), before=Unreachable("down"), times=None)
    for _ in range(3):
        with pytest.raises(Unreachable):
            await create(cluster, "a")
    fault.remove()
    await create(cluster, "a")


async def test_the_journal_holds_every_request() -> None:
    cluster = FakeCluster()
    body = config_map("a")
    await cluster.create(CONFIG_MAPS, "default", body)
    body["metadata"]["name"] = "changed later"
    with pytest.raises(NotFound):
        await cluster.get(PODS, "default", "none")
    await cluster.list(PODS, None)
    assert [(one.verb, one.name, one.outcome) for one in cluster.journal] == [
        ("create", "a", "ok"),
        ("get", "none", "NotFound"),
        ("list", None, "ok"),
    ]
    (write,) = cluster.journal.writes
    assert write.body == config_map("a")
    assert cluster.journal.bytes_written == write.size == len(orjson.dumps(config_map("a")))
    cluster.admin.create(CONFIG_MAPS, config_map("b"))
    assert len(cluster.journal) == 3
    assert "create configmaps/a ok" in cluster.journal.lines()[0]


async def lines(cluster: FakeCluster, version: str) -> list[dict[str, Any]]:
    stream = cluster.watch(CONFIG_MAPS, None, resource_version=version)
    return [orjson.loads(line) async for line in stream]


def now_at(cluster: FakeCluster) -> str:
    return str(cluster.store.revision)


async def test_a_watch_is_broken_off_cleanly_or_by_an_error() -> None:
    cluster = FakeCluster()
    for error in (None, Unreachable("reset")):
        task = asyncio.create_task(lines(cluster, now_at(cluster)))
        await asyncio.sleep(1)
        assert cluster.break_watches(PODS) == 0
        assert cluster.break_watches(CONFIG_MAPS, error) == 1
        with pytest.raises(Unreachable) if error else contextlib.nullcontext():
            assert await task == []
    assert len(cluster.watches) == 0


async def test_a_silent_stream_is_given_up_by_the_client() -> None:
    cluster, loop = FakeCluster(), asyncio.get_running_loop()
    task = asyncio.create_task(lines(cluster, now_at(cluster)))
    await asyncio.sleep(1)
    cluster.freeze_watches()
    await create(cluster, "a")
    with pytest.raises(Unreachable):
        await task
    assert loop.time() == 75


async def test_a_frozen_stream_may_thaw() -> None:
    cluster = FakeCluster()
    task = asyncio.create_task(lines(cluster, now_at(cluster)))
    await asyncio.sleep(1)
    cluster.freeze_watches()
    await create(cluster, "a")
    await asyncio.sleep(50)
    cluster.freeze_watches(frozen=False)
    await asyncio.sleep(1)
    cluster.break_watches()
    assert [event["type"] for event in await task] == ["ADDED"]


async def test_events_may_lag() -> None:
    cluster, loop = FakeCluster(), asyncio.get_running_loop()
    cluster.watching.lag = 7
    stream = cluster.watch(CONFIG_MAPS, None, resource_version=now_at(cluster))
    cluster.admin.create(CONFIG_MAPS, config_map("a"))
    assert b'"ADDED"' in await anext(stream)
    assert loop.time() == 7


async def test_bookmarks_come_every_minute_and_the_stream_ends() -> None:
    cluster, loop = FakeCluster(), asyncio.get_running_loop()
    events = await lines(cluster, now_at(cluster))
    assert [event["type"] for event in events] == ["BOOKMARK"] * 5
    assert loop.time() == 290


async def test_without_bookmarks_a_quiet_stream_counts_as_dead() -> None:
    cluster, loop = FakeCluster(), asyncio.get_running_loop()
    cluster.watching.bookmarks = False
    with pytest.raises(Unreachable):
        await lines(cluster, now_at(cluster))
    assert loop.time() == 75


async def test_compaction_forgets_old_places_and_pages_but_spares_open_streams() -> None:
    cluster = FakeCluster()
    version = now_at(cluster)
    for name in "abc":
        await create(cluster, name)
    page = orjson.loads(await cluster.list(CONFIG_MAPS, None, limit=1))
    stream = cluster.watch(CONFIG_MAPS, None, resource_version=version)
    assert b'"name":"a"' in await anext(stream)
    cluster.compact()
    assert b'"name":"b"' in await anext(stream)
    (event,) = await lines(cluster, version)
    assert (event["type"], event["object"]["code"]) == ("ERROR", 410)
    with pytest.raises(Gone):
        await cluster.list(CONFIG_MAPS, None, limit=1, continue_token=page["metadata"]["continue"])


async def test_history_is_a_ring() -> None:
    cluster = FakeCluster(history=2)
    version = now_at(cluster)
    await create(cluster, "a")
    second = now_at(cluster)
    for name in "bc":
        await create(cluster, name)
    (event,) = await lines(cluster, version)
    assert event["type"] == "ERROR"
    assert [event["type"] for event in await lines(cluster, second)][:2] == ["ADDED", "ADDED"]


async def test_requests_interleave() -> None:
    cluster = FakeCluster(latency=0.01)
    await asyncio.gather(*(create(cluster, name) for name in "abc"))
    assert asyncio.get_running_loop().time() == pytest.approx(0.01)


async def test_a_fault_of_a_controller_is_not_lost() -> None:
    cluster = FakeCluster()

    def broken(pod: Any) -> Any:
        raise ZeroDivisionError

    cluster.timers.after(1, lambda: broken(None))
    await asyncio.sleep(2)
    with pytest.raises(AssertionError, match="controller of the fake cluster"):
        await cluster.list(PODS, None)
