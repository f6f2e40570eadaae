"""Lists of Pipelines, and one Pipeline: read, changed, deleted, cancelled, suspended, run again."""

import asyncio
from typing import Any

import pytest

from task_pipeline.api.resources import PIPELINE_CLIENTS, PIPELINES
from task_pipeline.kube.errors import Unreachable
from tests.contract.worlds import until
from tests.fakes import on
from tests.fakes.refusals import conflict
from tests.server.site import Answer, Site, job

ONE = "/namespaces/team-a/pipelines/release"
LIST = "/namespaces/team-a/pipelines"


async def test_a_list_is_narrowed_by_state_client_and_labels(site: Site) -> None:
    for name, client in (("a", "acme"), ("b", "rival"), ("c", "acme")):
        await site.create(name, client=client)
    await site.cluster.patch(PIPELINES, "team-a", "c", {"metadata": {"labels": {"tier": "gold"}}})
    await site.status("c", state="IN PROGRESS")

    async def names(query: str, by: str = "admin") -> list[str]:
        return (await site.call("GET", f"{LIST}?{query}", by=by)).names

    assert await names("") == ["a", "b", "c"]
    assert await names("clientId=acme") == ["a", "c"]
    assert await names("state=IN+PROGRESS") == ["c"]
    assert await names("state=READY&clientId=acme") == ["a"]
    assert await names("labelSelector=tier%3Dgold") == ["c"]
    assert await names("", by="acme") == ["a", "c"]


async def test_a_list_comes_in_pages_and_without_jobs(site: Site) -> None:
    for number in range(5):
        await site.create(f"p{number}", "team-a" if number % 2 else "team-b")
    found, token = [], ""
    while True:
        query = "?limit=2" + (f"&continue={token}" if token else "")
        page = await site.call("GET", f"/namespaces/-/pipelines{query}")
        assert all("jobs" not in item["spec"] and item["spec"]["stages"] for item in page.body["items"])
        found += page.names
        token = page.body["metadata"].get("continue", "")
        if not token:
            break
        assert len(page.names) <= 2
    assert sorted(found) == [f"p{number}" for number in range(5)]


async def test_a_token_that_is_too_old_is_410(site: Site) -> None:
    for name in "abc":
        await site.create(name)
    token = (await site.call("GET", f"{LIST}?limit=1")).body["metadata"]["continue"]
    site.cluster.compact()
    answer = await site.call("GET", f"{LIST}?limit=1&continue={token}")
    assert (answer.status, answer.reason) == (410, "Gone")


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ("limit=0", "query.limit"),
        ("limit=501", "query.limit"),
        ("limit=x", "query.limit"),
        ("limit=1&limit=2", "query.limit"),
        ("continue=nonsense", "query.continue"),
        ("state=Ready", "query.state"),
        ("clientId=A/b", "query.clientId"),
        ("labelSelector=%3D%3D%3D", "query.labelSelector"),
        ("lable=1", "query.lable"),
    ],
)
async def test_a_wrong_query_is_400_and_names_its_place(site: Site, query: str, path: str) -> None:
    answer = await site.call("GET", f"{LIST}?{query}")
    assert (answer.status, answer.reason) == (400, "InvalidQuery")
    assert path in answer.faults


async def test_one_pipeline_has_an_etag_and_can_be_asked_for_news(site: Site) -> None:
    stored = await site.create("release")
    answer = await site.call("GET", ONE)
    tag = f'"{stored["metadata"]["resourceVersion"]}"'
    assert (answer.status, answer.headers["ETag"]) == (200, tag)
    assert answer.body["spec"]["jobs"]
    assert "managedFields" not in answer.body["metadata"]
    for given in (tag, f"W/{tag}", f'"x", {tag}', "*"):
        unchanged = await site.call("GET", ONE, headers={"If-None-Match": given})
        assert (unchanged.status, unchanged.body, unchanged.headers["ETag"]) == (304, None, tag)
    assert (await site.call("GET", ONE, headers={"If-None-Match": '"1"'})).status == 200


async def test_answers_spell_in_camel_case_whatever_was_written(site: Site) -> None:
    body = {"spec": {"stages": ["s"], "jobs": [job(retry_attempt=2)], "clientId": "acme"}}
    await site.cluster.create(PIPELINES, "team-a", {**_head("release"), **body})
    assert (await site.call("GET", ONE)).body["spec"]["jobs"][0]["retryAttempt"] == 2


async def patch(site: Site, fields: Any, **headers: str) -> Answer:
    return await site.call("PATCH", ONE, body={"spec": fields}, headers=headers)


async def test_editable_fields_are_merged_and_null_takes_away(site: Site) -> None:
    await site.create("release", cancel="Drain", priority=7)
    wanted = {"priority": 3, "suspend": True, "failFast": True, "timeout": 60, "ttlPolicy": "Delete", "cancel": None}
    answer = await patch(site, wanted)
    stored = await site.pipeline("release")
    assert (answer.status, answer.body["spec"]) == (200, stored["spec"])
    assert "cancel" not in stored["spec"]
    assert stored["spec"].items() >= {name: value for name, value in wanted.items() if value is not None}.items()
    assert answer.headers["ETag"] == f'"{stored["metadata"]["resourceVersion"]}"'
    assert (await patch(site, {"priority": None})).body["spec"]["priority"] == 10


@pytest.mark.parametrize("fields", [{"stages": ["x"]}, {"clientId": "rival"}, {"jobs": []}, {"priority": "1"}, 3])
async def test_nothing_else_can_be_changed(site: Site, fields: Any) -> None:
    before = await site.create("release")
    answer = await patch(site, fields)
    assert answer.status == 422
    assert all(path.startswith("spec") for path in answer.faults)
    assert await site.pipeline("release") == before


async def test_a_priority_beyond_the_clients_is_refused(site: Site) -> None:
    before = await site.create("release")
    await site.cluster.patch(PIPELINE_CLIENTS, "task-pipeline", "acme", {"spec": {"highestPriority": 5}})
    answer = await patch(site, {"priority": 4})
    assert (answer.status, list(answer.faults)) == (422, ["spec.priority"])
    assert await site.pipeline("release") == before
    assert (await patch(site, {"priority": 5})).status == 200


@pytest.mark.parametrize("method", ["PATCH", "DELETE", "POST"])
async def test_if_match_guards_against_what_one_has_not_seen(site: Site, method: str) -> None:
    stored = await site.create("release")
    old = f'"{stored["metadata"]["resourceVersion"]}"'
    await site.status("release", state="IN PROGRESS")
    path = f"{ONE}:cancel" if method == "POST" else ONE
    body = {"spec": {"priority": 1}} if method == "PATCH" else None
    answer = await site.call(method, path, body=body, headers={"If-Match": old})
    assert (answer.status, answer.reason) == (412, "PreconditionFailed")
    assert (await site.pipeline("release"))["spec"] == stored["spec"]
    new = (await site.call("GET", ONE)).headers["ETag"]
    assert (await site.call(method, path, body=body, headers={"If-Match": f"{old}, {new}"})).status in (200, 204)


async def test_b059_a_conflict_is_settled_by_the_server(site: Site) -> None:
    await site.create("release")
    trouble = conflict(PIPELINES, "release", "the object has been modified")
    site.cluster.fault(on("patch", PIPELINES), before=trouble, times=2)
    assert (await patch(site, {"priority": 1})).status == 200
    assert (await site.pipeline("release"))["spec"]["priority"] == 1


async def test_deleting_takes_that_very_object(site: Site) -> None:
    await site.create("release")
    assert (await site.call("DELETE", ONE)).status == 204
    assert await site.pipelines() == []
    assert (await site.call("DELETE", ONE)).status == 404


async def test_a_deletion_whose_answer_is_lost_is_done(site: Site) -> None:
    await site.create("release")
    site.cluster.fault(on("delete", PIPELINES), after=Unreachable("connection reset"), times=1)
    assert (await site.call("DELETE", ONE)).status in (204, 404)
    assert await site.pipelines() == []


async def test_cancelling_is_written_once_and_never_weakened(site: Site) -> None:
    await site.create("release")
    drained = await site.call("POST", f"{ONE}:cancel", body={"mode": "Drain"})
    assert (drained.status, drained.body["spec"]["cancel"]) == (200, "Drain")
    assert (await site.call("POST", f"{ONE}:cancel")).body["spec"]["cancel"] == "Now"
    version = (await site.pipeline("release"))["metadata"]["resourceVersion"]
    for body in (None, {}, {"mode": "Now"}, {"mode": "Drain"}):
        again = await site.call("POST", f"{ONE}:cancel", body=body)
        assert (again.status, again.headers["ETag"]) == (200, f'"{version}"')
    assert (await site.call("POST", f"{ONE}:cancel", body={"mode": "Later"})).faults.keys() == {"mode"}


async def test_what_is_over_is_not_cancelled(site: Site) -> None:
    await site.create("release")
    await _finish(site, "DONE")
    assert (await site.call("POST", f"{ONE}:cancel")).status == 200
    assert "cancel" not in (await site.pipeline("release"))["spec"]


async def test_suspending_and_resuming(site: Site) -> None:
    await site.create("release")
    for action, wanted in (("suspend", True), ("suspend", True), ("resume", False), ("resume", False)):
        answer = await site.call("POST", f"{ONE}:{action}")
        assert (answer.status, answer.body["spec"]["suspend"]) == (200, wanted)
        assert (await site.pipeline("release"))["spec"]["suspend"] is wanted
    assert len([one for one in site.cluster.journal.of("patch", PIPELINES) if one.committed]) == 2


async def test_a_rerun_is_asked_for_once_by_id_and_takes_back_the_cancel(site: Site) -> None:
    await site.create("release", cancel="Now")
    await _finish(site, "CANCELLED", "READY")
    answer = await site.call("POST", f"{ONE}:rerun", body={"id": "again", "scope": "All"})
    assert (answer.status, answer.body["spec"]["rerun"]) == (200, {"id": "again", "scope": "All"})
    assert "cancel" not in answer.body["spec"]
    version = (await site.pipeline("release"))["metadata"]["resourceVersion"]
    assert (await site.call("POST", f"{ONE}:rerun", body={"id": "again"})).headers["ETag"] == f'"{version}"'


async def test_a_rerun_gets_an_id_of_its_own_or_from_the_key(site: Site) -> None:
    await site.create("release")
    await _finish(site, "DONE")
    first = await site.call("POST", f"{ONE}:rerun", headers={"Idempotency-Key": "k1"})
    second = await site.call("POST", f"{ONE}:rerun", headers={"Idempotency-Key": "k1"})
    third = await site.call("POST", f"{ONE}:rerun")
    ids = [answer.body["spec"]["rerun"]["id"] for answer in (first, second, third)]
    assert ids[0] == ids[1] != ids[2]


async def test_what_is_not_over_is_not_run_again(site: Site) -> None:
    await site.create("release")
    answer = await site.call("POST", f"{ONE}:rerun")
    assert (answer.status, answer.reason) == (409, "NotFinished")
    await _finish(site, "ERROR")
    await site.status("release", cleanupTime="2026-01-31T12:00:00.000000Z")
    answer = await site.call("POST", f"{ONE}:rerun")
    assert (answer.status, answer.reason) == (409, "JobsRemoved")
    assert (await site.call("POST", f"{ONE}:rerun", body={"scope": "All"})).status == 200


async def test_judging_stores_nothing_and_tells_all(site: Site) -> None:
    path = f"{LIST}:validate"
    right = {"spec": {"stages": ["s", "t"], "jobs": [job("late", priority=20), job("soon"), job("x", "t")]}}
    answer = await site.call("POST", path, body=right)
    assert (answer.status, answer.body["valid"], answer.body["errors"]) == (200, True, [])
    assert answer.body["plan"] == [{"stage": "s", "jobs": ["soon", "late"]}, {"stage": "t", "jobs": ["x"]}]
    wrong = {"spec": {"stages": ["s"], "jobs": [job(kind="Nix"), job("b", "t"), job("c", timeout=0)]}}
    answer = await site.call("POST", path, body=wrong)
    assert (answer.status, answer.body["valid"], answer.body["plan"]) == (200, False, [])
    assert {one["path"] for one in answer.body["errors"]} == {
        "spec.jobs[0].kind",
        "spec.jobs[1].stage",
        "spec.jobs[2].timeout",
    }
    assert await site.pipelines() == []


async def test_judging_tells_of_the_client_too(site: Site) -> None:
    body = {"spec": {"stages": ["s"], "jobs": [job()], "clientId": "nobody"}}
    answer = await site.call("POST", f"{LIST}:validate", body=body, by="admin")
    assert [one["path"] for one in answer.body["errors"]] == ["spec.clientId"]


@pytest.mark.parametrize("other", ["rival", "nobody"])
async def test_b060_judging_tells_a_client_nothing_of_another(site: Site, other: str) -> None:
    body = {"spec": {"stages": ["s"], "jobs": [job()], "clientId": other}}
    answer = await site.call("POST", f"{LIST}:validate", body=body)
    assert (answer.status, answer.reason, list(answer.faults)) == (403, "OtherClient", ["spec.clientId"])
    assert other not in answer.body["detail"]


async def _finish(site: Site, state: str, before: str = "IN PROGRESS") -> None:
    if before != "READY":
        await site.status("release", state=before, startTime="2026-01-31T12:00:00.000000Z")
    await site.status("release", state=state)


def _head(name: str) -> dict[str, Any]:
    return {"apiVersion": "taskpipeline.dev/v1alpha1", "kind": "Pipeline", "metadata": {"name": name}}


async def test_what_changes_between_reading_and_writing_is_judged_again(site: Site) -> None:
    await site.create("release")
    site.cluster.fault(on("patch", PIPELINES), delay=0.3, times=1)
    cancelling = asyncio.create_task(site.call("POST", f"{ONE}:cancel"))
    await _until_asked(site, "patch")
    await _finish(site, "DONE")
    answer = await cancelling
    assert (answer.status, answer.body["status"]["state"]) == (200, "DONE")
    assert "cancel" not in (await site.pipeline("release"))["spec"]


@pytest.mark.parametrize(("method", "verb"), [("PATCH", "patch"), ("DELETE", "delete")])
async def test_another_clients_object_of_the_same_name_is_not_met(site: Site, method: str, verb: str) -> None:
    await site.create("release")
    site.cluster.fault(on(verb, PIPELINES), delay=0.3, times=1)
    body = {"spec": {"priority": 1}} if method == "PATCH" else None
    meeting = asyncio.create_task(site.call(method, ONE, body=body))
    await _until_asked(site, verb)
    await site.cluster.delete(PIPELINES, "team-a", "release")
    other = await site.create("release", client="rival")
    assert (await meeting).status == 404
    assert await site.pipeline("release") == other


async def _until_asked(site: Site, verb: str) -> None:
    async def asked() -> bool:
        return bool(site.cluster.journal.of(verb, PIPELINES))

    await until(asked, 5)
