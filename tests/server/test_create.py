"""POST of Pipelines: what is created, what is refused, and what a repeated request does (field case B059)."""

import asyncio
from typing import Any

import pytest

from task_pipeline.api.group import ANNOTATION_SUBMISSION
from task_pipeline.api.resources import PIPELINE_CLIENTS, PIPELINES
from task_pipeline.kube.errors import KubeError, Unreachable
from tests.contract.cases import REFUSED
from tests.fakes import on
from tests.fakes.refusals import conflict, refusal
from tests.server.site import Answer, Raw, Site, job, spec

PATH = "/namespaces/team-a/pipelines"


def pipeline(name: str | None = "release", **more: Any) -> Raw:
    return {"metadata": {"name": name} if name else {}, "spec": spec(**more)}


async def post(site: Site, body: Raw, key: str | None = None, by: str = "acme") -> Answer:
    return await site.call("POST", PATH, by=by, body=body, headers={"Idempotency-Key": key} if key else {})


async def test_a_pipeline_is_created_for_the_caller(site: Site) -> None:
    answer = await post(site, pipeline())
    assert answer.status == 201
    stored = await site.pipeline("release")
    assert answer.headers["Location"] == "/api/v1/namespaces/team-a/pipelines/release"
    assert answer.headers["ETag"] == f'"{stored["metadata"]["resourceVersion"]}"'
    assert stored["spec"]["clientId"] == "acme"
    assert "Deprecation" not in answer.headers
    assert answer.body["spec"] == stored["spec"]
    assert answer.body["status"] == stored["status"]
    assert answer.body["metadata"]["uid"] == stored["metadata"]["uid"]
    again = await site.call("GET", answer.headers["Location"].removeprefix("/api/v1"))
    assert again.body == answer.body | {"metadata": again.body["metadata"]}


async def test_a_name_is_made_up_when_there_is_none(site: Site) -> None:
    first, second = await post(site, pipeline(None)), await post(site, pipeline(None))
    assert (first.status, second.status) == (201, 201)
    assert len(await site.pipelines()) == 2
    body = pipeline(None)
    body["metadata"]["generateName"] = "Night-Build-"
    assert (await post(site, body)).body["metadata"]["name"].startswith("night-build-")


async def test_a_name_that_is_taken_is_409(site: Site) -> None:
    await site.create("release", client="rival")
    answer = await post(site, pipeline())
    assert (answer.status, answer.reason) == (409, "AlreadyExists")
    assert (await site.pipeline("release"))["spec"]["clientId"] == "rival"


@pytest.mark.parametrize("name", ["release", None])
async def test_the_same_key_and_body_give_the_first_answer(site: Site, name: str | None) -> None:
    first = await post(site, pipeline(name), key="k1")
    second = await post(site, pipeline(name), key="k1")
    assert (first.status, second.status) == (201, 200)
    assert first.body["metadata"]["uid"] == second.body["metadata"]["uid"]
    assert first.headers["Location"] == second.headers["Location"]
    assert first.body["spec"] == second.body["spec"]
    assert len(await site.pipelines()) == 1


async def test_the_same_key_gives_the_first_answer_although_the_queue_is_full_meanwhile(site: Site) -> None:
    await post(site, pipeline(), key="k1")
    await site.cluster.patch(*client_of("acme"), {"spec": {"queueSize": 0}})
    assert (await post(site, pipeline(), key="k1")).status == 200


async def test_the_same_key_with_another_body_is_422(site: Site) -> None:
    await post(site, pipeline(None), key="k1")
    answer = await post(site, pipeline(None, priority=3), key="k1")
    assert (answer.status, answer.reason) == (422, "IdempotencyKeyReused")
    assert len(await site.pipelines()) == 1


async def test_keys_belong_to_a_caller_and_a_namespace(site: Site) -> None:
    mine = await post(site, pipeline(None), key="k1")
    other = await post(site, pipeline(None), key="k1", by="rival")
    there = await site.call(
        "POST", "/namespaces/team-b/pipelines", body=pipeline(None), headers={"Idempotency-Key": "k1"}
    )
    assert [answer.status for answer in (mine, other, there)] == [201, 201, 201]
    assert len(await site.pipelines()) == 3


async def test_a_key_must_be_printable(site: Site) -> None:
    answer = await post(site, pipeline(), key="x" * 256)
    assert (answer.status, answer.reason) == (400, "InvalidHeader")


@pytest.mark.parametrize("key", ["k1", None])
async def test_many_at_once_with_one_key_create_one(site: Site, key: str | None) -> None:
    answers = await asyncio.gather(*(post(site, pipeline(), key=key) for _ in range(8)))
    statuses = sorted(answer.status for answer in answers)
    assert len(await site.pipelines()) == 1
    if key:
        assert set(statuses) <= {200, 201}
    else:
        assert statuses == [201] + [409] * 7


@pytest.mark.parametrize(
    "trouble",
    [
        conflict(PIPELINES, "release", "the object has been modified"),
        refusal(429, "TooManyRequests", "slow down"),
        refusal(503, "ServiceUnavailable", "etcd has no leader"),
        Unreachable("connection reset"),
    ],
)
async def test_b059_trouble_that_passes_is_not_the_callers(site: Site, trouble: KubeError) -> None:
    site.cluster.fault(on(), before=trouble, times=2)
    site.cluster.fault(on("create", PIPELINES), before=trouble, times=2)
    assert (await post(site, pipeline())).status == 201
    assert await site.pipelines() == ["release"]


@pytest.mark.parametrize("key", ["k1", None])
async def test_b059_a_lost_answer_does_not_become_already_exists(site: Site, key: str | None) -> None:
    site.cluster.fault(on("create", PIPELINES), after=Unreachable("connection reset"), times=1)
    answer = await post(site, pipeline(), key=key)
    assert answer.status in (200, 201)
    assert answer.body["metadata"]["uid"] == (await site.pipeline("release"))["metadata"]["uid"]


@pytest.mark.parametrize("status", [409, 429, 503])
async def test_b059_trouble_that_stays_is_503_with_retry_after(
    site: Site, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("task_pipeline.server.upstream.BUDGET", 0.3)
    reason = {409: "Conflict", 429: "TooManyRequests", 503: "ServiceUnavailable"}[status]
    site.cluster.fault(on("create", PIPELINES), before=refusal(status, reason, "in the way"), times=None)
    answer = await post(site, pipeline())
    assert answer.status == 503
    assert int(answer.headers["Retry-After"]) >= 1
    assert await site.pipelines() == []


async def test_every_fault_is_told_with_its_path(site: Site) -> None:
    bad = spec(job(timeout=0, params={"image": 3}), job("b", stage="zz", kind="Nix"), colour="red")
    answer = await post(site, {"metadata": {"name": "x", "labels": {"taskpipeline.dev/run": "1"}}, "spec": bad})
    assert (answer.status, answer.reason) == (422, "InvalidSpec")
    assert set(answer.faults) == {
        "metadata.labels",
        "spec.colour",
        "spec.jobs[0].timeout",
        "spec.jobs[0].params.image",
        "spec.jobs[0].params.script",
        "spec.jobs[1].stage",
        "spec.jobs[1].kind",
    }
    assert await site.pipelines() == []


@pytest.mark.parametrize("case", REFUSED)
async def test_what_the_cluster_refuses_is_refused_before(site: Site, case: str) -> None:
    answer = await post(site, {"metadata": {"name": "x"}, "spec": REFUSED[case].spec}, by="admin")
    assert answer.status == 422
    assert any(path.startswith(REFUSED[case].path.split("[")[0]) for path in answer.faults)
    assert site.cluster.journal.of("create", PIPELINES) == []


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({}, "spec"),
        ([], "body"),
        ({"spec": spec(), "more": 1}, "more"),
        ({"spec": spec(), "kind": "Job"}, "kind"),
        ({"spec": spec(), "metadata": {"name": "A b"}}, "metadata.name"),
        ({"spec": spec(), "metadata": {"uid": "x"}}, "metadata.uid"),
        ({"spec": spec(), "metadata": {"namespace": "team-b"}}, "metadata.namespace"),
    ],
)
async def test_the_rest_of_the_body_is_judged_too(site: Site, body: Any, path: str) -> None:
    answer = await post(site, body)
    assert answer.status == 422
    assert path in answer.faults


async def test_old_names_are_taken_and_told_to_be_old(site: Site) -> None:
    body = {"spec": spec(job(retry_attempt=2, allow_failure=True, start_timeout=5), client_id="acme", fail_fast=True)}
    answer = await post(site, body | {"metadata": {"name": "old"}})
    assert answer.status == 201
    assert answer.headers["Deprecation"].startswith("@")
    stored = (await site.pipeline("old"))["spec"]
    assert (stored["clientId"], stored["failFast"]) == ("acme", True)
    wanted = {"retryAttempt": 2, "allowFailure": True, "startTimeout": 5}
    assert stored["jobs"][0].items() >= wanted.items()


async def test_both_spellings_are_refused(site: Site) -> None:
    answer = await post(site, {"spec": spec(job(retryAttempt=1, retry_attempt=1), clientId="acme", client_id="acme")})
    assert set(answer.faults) == {"spec.jobs[0]", "spec.client_id"}


async def test_a_client_submits_for_itself_only(site: Site) -> None:
    answer = await post(site, pipeline(clientId="rival"))
    assert (answer.status, answer.reason) == (403, "OtherClient")
    assert (await post(site, pipeline(), by="idle")).status == 403
    assert await site.pipelines() == []


async def test_an_account_may_name_a_client_and_else_gets_the_default(site: Site) -> None:
    named = await post(site, pipeline(clientId="rival"), by="admin")
    assert (named.status, named.body["spec"]["clientId"]) == (201, "rival")
    assert (await post(site, pipeline("two"), by="admin")).body["spec"]["clientId"] == "default"
    answer = await post(site, pipeline("three", clientId="nobody"), by="admin")
    assert (answer.status, list(answer.faults)) == (422, ["spec.clientId"])


async def test_limits_of_the_client_are_faults(site: Site) -> None:
    await site.cluster.patch(*client_of("acme"), {"spec": {"highestPriority": 5, "allowedKinds": ["Shell"]}})
    assert list((await post(site, pipeline(priority=1))).faults) == ["spec.priority"]


@pytest.mark.parametrize(("queued", "size"), [(5, 5), (9, 5), (0, 0)])
async def test_a_full_queue_of_the_client_is_429_and_nothing_is_created(site: Site, queued: int, size: int) -> None:
    await site.cluster.patch(*client_of("acme"), {"spec": {"queueSize": size}})
    await site.client_status("acme", queued=queued)
    answer = await post(site, pipeline())
    assert (answer.status, answer.reason) == (429, "ClientQueueFull")
    assert int(answer.headers["Retry-After"]) >= 1
    assert await site.pipelines() == []
    await site.cluster.patch(*client_of("acme"), {"spec": {"queueSize": queued + 1}})
    assert (await post(site, pipeline())).status == 201


async def test_a_full_queue_of_all_is_429(site: Site) -> None:
    await site.client_status("rival", queued=600)
    await site.client_status("default", queued=400)
    answer = await post(site, pipeline())
    assert (answer.status, answer.reason) == (429, "QueueFull")
    await site.client_status("rival", queued=599)
    assert (await post(site, pipeline())).status == 201


async def test_what_the_api_server_refuses_keeps_its_words(site: Site) -> None:
    text = "Who creates a Pipeline must have the rights that its jobs use"
    site.cluster.fault(on("create", PIPELINES), before=refusal(403, "Forbidden", text), times=1)
    answer = await post(site, pipeline())
    assert (answer.status, answer.reason, answer.body["detail"]) == (403, "Forbidden", text)


async def test_the_annotation_of_a_submission_cannot_be_forged(site: Site) -> None:
    body = pipeline()
    body["metadata"]["annotations"] = {ANNOTATION_SUBMISSION: "k-x/y"}
    assert list((await post(site, body)).faults) == ["metadata.annotations"]


def client_of(name: str) -> tuple[Any, str, str]:
    return PIPELINE_CLIENTS, "task-pipeline", name
