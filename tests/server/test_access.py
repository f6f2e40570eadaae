"""Who may see and touch what over REST: field cases B060 and B061, and every route without a credential."""

import re
from typing import Any

import pytest

from task_pipeline.api.resources import PIPELINE_JOBS, PIPELINES
from tests.server.site import Answer, Site, job
from tests.server.test_jobs import divide

ONE = "/namespaces/team-a/pipelines/release"
TOUCHES: list[tuple[str, str, Any]] = [
    ("GET", "", None),
    ("PATCH", "", {"spec": {"priority": 1}}),
    ("DELETE", "", None),
    ("POST", ":cancel", {"mode": "Now"}),
    ("POST", ":suspend", None),
    ("POST", ":resume", None),
    ("POST", ":rerun", {"id": "x"}),
    ("GET", "/jobs", None),
    ("GET", "/jobs/a", None),
    ("PATCH", "/jobs/a", {"spec": {"priority": 1}}),
    ("POST", "/jobs/a:cancel", None),
]


def said(answer: Answer) -> tuple[int, Any]:
    """What a caller learns: everything but the name that it gave itself, and the request's id."""
    body = {name: value for name, value in answer.body.items() if name != "requestId"}
    return answer.status, {name: re.sub("release|absent", "*", str(value)) for name, value in body.items()}


@pytest.mark.parametrize(("method", "rest", "body"), TOUCHES)
@pytest.mark.parametrize("by", ["rival", "idle", "broad", "dev", "stranger", "runner", "attempt"])
async def test_b060_what_is_anothers_is_neither_shown_nor_changed(
    site: Site, by: str, method: str, rest: str, body: Any
) -> None:
    await site.create("release", jobs=[job("a")])
    name = await divide(site, "a")
    before = site.cluster.store.revision
    found = await site.call(method, f"{ONE}{rest}", by=by, body=body)
    missing = await site.call(method, f"/namespaces/team-a/pipelines/absent{rest}", by=by, body=body)
    assert found.status in (403, 404)
    assert said(found) == said(missing)
    assert site.cluster.store.revision == before
    assert name.encode() in await site.cluster.get(PIPELINE_JOBS, "team-a", name)


@pytest.mark.parametrize("query", ["", "?clientId=acme", "?labelSelector=a%3Db", "?state=READY"])
@pytest.mark.parametrize("namespace", ["team-a", "-"])
async def test_b060_lists_show_nothing_of_others(site: Site, namespace: str, query: str) -> None:
    await site.cluster.create(PIPELINES, "team-a", _labelled("release", "acme"))
    await site.create("own", client="rival")
    answer = await site.call("GET", f"/namespaces/{namespace}/pipelines{query}", by="rival")
    assert answer.status == 200
    assert set(answer.names) <= {"own"}


async def test_b060_a_token_of_anothers_list_gives_nothing_more(site: Site) -> None:
    for name in "abc":
        await site.create(name, "team-b")
    token = (await site.call("GET", "/namespaces/-/pipelines?limit=1")).body["metadata"]["continue"]
    answer = await site.call("GET", f"/namespaces/-/pipelines?continue={token}", by="rival")
    assert (answer.status, answer.names) == (200, [])


async def test_b061_a_list_without_a_namespace_is_what_the_caller_may_see(site: Site) -> None:
    await site.create("one", "team-a")
    await site.create("two", "team-b")
    await site.create("other", "team-b", client="default")
    seen = {
        by: sorted((await site.call("GET", "/namespaces/-/pipelines", by=by)).names)
        for by in ("acme", "idle", "broad", "admin", "dev", "stranger")
    }
    assert seen == {
        "acme": ["one", "two"],
        "idle": [],
        "broad": [],
        "admin": ["one", "other", "two"],
        "dev": ["other", "two"],
        "stranger": [],
    }


async def test_b061_nothing_of_the_whole_cluster_is_asked_for_a_client(site: Site) -> None:
    site.cluster.journal.clear()
    await site.call("GET", "/namespaces/-/pipelines")
    assert {request.namespace for request in site.cluster.journal.of("list", PIPELINES)} == {"team-a", "team-b"}


async def test_every_route_but_the_public_ones_needs_a_credential(site: Site) -> None:
    public = set()
    site.cluster.journal.clear()
    for path, operations in site.document["paths"].items():
        for method, operation in operations.items():
            url = re.sub(r"{\w+}", "x1", path)
            for by in (None, "garbage"):
                answer = await site.call(method.upper(), f"/{url}", by=by, body={"spec": 1})
                if operation["security"]:
                    assert (answer.status, answer.reason) == (401, "Unauthorized"), path
                    assert "WWW-Authenticate" in answer.headers
                else:
                    public.add(path)
    assert public == {"/healthz", "/readyz", "/openapi.json", "/docs"}
    assert {request.verb for request in site.cluster.journal} <= {"list"}  # of /readyz


@pytest.mark.parametrize("by", ["runner", "attempt"])
async def test_credentials_of_work_see_no_pipelines(site: Site, by: str) -> None:
    for path in ("/namespaces/-/pipelines", "/namespaces/team-a/pipelines"):
        assert (await site.call("GET", path, by=by)).status == 403


def _labelled(name: str, client: str) -> dict[str, Any]:
    body = {"stages": ["s"], "jobs": [job()], "clientId": client}
    head = {"apiVersion": "taskpipeline.dev/v1alpha1", "kind": "Pipeline"}
    return {**head, "metadata": {"name": name, "labels": {"a": "b"}}, "spec": body}
