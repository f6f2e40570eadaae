"""Secrets in headers: given out only when the namespace lets the server read them and the Secret names the target."""

import base64
from typing import Any

import msgspec
import pytest

from task_pipeline.api.resources import SECRETS
from task_pipeline.server.secret_headers import TARGETS_ANNOTATION, SecretHeaders, secret_headers
from tests.fakes import FakeCluster, on
from tests.fakes.refusals import forbidden
from tests.fakes.reviews import Account
from tests.server.workers_world import one_site
from tests.unit.core.job_builders import job

VALUE = "Bearer hunter2"
ORIGIN = "https://api.example.com"


async def cluster_with(
    annotation: str | None = "https://api.example.com", value: bytes = VALUE.encode()
) -> FakeCluster:
    cluster = FakeCluster(namespaces=("ns", "task-pipeline"))
    annotations = {} if annotation is None else {TARGETS_ANNOTATION: annotation}
    for namespace in ("ns", "task-pipeline"):
        body = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "api", "annotations": annotations},
            "data": {"token": base64.b64encode(value).decode(), "other": "b3RoZXI="},
        }
        await cluster.create(SECRETS, namespace, body)
    return cluster


async def asked(
    cluster: FakeCluster,
    url: str = "https://api.example.com",
    kind: str = "HTTP",
    namespace: str = "ns",
    **headers: Any,
) -> SecretHeaders:
    given = headers or {"Authorization": {"secretKeyRef": {"name": "api", "key": "token"}}, "X-Plain": "v"}
    record = job(kind=kind, params=msgspec.Raw(msgspec.json.encode({"url": url, "headers": given})))
    try:
        return await secret_headers(cluster, msgspec.structs.replace(record, namespace=namespace), "task-pipeline")
    finally:
        cluster.close()


async def test_the_value_and_nothing_else_is_given_out() -> None:
    found = await asked(await cluster_with())
    assert found == SecretHeaders({"Authorization": VALUE})
    assert VALUE not in repr(found)


async def test_several_headers_of_one_secret_read_it_once() -> None:
    cluster = await cluster_with()
    refs: dict[str, Any] = {
        name: {"secretKeyRef": {"name": "api", "key": key}} for name, key in (("A", "token"), ("B", "other"))
    }
    assert (await asked(cluster, **refs)).values == {"A": VALUE, "B": "other"}
    assert [request.verb for request in cluster.journal.requests].count("get") == 1


async def test_a_line_end_is_left_out() -> None:
    for end in (b"\n", b"\r\n"):
        assert (await asked(await cluster_with(value=VALUE.encode() + end))).values == {"Authorization": VALUE}


async def test_other_kinds_have_none() -> None:
    assert await asked(FakeCluster(), kind="Worker") == SecretHeaders()


async def test_without_references_nothing_is_read() -> None:
    assert await asked(FakeCluster(), **{"X-Plain": "v"}) == SecretHeaders()


@pytest.mark.parametrize(
    ("annotation", "url", "words"),
    [
        (None, "https://api.example.com/", f"annotate it with {TARGETS_ANNOTATION}: https://api.example.com"),
        ("", "https://api.example.com/", "may not be sent to https://api.example.com"),
        ("https://api.example.com", "https://evil.example.net/", "may not be sent to https://evil.example.net"),
        ("https://api.example.com", "http://api.example.com/", "may not be sent to http://api.example.com"),
        ("https://api.example.com", "https://api.example.com:8443/", "may not be sent to"),
        ("api.example.com", "https://api.example.com/", "cannot be read: must be scheme://host"),
    ],
)
async def test_a_target_that_the_secret_does_not_name(annotation: str | None, url: str, words: str) -> None:
    found = await asked(await cluster_with(annotation), url)
    assert words in (found.fault or "")
    assert found.values == {}


@pytest.mark.parametrize("annotation", ["https://a.net,https://*.example.com", "https://a.net\nhttps://*"])
async def test_a_target_among_several(annotation: str) -> None:
    assert (await asked(await cluster_with(annotation))).fault is None


@pytest.mark.parametrize(
    ("name", "key", "words"),
    [
        ("gone", "token", "the Secret ns/gone does not exist"),
        ("api", "gone", "has no key gone"),
    ],
)
async def test_what_is_missing_is_named(name: str, key: str, words: str) -> None:
    found = await asked(await cluster_with(), A={"secretKeyRef": {"name": name, "key": key}})
    assert words in (found.fault or "")


@pytest.mark.parametrize(
    ("value", "words"),
    [(b"\xff\xfe", "holds bytes that no header can"), (b"a\r\nX: y", "line ends"), (b"x" * 9000, "the limit is 8192")],
)
async def test_a_value_that_no_header_can_hold(value: bytes, words: str) -> None:
    found = await asked(await cluster_with(value=value))
    assert words in (found.fault or "")


async def test_a_missing_right_names_the_secret_and_the_role() -> None:
    cluster = await cluster_with()
    cluster.fault(on("get", SECRETS), before=forbidden(SECRETS, "api", "no"))
    fault = (await asked(cluster)).fault or ""
    assert "may not read the Secret ns/api" in fault
    assert "task-pipeline-http-secrets" in fault
    assert "RoleBinding in the namespace ns" in fault


async def test_secrets_of_the_operator_are_sent_to_nobody() -> None:
    cluster = await cluster_with()
    found = await asked(cluster, namespace="task-pipeline")
    assert "sent to nobody" in (found.fault or "")


RUNNER = Account("system:serviceaccount:task-pipeline:runner", ("task-pipeline",))
HTTP = {"url": f"{ORIGIN}/x", "headers": {"Authorization": {"secretKeyRef": {"name": "api", "key": "token"}}}}


async def test_the_runner_is_given_the_values_at_its_claim_and_a_fault_where_there_are_none() -> None:
    async with one_site() as site, site.replica() as server:
        site.cluster.reviews.tokens["the.runner.token"] = RUNNER
        runner = "Bearer the.runner.token"
        site.offer("first", kind="HTTP", params=HTTP)
        status, claimed = await server.claim(runner, "http", wait=5)
        assert status == 200, claimed
        assert claimed["secretHeaders"] == {}
        assert "the Secret default/api does not exist" in claimed["secretFault"]
        said = {"outcome": "Failed", "reason": "ConfigError", "message": claimed["secretFault"]}
        assert (await server.say(claimed, "result", said))[0] == 200
        assert site.status("first")["report"]["reason"] == "ConfigError"
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "api", "annotations": {TARGETS_ANNOTATION: ORIGIN}},
            "data": {"token": base64.b64encode(VALUE.encode()).decode()},
        }
        site.cluster.admin.create(SECRETS, secret)
        site.offer("second", kind="HTTP", params=HTTP)
        status, claimed = await server.claim(runner, "http", wait=5, key="k")
        assert (status, claimed["secretHeaders"], claimed["secretFault"]) == (200, {"Authorization": VALUE}, None)
        status, again = await server.claim(runner, "http", key="k")
        assert (status, again["path"]) == (200, claimed["path"]), "a lost answer must not cost the attempt"


async def test_a_worker_is_given_no_headers() -> None:
    async with one_site() as site, site.replica() as server:
        site.offer()
        claimed = (await server.claim(site.acme, wait=5))[1]
        assert "secretHeaders" not in claimed
