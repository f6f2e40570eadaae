"""A server process that dies after any of its writes: the request, sent again to another replica, changes nothing more.

Every write of the API is a row. Each is also sent with the answer of the API server lost, which its replica has to bear
by itself.
"""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from task_pipeline.api.resources import PIPELINES
from task_pipeline.api.times import format_time
from task_pipeline.kube.errors import Unreachable
from tests.fakes import on
from tests.server.whole import JOB, QUEUE, Answer, Raw, Replica, Whole, basic, whole

ONE = "/api/v1/namespaces/team-a/pipelines/release"
LIST = "/api/v1/namespaces/team-a/pipelines"
WRITES = ("create", "patch", "patch_status", "apply", "delete")
READS = ("get", "list", "post")
MOST_WRITES = 4


class Mortal:
    """A cluster as one process reaches it, whose connection ends with write number `after`: that one is carried out.

    `dies`: the process goes no further, not even to its next line; else the write's answer is lost, once.
    """

    def __init__(self, cluster: Any, after: int, *, dies: bool) -> None:
        self._cluster = cluster
        self._left = after
        self._dies = dies
        self.struck = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._cluster, name)
        if name not in WRITES + READS:
            return method

        async def call(*args: Any, **kwargs: Any) -> Any:
            if self._dies and self.struck.is_set():
                await asyncio.Event().wait()
            result = await method(*args, **kwargs)
            if name in WRITES:
                self._left -= 1
                if self._left == 0:
                    self.struck.set()
                    if not self._dies:
                        raise Unreachable("ServerDisconnectedError: Server disconnected")
                    await asyncio.Event().wait()
            return result

        return call


@dataclass(frozen=True)
class Request:
    """What a caller sends, and sends again."""

    method: str
    path: str
    body: Any = None
    by: str = "acme"
    headers: dict[str, str] = field(default_factory=dict)

    async def send(self, replica: Replica, site: Whole) -> Answer:
        """One request."""
        authorization = site.callers.get(self.by, self.by)
        return await replica.ask(self.method, self.path, authorization, self.body, **self.headers)


Setup = Callable[[Whole], Awaitable[Request]]


@dataclass(frozen=True)
class Row:
    """One write of the API: what it needs, the first answer's status, that of a repetition."""

    name: str
    setup: Setup
    first: int = 200
    again: int = 200


def pipeline_body(name: str | None = "new") -> Raw:
    job = {"name": "a", "stage": "s", "kind": "Worker", "version": "1.0.0", "params": {"queue": "q"}}
    return {"metadata": {"name": name} if name else {}, "spec": {"stages": ["s"], "jobs": [job]}}


def create(name: str | None, key: str | None = "key-1") -> Setup:
    async def setup(site: Whole) -> Request:
        return Request("POST", LIST, pipeline_body(name), headers={"Idempotency_Key": key} if key else {})

    return setup


def on_pipeline(method: str, rest: str, body: Any = None, *, state: str = "", **headers: str) -> Setup:
    async def setup(site: Whole) -> Request:
        pipeline = site.pipeline("release", spec={"suspend": rest == ":resume"})
        site.job(pipeline)
        if state:
            site.write(pipeline, state="IN PROGRESS")
            site.write(pipeline, state=state)
        found = site.cluster.admin.get(PIPELINES, "release", "team-a")
        sent = {name: value.format(etag=found["metadata"]["resourceVersion"]) for name, value in headers.items()}
        return Request(method, ONE + rest, body, headers=sent)

    return setup


async def claim(site: Whole) -> Request:
    pipelines = [site.pipeline(name) for name in ("release", "second")]
    for pipeline in pipelines:
        site.launch(site.job(pipeline))
    body = {"worker": "w1"}
    return Request("POST", f"/api/v1/workers/{QUEUE}:claim", body, headers={"Idempotency_Key": "claim-1"})


def on_attempt(method: str, rest: str, body: Any) -> Setup:
    async def setup(site: Whole) -> Request:
        job = site.job(site.pipeline("release"))
        site.launch(job)
        async with site.serve() as replica:
            asked = {"worker": "w1", "waitSeconds": 10}
            claimed = await replica.ask("POST", f"/api/v1/workers/{QUEUE}:claim", site.callers["acme"], asked)
        now = datetime.now(UTC)
        old = {
            "claimTime": format_time(now - timedelta(seconds=40)),
            "leaseUntil": format_time(now + timedelta(seconds=20)),
        }
        site.write(job, claim=old)
        return Request(method, claimed.body["path"] + rest, body, by=f"Bearer {claimed.body['token']}")

    return setup


async def login(site: Whole) -> Request:
    form = {"grant_type": "client_credentials"}
    return Request("POST", "/oauth2/token", form, by=basic("acme", site.secrets["acme"]))


TABLE = (
    Row("create, with a key", create("new"), 201, 200),
    Row("create, with a key and without a name", create(None), 201, 200),
    Row("create, without a key", create("new", None), 201, 409),
    Row("patch", on_pipeline("PATCH", "", {"spec": {"priority": 3, "suspend": True}})),
    Row("patch of a version", on_pipeline("PATCH", "", {"spec": {"priority": 3}}, If_Match='"{etag}"'), 200, 412),
    Row("cancel", on_pipeline("POST", ":cancel", {"mode": "Drain"})),
    Row("suspend", on_pipeline("POST", ":suspend")),
    Row("resume", on_pipeline("POST", ":resume")),
    Row("rerun by key", on_pipeline("POST", ":rerun", {}, state="ERROR", Idempotency_Key="again-1")),
    Row("rerun by id", on_pipeline("POST", ":rerun", {"id": "again-1", "scope": "All"}, state="DONE")),
    Row("delete", on_pipeline("DELETE", ""), 204, 404),
    Row("patch of a job", on_pipeline("PATCH", f"/jobs/{JOB}", {"spec": {"priority": 3}})),
    Row("cancel of a job", on_pipeline("POST", f"/jobs/{JOB}:cancel")),
    Row("claim", claim),
    Row("heartbeat", on_attempt("POST", "/heartbeat", {})),
    Row("progress", on_attempt("POST", "/progress", {"percent": 40, "message": "frame 8"})),
    Row("result", on_attempt("PUT", "/result", {"outcome": "Succeeded", "result": {"frames": 20}})),
    Row("login", login),
)


@contextlib.asynccontextmanager
async def prepared(row: Row) -> AsyncIterator[tuple[Whole, Request]]:
    """A site with the row's objects, and without a replica yet."""
    async with whole(0, keys=row.setup is not login) as site:
        yield site, await row.setup(site)


@contextlib.asynccontextmanager
async def replicas(site: Whole, count: int) -> AsyncIterator[list[Replica]]:
    """Replicas that know the cluster."""
    async with contextlib.AsyncExitStack() as stack:
        site.replicas = [await stack.enter_async_context(site.serve()) for _ in range(count)]
        await site.ready()
        yield site.replicas


def told(answer: Answer) -> Any:
    """What an answer says, without what is made anew for each: tokens, the request's id, the time left."""
    text = re.sub(r'"(token|access_token|requestId)":"[^"]*"|"timeoutSeconds":[0-9.]+', "", answer.text)
    return answer.status, text, answer.headers.get("ETag"), answer.headers.get("Location")


async def _until_known(site: Whole, request: Request) -> None:
    """Let the replicas hear of jobs that are to be claimed."""
    if request.path.endswith(":claim"):
        await site.offered()


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
async def test_the_same_request_again_at_another_replica_has_the_same_answer(row: Row) -> None:
    async with prepared(row) as (site, request), replicas(site, 2) as (one, two):
        await _until_known(site, request)
        first = await request.send(one, site)
        assert first.status == row.first
        before = site.cluster.store.revision
        again = await request.send(two, site)
        assert again.status == row.again
        assert site.cluster.store.revision == before
        if row.again < 300:
            assert _same(told(again)) == _same(told(first))


def _same(parts: Any) -> Any:
    """201 for the first and 200 for the next: the object is the same; a created one is shown as it is now."""
    _, text, etag, location = parts
    return (text, etag) if location is None else (re.findall(r'"uid":"[^"]*"', text), etag, location)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
async def test_a_process_that_dies_after_a_write_leaves_the_first_answer_to_the_next(row: Row) -> None:
    died = 0
    for number in range(1, MOST_WRITES + 1):
        async with prepared(row) as (site, request):
            mortal = Mortal(site.cluster, number, dies=True)
            async with site.serve(mortal, 0.01) as victim:
                site.replicas = [victim]
                await site.ready()
                struck = await _send_until_death(victim, site, request, mortal)
            if not struck:
                break
            died += 1
            async with replicas(site, 2) as (one, two):
                await _until_known(site, request)
                await _holds(site, request, row, number, (one, two))
    assert died >= 1, "the request writes nothing"


def _patient(request: Request) -> Request:
    """A claim that waits until its replica has heard of the job."""
    if not request.path.endswith(":claim"):
        return request
    return Request(request.method, request.path, request.body | {"waitSeconds": 10}, headers=request.headers)


async def _send_until_death(victim: Replica, site: Whole, request: Request, mortal: Mortal) -> bool:
    """Whether the process died of this request."""
    sending = asyncio.create_task(_patient(request).send(victim, site))
    death = asyncio.create_task(mortal.struck.wait())
    await asyncio.wait((sending, death), timeout=10, return_when=asyncio.FIRST_COMPLETED)
    struck = mortal.struck.is_set()
    assert struck or sending.done(), "neither an answer nor a death"
    for task in (sending, death):
        task.cancel()
    await asyncio.gather(sending, death, return_exceptions=True)
    return struck


async def _holds(site: Whole, request: Request, row: Row, number: int, pair: tuple[Replica, Replica]) -> None:
    """The repetitions: one answer, no second object, no second transition."""
    before, objects = site.cluster.store.revision, len(site.cluster.admin.list(PIPELINES))
    first, second = [await request.send(replica, site) for replica in pair]
    unfinished = row.setup is login  # made of several writes: the next replica goes on where the first one died
    assert (first.status, second.status) == (row.again, row.again), first.text
    assert unfinished or site.cluster.store.revision == before, f"write {number} was done twice"
    assert len(site.cluster.admin.list(PIPELINES)) == objects
    if row.again < 300:
        assert _same(told(first)) == _same(told(second))


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
async def test_a_lost_answer_of_the_api_server_is_borne_by_the_replica(row: Row) -> None:
    async with prepared(row) as (site, request):
        mortal = Mortal(site.cluster, 1, dies=False)
        async with site.serve(mortal) as one, site.serve() as two:
            site.replicas = [one, two]
            await site.ready()
            request = _patient(request)
            first = await request.send(one, site)
            assert mortal.struck.is_set()
            assert first.status == (200 if row.again == 200 else row.first), first.text
            before = site.cluster.store.revision
            again = await request.send(two, site)
            assert again.status == row.again
            assert site.cluster.store.revision == before
            if row.again < 300:
                assert _same(told(again)) == _same(told(first))


async def test_a_deletion_whose_answer_was_lost_spares_the_next_of_that_name(
    site_of_two: tuple[Whole, Replica],
) -> None:
    site, replica = site_of_two
    site.pipeline("release")

    def another() -> Unreachable:
        site.pipeline("release")
        return Unreachable("ServerDisconnectedError: Server disconnected")

    site.cluster.fault(on("delete", PIPELINES), after=another)
    assert (await replica.ask("DELETE", ONE, site.callers["acme"])).status == 204
    assert site.cluster.admin.find(PIPELINES, "release", "team-a") is not None


async def test_a_change_of_others_after_a_lost_answer_is_still_412(site_of_two: tuple[Whole, Replica]) -> None:
    site, replica = site_of_two
    version = site.pipeline("release")["metadata"]["resourceVersion"]

    def others() -> Unreachable:
        site.cluster.admin.patch(PIPELINES, "release", {"spec": {"priority": 7}}, "team-a")
        return Unreachable("ServerDisconnectedError: Server disconnected")

    site.cluster.fault(on("patch", PIPELINES), after=others)
    body, match = {"spec": {"priority": 3}}, f'"{version}"'
    answer = await replica.ask("PATCH", ONE, site.callers["acme"], body, If_Match=match)
    assert (answer.status, answer.reason) == (412, "PreconditionFailed")
    assert site.cluster.admin.get(PIPELINES, "release", "team-a")["spec"]["priority"] == 7


async def test_a_token_of_a_replica_that_died_is_good_at_the_others(site_of_two: tuple[Whole, Replica]) -> None:
    site, survivor = site_of_two
    async with site.serve() as victim:
        answer = await (await login(site)).send(victim, site)
    bearer = f"Bearer {answer.body['access_token']}"
    assert (await survivor.ask("GET", LIST, bearer)).status == 200


@pytest.fixture
async def site_of_two() -> AsyncIterator[tuple[Whole, Replica]]:
    async with whole() as site:
        yield site, site.one
