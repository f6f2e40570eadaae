"""What all requests have in common: caps, forms, problems, health, and a stop within its bound."""

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest

from task_pipeline import __version__
from task_pipeline.api.resources import PIPELINES
from task_pipeline.kube.errors import Unreachable
from task_pipeline.server.routes import MAX_BODY
from tests.fakes import on
from tests.server.site import Site, job, open_site

LIST = "/namespaces/team-a/pipelines"


@pytest.mark.parametrize(
    ("raw", "headers", "status", "reason"),
    [
        (b"{", {}, 400, "InvalidJSON"),
        (b'{"spec": "\xff"}', {}, 400, "InvalidJSON"),
        (b"[" * 65, {}, 400, "TooDeep"),
        (b'{"spec": ' + b'{"a":' * 64 + b"1" + b"}" * 65, {}, 400, "TooDeep"),
        (b"{}", {"Content-Type": "text/plain"}, 415, "UnsupportedMediaType"),
        (b"a=b", {"Content-Type": "application/x-www-form-urlencoded"}, 415, "UnsupportedMediaType"),
        (b"{}", {"Content-Type": "application/json; charset=latin-1"}, 415, "UnsupportedMediaType"),
        (b"{}", {"Content-Encoding": "gzip"}, 415, "UnsupportedEncoding"),
        (b" " * (MAX_BODY + 1), {}, 413, "TooLarge"),
    ],
)
async def test_a_body_that_cannot_be_read(
    site: Site, raw: bytes, headers: dict[str, str], status: int, reason: str
) -> None:
    answer = await site.call("POST", LIST, raw=raw, headers=headers)
    assert (answer.status, answer.reason) == (status, reason)


async def test_a_large_body_is_refused_before_anybody_is_asked_who_sends_it(site: Site) -> None:
    answer = await site.call("POST", LIST, by=None, raw=b" " * (MAX_BODY + 1))
    assert answer.status == 413


async def test_a_body_without_a_length_is_capped_while_it_is_read(site: Site) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(MAX_BODY // 2**16 + 2):
            yield b" " * 2**16

    async with site.client.post(
        f"/api/v1{LIST}",
        data=endless(),
        headers={"Authorization": "Bearer acme", "Content-Type": "application/json"},
    ) as response:
        assert response.status == 413


@pytest.mark.parametrize(
    ("method", "path", "status", "reason"),
    [
        ("GET", "//nowhere", 404, "NoSuchPath"),
        ("GET", "/namespaces/team-a/pipelines/UPPER", 404, "NoSuchPath"),
        ("GET", "/namespaces/..%2F..%2Fsecrets/pipelines", 404, "NoSuchPath"),
        ("GET", "/namespaces/team-a/pipelines/..%2F..%2Fpods", 404, "NoSuchPath"),
        ("GET", "/namespaces/team-a/pipelines/a:b", 404, "NoSuchPath"),
        ("GET", "/namespaces/team-a/pipelines/a:cancel", 405, "MethodNotAllowed"),
        ("PUT", "/namespaces/team-a/pipelines/a", 405, "MethodNotAllowed"),
        ("OPTIONS", "/kinds", 405, "MethodNotAllowed"),
        ("POST", "/namespaces/-/pipelines", 405, "MethodNotAllowed"),
    ],
)
async def test_paths_and_methods_that_do_not_exist(
    site: Site, method: str, path: str, status: int, reason: str
) -> None:
    answer = await site.call(method, path)
    assert (answer.status, answer.reason) == (status, reason)
    assert ("Allow" in answer.headers) is (status == 405)


async def test_a_fault_of_ours_is_told_by_its_id_only(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(thing: object) -> None:
        raise RuntimeError("the secret of the house")

    monkeypatch.setattr("task_pipeline.server.objects.shown", broken)
    await site.create("release")
    answer = await site.call("GET", f"{LIST}/release", headers={"X-Request-Id": "mine-1"})
    assert (answer.status, answer.reason, answer.headers["X-Request-Id"]) == (500, "InternalError", "mine-1")
    assert "secret" not in str(answer.body)
    assert "Traceback" not in str(answer.body)
    logged = [record for record in caplog.records if record.levelno == logging.ERROR and record.exc_info]
    assert any("mine-1" in record.getMessage() for record in logged)


async def test_an_id_that_would_forge_a_line_is_not_taken(site: Site) -> None:
    answer = await site.call("GET", "/kinds", headers={"X-Request-Id": 'x" level="'})
    assert '"' not in answer.headers["X-Request-Id"]


async def test_a_control_plane_that_is_away_is_503(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("task_pipeline.server.upstream.BUDGET", 0.2)
    site.cluster.fault(on(resource=PIPELINES), before=Unreachable("connection refused"), times=None)
    for method, path, body in (
        ("GET", LIST, None),
        ("GET", f"{LIST}/release", None),
        ("DELETE", f"{LIST}/release", None),
        ("POST", LIST, {"spec": {"stages": ["s"], "jobs": [job()]}}),
        ("GET", "//readyz", None),
    ):
        answer = await site.call(method, path, body=body)
        assert (answer.status, answer.reason) == (503, "ControlPlaneUnavailable"), path
        assert int(answer.headers["Retry-After"]) >= 1
    assert (await site.call("GET", "//healthz", by=None)).status == 200


async def test_a_control_plane_that_is_silent_is_503_within_the_budget(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("task_pipeline.server.upstream.BUDGET", 0.2)
    site.cluster.fault(on("get", PIPELINES), delay=10.0, times=None)
    assert (await asyncio.wait_for(site.call("GET", f"{LIST}/release"), 8)).status == 503


async def test_too_many_at_once_are_told_to_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("task_pipeline.server.app.MAX_CONCURRENT", 3)
    site = await open_site()
    site.cluster.fault(on("get", PIPELINES), delay=3, times=None)
    answers = await asyncio.gather(*(site.call("GET", f"{LIST}/release") for _ in range(10)))
    assert sorted(answer.reason for answer in answers) == ["NotFound"] * 3 + ["Overloaded"] * 7
    assert (await site.call("GET", f"{LIST}/release")).reason == "NotFound"
    await site.client.close()
    site.cluster.close()


async def test_readiness_asks_the_api_server_and_not_too_often(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("task_pipeline.server.health.READY_SECONDS", 60.0)
    site.cluster.journal.clear()
    for _ in range(20):
        assert (await site.call("GET", "//readyz", by=None)).status == 200
    assert len(site.cluster.journal) == 1
    site.services.stopping.set()
    answer = await site.call("GET", "//readyz", by=None)
    assert (answer.status, answer.reason) == (503, "Stopping")


async def test_kinds_are_listed_with_their_schemas(site: Site) -> None:
    answer = await site.call("GET", "/kinds")
    kinds = {kind["name"]: kind["versions"] for kind in answer.body["items"]}
    assert {"Shell", "K8S/Job", "K8S/Deployment"} <= kinds.keys()
    assert kinds["Shell"][0]["version"] == "1.0.0"
    assert "script" in kinds["Shell"][0]["params"]["properties"]


async def test_the_document_for_people_needs_no_scripts(site: Site) -> None:
    answer = await site.call("GET", "//docs", by=None)
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/html")
    assert "<script" not in answer.body
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'sha256-")
    assert "/api/v1/namespaces/{namespace}/pipelines/{name}:cancel" in answer.body
    assert __version__ in answer.body


async def test_requests_are_audited_by_route_and_target(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "task_pipeline.audit")
    await site.create("release")
    await site.call("DELETE", f"{LIST}/release")
    await site.call("GET", "//healthz", by=None)
    fields = [record.__dict__["fields"] for record in caplog.records if record.name == "task_pipeline.audit"]
    assert len(fields) == 1
    assert fields[0]["target"] == "team-a/release"
    assert (fields[0]["caller"], fields[0]["status"]) == ("acme", 204)


@pytest.mark.parametrize("header", ["If-Match", "If-None-Match", "Idempotency-Key"])
@pytest.mark.parametrize("value", ["", "1842", '"a" "b"', "\u00fc", " "])
async def test_a_condition_that_cannot_be_read_is_not_ignored(site: Site, header: str, value: str) -> None:
    await site.create("release")
    method, path = {
        "If-Match": ("DELETE", f"{LIST}/release"),
        "If-None-Match": ("GET", f"{LIST}/release"),
        "Idempotency-Key": ("POST", f"{LIST}/release:rerun"),
    }[header]
    answer = await site.call(method, path, headers={header: value})
    if header == "Idempotency-Key" and value in ("1842", '"a" "b"'):
        assert answer.reason == "NotFinished"
        return
    assert (answer.status, answer.reason, list(answer.faults)) == (400, "InvalidHeader", [f"header.{header}"])
    assert await site.pipelines() == ["release"]
