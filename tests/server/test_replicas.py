"""Three replicas behind a round robin: whoever is asked, the answers are those of a single one.

One long conversation is held with one replica, and again with three in turns, each on a cluster of its own; every read
is also asked of all replicas at the same moment.
"""

import re
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from tests.server.whole import JOB, QUEUE, Answer, Replica, Whole, basic, whole

LIST = "/api/v1/namespaces/team-a/pipelines"
ONE = f"{LIST}/release"
_TIMES = r"\d{4}-\d\d-\d\dT[0-9:.]+Z|\"timeoutSeconds\":[0-9.]+|\"(token|requestId|access_token|continue)\":\"[^\"]*\""


class RoundRobin:
    """Sends every request to the next replica, and keeps what was said."""

    def __init__(self, site: Whole) -> None:
        self._site = site
        self._count = 0
        self.said: list[tuple[str, int, str]] = []

    def next(self) -> Replica:
        """The replica whose turn it is."""
        self._count += 1
        return self._site.replicas[self._count % len(self._site.replicas)]

    async def ask(self, method: str, path: str, body: Any = None, by: str = "", **headers: str) -> Answer:
        """One request; what it is answered is written down."""
        authorization = by or self._site.callers["acme"]
        answer = await self.next().ask(method, path, authorization, body, **headers)
        self.said.append(
            (re.sub("continue=.*", "continue", f"{method} {path}"), answer.status, re.sub(_TIMES, "", answer.text))
        )
        if method == "GET" and "/queue" not in path and "/watch" not in path:
            for replica in self._site.replicas:
                other = await replica.ask(method, path, authorization, body, **headers)
                assert _seen(other) == _seen(answer), path
        return answer


def _seen(answer: Answer) -> tuple[int, str, Mapping[str, str | None]]:
    kept = ("ETag", "Location", "Content-Type", "Allow", "Deprecation")
    return answer.status, re.sub(_TIMES, "", answer.text), {name: answer.headers.get(name) for name in kept}


async def converse(site: Whole) -> list[tuple[str, int, str]]:
    """Submit, page, change, claim, work, report, rerun, follow, delete."""
    crowd = RoundRobin(site)
    form = {"grant_type": "client_credentials"}
    token = await crowd.ask("POST", "/oauth2/token", form, by=basic("acme", site.secrets["acme"]))
    bearer = f"Bearer {token.body['access_token']}"
    await _submit(crowd, bearer)
    await _work(site, crowd)
    await _end(site, crowd, bearer)
    return crowd.said


async def _submit(crowd: RoundRobin, bearer: str) -> None:
    job = {"name": JOB, "stage": "s", "kind": "Worker", "version": "1.0.0", "params": {"queue": QUEUE}}
    for name in ("release", "second", "third"):
        body = {"metadata": {"name": name}, "spec": {"stages": ["s"], "jobs": [job]}}
        await crowd.ask("POST", LIST, body, by=bearer, Idempotency_Key=name)
        await crowd.ask("POST", LIST, body, by=bearer, Idempotency_Key=name)
    wrong = {"spec": {"stages": [], "jobs": [job | {"kind": "Nix"}]}}
    await crowd.ask("POST", LIST, wrong)
    await crowd.ask("POST", f"{LIST}:validate", wrong)
    page = await crowd.ask("GET", f"{LIST}?limit=1")
    while (place := page.body["metadata"].get("continue")) is not None:
        page = await crowd.ask("GET", f"{LIST}?limit=1&continue={place}")
    found = await crowd.ask("GET", ONE)
    etag = found.headers["ETag"]
    await crowd.ask("PATCH", ONE, {"spec": {"priority": 3}}, If_Match=etag)
    await crowd.ask("PATCH", ONE, {"spec": {"priority": 4}}, If_Match=etag)
    etag = (await crowd.ask("GET", ONE, If_None_Match=etag)).headers["ETag"]
    await crowd.ask("GET", ONE, If_None_Match=etag)


async def _work(site: Whole, crowd: RoundRobin) -> None:
    pipeline = (await crowd.ask("GET", ONE)).body
    site.write(pipeline, state="IN PROGRESS")
    job = site.job(pipeline)
    site.launch(job)
    await site.offered()
    for _ in range(3):
        claimed = await crowd.ask("POST", f"/api/v1/workers/{QUEUE}:claim", {"worker": "w"}, Idempotency_Key="c1")
    path, by = claimed.body["path"], f"Bearer {claimed.body['token']}"
    await crowd.ask("GET", f"{ONE}/jobs")
    await crowd.ask("GET", f"{ONE}/jobs/{JOB}")
    await crowd.ask("POST", f"{path}/progress", {"percent": 40}, by=by)
    await crowd.ask("POST", f"{path}/heartbeat", {}, by=by)
    for outcome in ("Succeeded", "Succeeded", "Failed"):
        await crowd.ask("PUT", f"{path}/result", {"outcome": outcome}, by=by)
    await crowd.ask("GET", path, by=by)
    site.write(job, state="DONE")
    await crowd.ask("POST", f"{path}/heartbeat", {}, by=by)


async def _end(site: Whole, crowd: RoundRobin, bearer: str) -> None:
    await crowd.ask("POST", f"{ONE}:rerun", {}, Idempotency_Key="r1")
    site.write((await crowd.ask("GET", ONE)).body, state="ERROR")
    for _ in range(3):
        await crowd.ask("POST", f"{ONE}:rerun", {}, Idempotency_Key="r1")
    for action in ("suspend", "suspend", "resume", "cancel", "cancel"):
        await crowd.ask("POST", f"{LIST}/second:{action}", by=bearer)
    await crowd.ask("GET", "/api/v1/clients/acme")
    await crowd.ask("GET", "/api/v1/kinds")
    await crowd.ask("GET", "/openapi.json")
    for _ in range(2):
        await crowd.ask("DELETE", ONE)
    await crowd.ask("GET", ONE)


@pytest.fixture
async def single() -> AsyncIterator[Whole]:
    async with whole(1) as site:
        yield site


@pytest.fixture
async def three() -> AsyncIterator[Whole]:
    async with whole(3) as site:
        yield site


async def test_three_replicas_in_turns_answer_as_one(single: Whole, three: Whole) -> None:
    alone, crowd = await converse(single), await converse(three)
    assert [told[:2] for told in crowd] == [told[:2] for told in alone]
    assert _without_versions(crowd) == _without_versions(alone)
    assert {status for _, status, _ in crowd} >= {200, 201, 204, 304, 404, 409, 410, 412, 422}


def _without_versions(said: list[tuple[str, int, str]]) -> list[str]:
    """Texts without versions and places: waiting for three replicas makes more objects than for one."""
    return [re.sub(r'"(resourceVersion|uid)":"[^"]*"|\\"\d+\\"|[0-9a-f]{8}-0000-4000-[0-9a-f-]+', "", text)
            for *_, text in said]  # fmt: skip
