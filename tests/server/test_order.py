"""What runs next over REST: the order, who sees which rows, and what a client has and uses."""

import asyncio
from typing import Any

from task_pipeline.api.resources import PIPELINE_CLIENTS
from tests.contract.worlds import thing
from tests.server.site import Site, open_site


async def waiting(site: Site) -> None:
    """Three Pipelines that wait: of acme, of rival, of acme."""
    for name, client, priority in (("first", "acme", 1), ("theirs", "rival", 2), ("last", "acme", 3)):
        await site.create(name, client=client, priority=priority)
        await site.status(name, state="READY", reason="Queued", acceptedTime=f"2026-01-31T12:00:0{priority}.000000Z")
    await asyncio.sleep(0.2)


def rows(body: dict[str, Any]) -> list[tuple[int, str]]:
    return [(row["position"], row["pipeline"]) for row in body["items"]]


async def test_a_client_sees_its_rows_at_their_true_places_and_counts_the_others(site: Site) -> None:
    await waiting(site)
    for path in ("/queue", "/clients/acme/queue"):
        answer = await site.call("GET", path)
        assert answer.status == 200
        assert rows(answer.body) == [(1, "first"), (3, "last")]
        assert (answer.body["total"], answer.body["hidden"]) == (3, 1)
    row = answer.body["items"][0]
    assert (row["reason"], row["client"], row["jobs"], row["key"]["pipelinePriority"]) == ("Queued", "acme", 1, 1)


async def test_who_may_see_all_pipelines_sees_every_row(site: Site) -> None:
    await waiting(site)
    answer = await site.call("GET", "/queue", by="admin")
    assert rows(answer.body) == [(1, "first"), (2, "theirs"), (3, "last")]
    assert answer.body["hidden"] == 0
    assert rows((await site.call("GET", "/queue?limit=1", by="admin")).body) == [(1, "first")]
    assert rows((await site.call("GET", "/queue?pipeline=last", by="admin")).body) == [(3, "last")]
    assert rows((await site.call("GET", "/clients/rival/queue", by="admin")).body) == [(2, "theirs")]


async def test_b060_the_queue_of_another_client_is_not_there(site: Site) -> None:
    await waiting(site)
    for path in ("/clients/rival/queue", "/clients/rival"):
        theirs, none = await site.call("GET", path), await site.call("GET", path.replace("rival", "nobody"))
        assert (theirs.status, theirs.reason, none.status, none.reason) == (404, "NotFound", 404, "NotFound")
    for caller in ("dev", "stranger", "runner"):
        assert (await site.call("GET", "/queue", by=caller)).status == 403
        assert (await site.call("GET", "/clients/acme", by=caller)).status == 404


async def test_a_reason_names_limit_and_use() -> None:
    site = await open_site(max_running_jobs=0)
    await waiting(site)
    row = (await site.call("GET", "/queue")).body["items"][0]
    assert (row["reason"], row["message"]) == ("GlobalLimit", "0/0 jobs running in all")
    await site.client.close()


async def test_a_client_reads_what_it_may_use_and_uses(site: Site) -> None:
    fields = {"namespaces": ["team-a"], "maxRunningJobs": 3, "priority": 5}
    await site.cluster.create(PIPELINE_CLIENTS, "task-pipeline", thing(PIPELINE_CLIENTS, "small", spec=fields))
    await site.client_status("small", running=2, queued=7)
    await asyncio.sleep(0.2)
    answer = await site.call("GET", "/clients/small", by="admin")
    assert answer.body == {
        "name": "small", "priority": 5, "running": 2, "queued": 7, "maxRunningJobs": 3, "suspended": False,
        "namespaces": ["team-a"],
    }  # fmt: skip
    assert (await site.call("GET", "/clients/acme")).body["name"] == "acme"


async def test_what_is_refused(site: Site) -> None:
    assert list((await site.call("GET", "/queue?limit=0")).faults) == ["query.limit"]
    assert (await site.call("GET", "/queue", by=None)).status == 401
