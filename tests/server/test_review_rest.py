"""What a client could do to the others: hold the server's attention, its streams, its memory, or its log."""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from io import BytesIO
from typing import Any

import aiohttp
import pytest

from task_pipeline.api.resources import ACCESS_REVIEWS, PIPELINES
from task_pipeline.entrypoints.requester import needs
from task_pipeline.kinds.registry import KINDS
from task_pipeline.kube.errors import ServerError
from task_pipeline.server import board, logs, streams
from task_pipeline.server.rights import needed
from task_pipeline.server.shares import Shares
from tests.fakes import on
from tests.fakes.reviews import Account
from tests.server.site import CALLERS, Site
from tests.server.whole import JOB, QUEUE, Whole, whole

MUCH = 150_000


def _job(**params: Any) -> dict[str, Any]:
    return {"name": "a", "stage": "s", "kind": "Shell", "version": "1.0.0", "params": params}


@pytest.mark.parametrize(
    "spec",
    [
        {"stages": ["s"], "jobs": [{"nam": 1}] * MUCH},
        {f"stag{number:x}": 1 for number in range(MUCH)},
        {"stages": ["s"], "jobs": [_job(**{f"imag{number:x}": 1 for number in range(MUCH)})]},
        {"stages": [f"s{number}" for number in range(MUCH)], "jobs": [{"name": "a", "stage": "t"}] * 2000},
        {"stages": [[]] * 3 * MUCH},
    ],
    ids=["jobs", "fields", "params", "stages", "lists"],
)
async def test_no_body_of_faults_holds_the_server_for_long(site: Site, spec: Any) -> None:
    longest = 0.0

    async def look() -> None:
        nonlocal longest
        while True:
            before = time.monotonic()
            assert (await site.call("GET", "//healthz", by=None)).status == 200
            longest = max(longest, time.monotonic() - before)

    looking = asyncio.create_task(look())
    url = "/api/v1/namespaces/team-a/pipelines:validate"
    sent = {"Authorization": "Bearer acme", "Content-Type": "application/json"}
    async with site.client.post(url, data=BytesIO(json.dumps({"spec": spec}).encode()), headers=sent) as response:
        assert response.status == 200
        assert not (await response.json())["valid"]
    looking.cancel()
    assert longest < 15  # it was half a minute and more


@pytest.fixture
async def system() -> AsyncIterator[Whole]:
    async with whole() as made:
        yield made


async def test_one_client_cannot_take_the_streams_of_all(system: Whole) -> None:
    url = f"{system.one.url}/api/v1/watch?namespace=team-a"
    acme, rival = ({"Authorization": system.callers[name]} for name in ("acme", "rival"))
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))
        for _ in range(streams.MAX_OF_CALLER):
            assert (await stack.enter_async_context(http.get(url, headers=acme))).status == 200
        async with http.get(url, headers=acme) as refused:
            assert (refused.status, (await refused.json())["reason"]) == (429, "TooManyOpen")
        async with http.get(url, headers=rival) as let_in:
            assert let_in.status == 200


async def test_logs_that_are_followed_have_shares_too(system: Whole, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "_shares", Shares("logs", 20, 0))
    system.job(system.pipeline("p"))
    path = f"/api/v1/namespaces/team-a/pipelines/p/jobs/{JOB}/logs?follow=true"
    assert (await system.one.ask("GET", path, system.callers["acme"])).reason == "TooManyOpen"


def test_a_place_is_given_back_when_its_block_ends() -> None:
    shares, acme, rival = Shares("logs", 2, 1), CALLERS["acme"], CALLERS["rival"]
    for _ in range(3):
        with shares.take(acme), shares.take(rival):
            for caller, status in ((acme, 429), (CALLERS["broad"], 503)):
                with pytest.raises(Exception, match=str(status)), shares.take(caller):
                    pass
    with pytest.raises(KeyError), shares.take(acme):
        raise KeyError
    with shares.take(acme):
        pass


async def test_one_client_cannot_wait_in_the_places_of_all(system: Whole, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(board, "MOST_OF_CLIENT", 4)

    async def poll(caller: str, queue: str) -> int:
        body = {"worker": "w", "waitSeconds": 1}
        answer = await system.one.ask("POST", f"/api/v1/workers/{queue}:claim", system.callers[caller], body)
        return answer.status

    polls = [poll("acme", f"{QUEUE}-{number}") for number in range(6)]
    statuses = await asyncio.gather(*polls, poll("rival", QUEUE))
    assert sorted(statuses[:-1]) == [204] * 4 + [429] * 2
    assert statuses[-1] == 204


async def test_a_stranger_brings_no_megabytes(system: Whole) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for size, status in ((65_000, 400), (66_000, 413)):
        data = BytesIO(b"grant_type=" + b"a" * size)
        async with system.one.http.post(f"{system.one.url}/oauth2/token", data=data, headers=form) as answer:
            assert answer.status == status, await answer.text()


async def test_who_hangs_up_is_in_the_audit_log(system: Whole, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "task_pipeline.audit")
    url = f"{system.one.url}/api/v1/watch?namespace=team-a"
    async with aiohttp.ClientSession() as http:
        response = await http.get(url, headers={"Authorization": system.callers["acme"]})
        response.close()
    deadline = asyncio.get_running_loop().time() + 10
    number = 0
    while not any("/watch for client" in record.getMessage() for record in caplog.records):
        assert asyncio.get_running_loop().time() < deadline, "nobody knows that acme has looked"
        system.pipeline(f"news-{(number := number + 1)}")
        await asyncio.sleep(0.05)


DEV = "system:serviceaccount:team-a:dev"
NATIVE = {"template": {"spec": {"serviceAccount": "owner", "containers": [{"name": "c", "image": "busybox"}]}}}


def _of(kind: str, **params: Any) -> dict[str, Any]:
    return {"name": "a", "stage": "s", "kind": kind, "version": "1.0.0", "params": params}


DEPUTY = {
    "pods": (_job(image="b", script="x"), "create pods"),
    "a service account": (_job(image="b", script="x", serviceAccountName="owner"), "impersonate serviceaccounts/owner"),
    "jobs": (_of("K8S/Job", spec=NATIVE), "create jobs.batch"),
    "a service account in a native spec": (_of("K8S/Job", spec=NATIVE), "impersonate serviceaccounts/owner"),
}


@pytest.mark.parametrize("case", DEPUTY)
async def test_b080_a_user_gets_nothing_made_that_he_may_not_make(system: Whole, case: str) -> None:
    job, lacking = DEPUTY[case]
    reviews = system.cluster.reviews
    reviews.tokens["dev.kubernetes.token"] = Account(DEV, ("task-pipeline",))
    reviews.rules.add((DEV, "*", "pipelines", "team-a"))
    for right in ("create pods", "create jobs", "impersonate serviceaccounts"):
        if not lacking.startswith(right):
            reviews.rules.add((DEV, *right.split(), "team-a"))
    body = {"spec": {"stages": ["s"], "jobs": [job]}}
    path, token = "/api/v1/namespaces/team-a/pipelines", "Bearer dev.kubernetes.token"
    answer = await system.one.ask("POST", path, token, body)
    assert (answer.status, answer.reason) == (403, "Forbidden")
    assert f"{DEV} may not {lacking} in namespace team-a" in answer.body["detail"]
    assert (await system.one.ask("POST", path, system.callers["acme"], body)).status == 201


async def test_a_user_who_may_make_it_gets_it_made(system: Whole) -> None:
    reviews = system.cluster.reviews
    reviews.tokens["dev.kubernetes.token"] = Account(DEV, ("task-pipeline",), extra=(("scopes", ("narrow",)),))
    reviews.rules.add((DEV, "*", "*", "team-a"))
    jobs = [
        {**_job(image="b", script="x", serviceAccountName=f"account-{number}"), "name": f"a{number}"}
        for number in range(6)
    ]
    body = {"spec": {"stages": ["s"], "jobs": jobs}}
    path, token = "/api/v1/namespaces/team-a/pipelines", "Bearer dev.kubernetes.token"
    assert (await system.one.ask("POST", path, token, body)).status == 201
    asked = [request.body["spec"] for request in system.cluster.journal.of("post", ACCESS_REVIEWS)]
    attributes = [one["resourceAttributes"] for one in asked if one["user"] == DEV]
    assert [(one["verb"], one["resource"], one.get("name")) for one in attributes] == [
        ("create", "pipelines", None),
        ("create", "pods", None),
        ("impersonate", "serviceaccounts", None),  # of more than four all are asked about
    ]
    assert all(one["extra"] == {"scopes": ["narrow"]} for one in asked if one["user"] == DEV)


def test_the_server_asks_for_what_the_policy_asks_for() -> None:
    policy = {(need.verb, need.resource.group, need.resource.plural) for need in needs(KINDS.values())}
    assert {tuple(right)[:3] for right in needed(KINDS.values())} == policy


async def test_what_a_worker_says_commands_no_terminal(system: Whole) -> None:
    job = system.job(system.pipeline("p"))
    system.launch(job)
    await system.offered()
    path = f"/api/v1/workers/{QUEUE}:claim"
    claimed = (await system.one.ask("POST", path, system.callers["acme"], {"worker": "w", "waitSeconds": 5})).body
    token = f"Bearer {claimed['token']}"
    said, shown = "line 1\n\x1b]0;owned\x07\tline 2\x00\u202e", "line 1\n\ufffd]0;owned\ufffd\tline 2\ufffd\ufffd"
    told = await system.one.ask("POST", f"{claimed['path']}/progress", token, {"message": said})
    assert told.body["progress"]["message"] == shown
    for _ in range(2):
        body = {"outcome": "Failed", "message": said}
        ended = await system.one.ask("PUT", f"{claimed['path']}/result", token, body)
        assert (ended.status, ended.body["message"]) == (200, shown)


async def test_a_lost_claim_is_not_given_again_once_the_job_is_cancelled(system: Whole) -> None:
    job = system.job(system.pipeline("p"))
    system.launch(job)
    await system.offered()
    path, body = f"/api/v1/workers/{QUEUE}:claim", {"worker": "w", "waitSeconds": 0}
    acme, key = system.callers["acme"], {"Idempotency_Key": "lost"}
    assert (await system.one.ask("POST", path, acme, body, **key)).status == 200
    assert (await system.one.ask("POST", path, acme, body, **key)).status == 200
    system.write(job, state="READY", reason="Stopping")
    assert await _becomes_204(system, path, acme, body, key)


async def _becomes_204(system: Whole, path: str, caller: str, body: dict[str, Any], key: dict[str, str]) -> bool:
    for _ in range(500):
        if (await system.one.ask("POST", path, caller, body, **key)).status == 204:
            return True
        await asyncio.sleep(0.01)
    return False


async def test_a_place_that_the_cluster_has_not_reached_is_no_silent_stream(system: Whole) -> None:
    refusal = ServerError(504, "Timeout", "Too large resource version: 99999, current: 12")
    system.cluster.fault(on("watch", PIPELINES), before=refusal, times=None)
    path = "/api/v1/watch?namespace=team-a"
    told = await system.one.ask("GET", path, system.callers["acme"], Last_Event_ID="99999")
    assert "event: relist" in told.text
