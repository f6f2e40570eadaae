"""Every route of the whole server x every sort of credential: one table says what each cell answers.

A route without a row fails. What a caller may not see answers like what does not exist (field cases B060, B061), and a
refusal writes nothing.
"""

import re
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

from task_pipeline.api.resources import PIPELINES, PODS
from task_pipeline.server.auth.callers import AttemptClaim
from task_pipeline.server.auth.keys import KeyRing
from task_pipeline.server.auth.tokens import Tokens
from tests.server.whole import Answer, Raw, Whole, basic, whole
from tests.unit.server.auth.world import NAMESPACE

API = "/api/v1"
LIST = f"{API}/namespaces/{{namespace}}/pipelines"
ONE = f"{LIST}/{{name}}"
JOB = f"{ONE}/jobs/{{job}}"
ATTEMPT = f"{API}/attempts/{{uid}}/{{n}}"
CLAIM = f"{API}/workers/{{queue}}:claim"

NOBODY = ("none", "garbage", "scheme", "secret", "expired", "revoked")  # proves nothing: 401 wherever one is needed
OUTSIDE = ("rival", "elsewhere", "stranger", "runner")  # proved, and without a right to the object
INSIDE = ("acme", "admin")
TOKENS = ("attempt", "other", "before", "over")  # of attempts: the one on, another job's, one retried, one finished
COLUMNS = (*NOBODY, *OUTSIDE, *INSIDE, *TOKENS)
REASONS = dict.fromkeys(NOBODY, "Unauthorized") | {"expired": "TokenExpired"}


@dataclass(frozen=True)
class Row:
    """What a route answers: `cells` by column. `needs` is what the objects must have come to; `query` is added."""

    method: str
    path: str
    cells: Mapping[str, int]
    body: Any = None
    needs: str = ""
    query: str = ""
    parts: Mapping[str, str] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """Method and path."""
        return f"{self.method} {self.path}{self.query}{self.needs and ' '}{self.needs}"


def everybody(status: int) -> dict[str, int]:
    """The cells of a public route."""
    return dict.fromkeys(COLUMNS, status)


def callers(right: int, rival: int, elsewhere: int, stranger: int = 403, runner: int = 403) -> dict[str, int]:
    """The cells of a route for callers."""
    outside = {"rival": rival, "elsewhere": elsewhere, "stranger": stranger, "runner": runner}
    inside = dict.fromkeys(INSIDE, right)
    return dict.fromkeys(NOBODY, 401) | outside | inside | dict.fromkeys(TOKENS, 403)


def own(right: int) -> dict[str, int]:
    """The cells of a route to one Pipeline."""
    return callers(right, rival=404, elsewhere=403)


def attempts(over: int) -> dict[str, int]:
    """The cells of a route for the token of one attempt."""
    refused = dict.fromkeys(NOBODY, 401) | dict.fromkeys((*OUTSIDE, *INSIDE), 403)
    return refused | {"attempt": 200, "other": 403, "before": 409, "over": over}


LOGIN = (
    everybody(400) | {"none": 401, "scheme": 401, "secret": 401} | dict.fromkeys(("acme", "rival", "elsewhere"), 200)
)
WORKER = {"stages": ["s"], "clientId": "acme", "jobs": [
    {"name": "a", "stage": "s", "kind": "Worker", "version": "1.0.0", "params": {"queue": "q"}}
]}  # fmt: skip
CREATE = {"metadata": {"name": "new-{column}"}, "spec": WORKER}
PRIORITY = {"spec": {"priority": 3}}
DONE = {"outcome": "Succeeded"}
FORM = {"grant_type": "client_credentials"}

TABLE = (
    Row("GET", "/healthz", everybody(200)),
    Row("GET", "/readyz", everybody(200)),
    Row("GET", "/openapi.json", everybody(200)),
    Row("GET", "/docs", everybody(200)),
    Row("POST", "/oauth2/token", LOGIN, FORM),
    Row("GET", f"{API}/kinds", callers(200, rival=200, elsewhere=200, stranger=200, runner=200)),
    Row("POST", LIST, callers(201, rival=403, elsewhere=403), CREATE),
    Row("POST", f"{LIST}:validate", callers(200, rival=403, elsewhere=403), CREATE),
    Row("GET", f"{API}/namespaces/-/pipelines", callers(200, rival=200, elsewhere=200, stranger=200)),
    Row("GET", LIST, callers(200, rival=200, elsewhere=403)),
    Row("GET", ONE, own(200)),
    Row("PATCH", ONE, own(200), PRIORITY),
    Row("DELETE", ONE, own(204)),
    Row("POST", f"{ONE}:cancel", own(200), {"mode": "Now"}),
    Row("POST", f"{ONE}:suspend", own(200)),
    Row("POST", f"{ONE}:resume", own(200), needs="suspended"),
    Row("POST", f"{ONE}:rerun", own(409), {"id": "r1"}),
    Row("POST", f"{ONE}:rerun", own(200), {"id": "r1"}, "finished"),
    Row("GET", f"{ONE}/jobs", own(200)),
    Row("GET", JOB, own(200)),
    Row("PATCH", JOB, own(200), PRIORITY),
    Row("POST", f"{JOB}:cancel", own(200), {"mode": "Now"}),
    Row("GET", f"{JOB}/logs", own(404)),
    Row("GET", f"{JOB}/logs", own(200), needs="pod"),
    Row("GET", f"{API}/queue", callers(200, rival=200, elsewhere=200)),
    Row("GET", f"{API}/clients/{{id}}", callers(200, rival=404, elsewhere=200, stranger=404, runner=404)),
    Row("GET", f"{API}/clients/{{id}}/queue", callers(200, rival=404, elsewhere=200, stranger=404, runner=404)),
    Row("GET", f"{API}/watch", callers(200, rival=200, elsewhere=200, stranger=200)),
    Row("GET", f"{API}/watch", callers(200, rival=200, elsewhere=403), query="?namespace={namespace}"),
    Row("GET", f"{API}/watch", callers(200, rival=200, elsewhere=403), query="?namespace={namespace}&pipeline={name}"),
    Row("POST", CLAIM, callers(200, rival=204, elsewhere=204, runner=204) | {"admin": 403}, {"worker": "w"}),
    Row("POST", CLAIM, callers(204, rival=204, elsewhere=204, runner=200) | {"admin": 403}, {"worker": "w"}, "http",
        parts={"queue": "http"}),
    Row("GET", ATTEMPT, attempts(over=200), needs="claimed"),
    Row("POST", f"{ATTEMPT}/heartbeat", attempts(over=410), {}, "claimed"),
    Row("POST", f"{ATTEMPT}/progress", attempts(over=410), {"percent": 5}, "claimed"),
    Row("PUT", f"{ATTEMPT}/result", attempts(over=410), DONE, "claimed"),
)  # fmt: skip


class Matrix:
    """The server with objects of the client `acme` for each cell, and the credentials of all columns."""

    def __init__(self, site: Whole) -> None:
        self.site = site
        self.authorizations: dict[str, str | None] = {
            **{name: site.callers[name] for name in ("acme", "admin", "stranger", "runner", "rival")},
            "elsewhere": site.callers["acme"],
            "none": None,
            "garbage": "Bearer garbage",
            "scheme": "Digest " + site.callers["acme"].split()[1],
            "secret": basic("acme", site.secrets["rival"]),
        }
        self._ring, self._now = KeyRing(site.cluster, NAMESPACE, now=self.now, clock=lambda: 0.0), 0.0

    def now(self) -> float:
        """Unix time of who signs tokens."""
        return time.time() + self._now

    async def prepare(self) -> None:
        """Make the tokens of clients that are good no more."""
        self._now = -3600.0
        revoked, _ = await Tokens(self._ring, now=self.now).for_client("acme", ["team-a"])
        await self._ring.rotate(revoke=True)
        self._ring = KeyRing(self.site.cluster, NAMESPACE, now=self.now, clock=lambda: 0.0)
        expired, _ = await Tokens(self._ring, now=self.now).for_client("acme", ["team-a"])
        self._now = 0.0
        self.authorizations |= {"revoked": f"Bearer {revoked}", "expired": f"Bearer {expired}"}

    async def cell(self, row: Row, column: str) -> dict[str, str]:
        """The objects of a cell; the parts of its path."""
        namespace = "team-c" if column == "elsewhere" else "team-a"
        pipeline = self.site.pipeline(f"acmes-{column}", namespace, spec={"suspend": row.needs == "suspended"})
        queue = f"q-{column}"
        http = {"kind": "HTTP", "params": {"url": "https://example.org/"}}
        job = self.site.job(pipeline, **(http if row.needs == "http" else {"params": {"queue": queue}}))
        uid = job["metadata"]["uid"]
        if row.needs == "finished":
            self.site.write(pipeline, state="IN PROGRESS")
            self.site.write(pipeline, state="ERROR")
        if row.needs == "pod":
            await self._log(job)
        if row.path == CLAIM or row.needs == "claimed":
            self.site.launch(job)
        if row.needs == "claimed":
            await self._claimed(column, job)
        parts = {"namespace": namespace, "name": f"acmes-{column}", "job": "unit", "id": "acme", "n": "1"}
        return {**parts, "uid": uid, "queue": queue, "column": column, **row.parts}

    async def _log(self, job: Raw) -> None:
        metadata = job["metadata"]
        self.site.write(job, state="IN PROGRESS", attempt=1)
        named = {"name": f"pod-{metadata['name'][:30]}", "labels": metadata["labels"]}
        spec = {"restartPolicy": "Never", "containers": [{"name": "main", "image": "busybox"}]}
        body = {"metadata": named, "spec": spec}
        self.site.cluster.admin.create(PODS, body, metadata["namespace"])

        def started() -> bool:
            pod = self.site.cluster.admin.get(PODS, named["name"], metadata["namespace"])
            return pod.get("status", {}).get("phase") not in (None, "Pending")

        await self.site.cluster.admin.wait_for(started, 10)

    async def _claimed(self, column: str, job: Raw) -> None:
        """Let the attempt be claimed, make it what the column says, and keep its token."""
        claim = {"attempt": 1, "worker": "w", "claimTime": "2031-01-01T00:00:00Z", "leaseUntil": "2031-01-01T00:01:00Z"}
        self.site.write(job, claim=claim)
        if column == "before":
            self.site.launch(job, 2)
        if column == "over":
            self.site.write(job, state="DONE", report={"attempt": 1, "outcome": "Failed", "time": claim["claimTime"]})
        if column in TOKENS:
            self.authorizations[column] = await self._token(job, "another" if column == "other" else None)

    async def _token(self, job: Raw, uid: str | None = None) -> str:
        metadata = job["metadata"]
        claim = AttemptClaim(metadata["namespace"], metadata["name"], uid or metadata["uid"], 1)
        return "Bearer " + await Tokens(self._ring, now=self.now).for_attempt(claim)

    async def tokens(self) -> None:
        """Tokens of attempts for routes that are not about them."""
        job = self.site.job(self.site.pipeline("acmes-attempt-of-tokens"))
        for column in TOKENS:
            self.authorizations[column] = await self._token(job)

    async def ask(self, row: Row, column: str, parts: Mapping[str, str]) -> Answer:
        """The request of a cell."""
        path = (row.path + row.query).format_map(parts)
        body = _filled(row.body, parts)
        return await self.site.one.ask(row.method, path, self.authorizations[column], body)


def _filled(body: Any, parts: Mapping[str, str]) -> Any:
    if isinstance(body, dict):
        return {key: _filled(value, parts) for key, value in body.items()}
    return body.format_map(parts) if isinstance(body, str) else body


def said(answer: Answer, *names: str) -> tuple[int, Any]:
    """What a caller learns: everything but the names that it gave itself, and the request's id."""
    body = {key: value for key, value in (answer.body or {}).items() if key != "requestId"}
    return answer.status, {key: re.sub("|".join(names), "*", str(value)) for key, value in body.items()}


@pytest.fixture
async def matrix() -> AsyncIterator[Matrix]:
    async with whole() as site:
        made = Matrix(site)
        await made.prepare()
        await made.tokens()
        yield made


async def test_every_route_has_a_row(matrix: Matrix) -> None:
    app: web.Application = matrix.site.one.app
    served = {(route.method, route.resource.canonical) for route in app.router.routes() if route.resource is not None}
    served = {(method, path) for method, path in served if path != "/" and not path.startswith("/ui")}
    assert served == {(row.method, row.path) for row in TABLE}
    assert all(set(row.cells) == set(COLUMNS) for row in TABLE)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.title)
async def test_every_cell_answers_as_the_table_says(matrix: Matrix, row: Row) -> None:
    cells = {column: await matrix.cell(row, column) for column in COLUMNS}
    await matrix.site.offered()
    document = (await matrix.site.one.ask("GET", "/openapi.json", None)).body
    documented = document["paths"][row.path][row.method.lower()]["responses"]
    got, store = {}, matrix.site.cluster.store
    for column, parts in cells.items():
        before = store.revision
        answer = await matrix.ask(row, column, parts)
        got[column] = answer.status
        assert str(answer.status) in documented
        if answer.status >= 400:
            assert store.revision == before, f"{column}: refused, and something was written"
        if answer.status == 401 and row.path != "/oauth2/token":
            assert (answer.reason, "WWW-Authenticate" in answer.headers) == (REASONS[column], True), column
        if answer.status < 300:
            _hold_secrets(column, answer)
    assert got == dict(row.cells)


def _hold_secrets(column: str, answer: Answer) -> None:
    """What is acme's is seen by acme, and what is elsewhere by nobody but the administrator."""
    if column in ("rival", "stranger", "runner") and "params" not in answer.text:
        assert "acmes-" not in answer.text, column
    if column != "admin":
        assert "acmes-elsewhere" not in answer.text, column


@pytest.mark.parametrize("row", [row for row in TABLE if row.cells["rival"] in (403, 404)], ids=lambda row: row.title)
async def test_b060_what_may_not_be_seen_answers_like_what_does_not_exist(matrix: Matrix, row: Row) -> None:
    parts = {part for part in ("name", "job", "id", "uid", "namespace") if f"{{{part}}}" in row.path}
    for column in (*NOBODY, *OUTSIDE, "other"):
        if row.cells[column] < 300:
            continue
        there = await matrix.cell(row, column)
        found = await matrix.ask(row, column, there)
        for part in parts - ({"namespace"} if column in ("rival", "elsewhere", "runner") else set()):
            missing = await matrix.ask(row, column, there | {part: "absent"})
            assert said(missing, "absent") == said(found, re.escape(there[part])), (column, part)


async def test_b060_a_right_answer_to_others_holds_their_own_only(matrix: Matrix) -> None:
    """Lists and streams, which a rival may ask for: they must not be empty because nothing is shown at all."""
    matrix.site.pipeline("acmes-release")
    matrix.site.pipeline("rivals-release", client="rival")
    matrix.site.cluster.admin.get(PIPELINES, "rivals-release", "team-a")
    for path in (f"{API}/namespaces/-/pipelines", LIST, f"{API}/watch"):
        answer = await matrix.site.one.ask("GET", path.format(namespace="team-a"), matrix.site.callers["rival"])
        assert "rivals-release" in answer.text
        assert "acmes-release" not in answer.text
