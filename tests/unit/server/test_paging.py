"""Pages over several namespaces: every object once, whatever the limits are."""

import orjson
import pytest

from task_pipeline.api.resources import PIPELINES
from task_pipeline.server.paging import CHUNK, MAX_REQUESTS, Listing, page
from task_pipeline.server.problem import ProblemError
from task_pipeline.server.upstream import Object
from tests.contract.cases import spec
from tests.contract.worlds import thing
from tests.fakes import FakeCluster

pytestmark = pytest.mark.looptime
NAMES = ("a", "b", "c")


async def filled(*counts: int) -> FakeCluster:
    cluster = FakeCluster(namespaces=("default", "task-pipeline", *NAMES))
    for namespace, count in zip(NAMES, counts, strict=True):
        for number in range(count):
            await cluster.create(PIPELINES, namespace, thing(PIPELINES, f"p{number:03}", spec=spec()))
    return cluster


def identity(item: Object) -> tuple[str, str]:
    return item["metadata"]["namespace"], item["metadata"]["name"]


@pytest.mark.parametrize("counts", [(0, 0, 0), (3, 0, 2), (0, 60, 1), (1, 1, 1)])
@pytest.mark.parametrize("limit", [1, 2, CHUNK, 100])
@pytest.mark.parametrize("namespaces", [NAMES, (None,)])
async def test_every_object_comes_once(
    counts: tuple[int, int, int], limit: int, namespaces: tuple[str | None, ...]
) -> None:
    cluster = await filled(*counts)
    listing = Listing(PIPELINES, namespaces, lambda item: item)
    found, token = list[tuple[str, str]](), None
    for _ in range(sum(counts) + len(NAMES) + 1):
        got = await page(cluster, listing, limit, token)
        assert len(got["items"]) <= limit
        found += map(identity, got["items"])
        token = got["metadata"].get("continue")
        if token is None:
            break
    assert token is None
    assert sorted(found) == [
        (name, f"p{n:03}") for name, count in zip(NAMES, counts, strict=True) for n in range(count)
    ]
    assert len(set(found)) == len(found)
    cluster.close()


async def test_a_page_costs_a_bounded_number_of_requests() -> None:
    cluster = await filled(MAX_REQUESTS * 2, 0, 0)
    cluster.journal.clear()
    got = await page(cluster, Listing(PIPELINES, ["a"], lambda item: None), 1, None)
    assert (got["items"], len(cluster.journal)) == ([], MAX_REQUESTS)
    assert got["metadata"]["continue"]
    cluster.close()


async def test_a_namespace_that_is_not_the_callers_any_more_is_passed_over() -> None:
    cluster = await filled(2, 2, 2)
    token = (await page(cluster, Listing(PIPELINES, NAMES, lambda item: item), 3, None))["metadata"]["continue"]
    got = await page(cluster, Listing(PIPELINES, ["a", "c"], lambda item: item), 10, token)
    assert [identity(item)[0] for item in got["items"]] == ["c", "c"]
    cluster.close()


@pytest.mark.parametrize("token", ["x", "%%%", "bnVsbA", "WzEsMl0", "WyJhIl0", "WyJwb2RzIiwiYSIsIiJd"])
async def test_what_is_no_token_is_refused(token: str) -> None:
    cluster = await filled(1, 0, 0)
    with pytest.raises(ProblemError) as told:
        await page(cluster, Listing(PIPELINES, NAMES, lambda item: item), 1, token)
    assert told.value.status == 400
    assert orjson.dumps(told.value.errors)
    cluster.close()
