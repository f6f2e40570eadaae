"""Every route of the pages x everybody who may come: one table says what each cell answers.

A route without a row fails. What may not be seen answers like what does not exist, and what is refused writes nothing.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

import pytest
from aiohttp import web

from tests.server.web.site import Browser, Got, visitor
from tests.server.whole import Whole, basic

COLUMNS = ("acme", "rival", "admin", "stranger", "nobody", "garbage", "basic", "bearer")
OUTSIDE = ("nobody", "garbage", "basic", "bearer")  # without a session, whatever stands in a header
ONE = "/ui/namespaces/{namespace}/pipelines/{name}"
JOB = f"{ONE}/jobs/{{job}}"
FAR = {"namespace": "team-c", "name": "far", "job": "unit"}
NEAR = {"namespace": "team-a", "name": "release", "job": "unit"}


class Row(NamedTuple):
    """What a route answers: by column; `nobody` is for all that have no session."""

    method: str
    path: str
    acme: int
    rival: int
    admin: int
    stranger: int
    nobody: int
    parts: Mapping[str, str] = NEAR
    form: Mapping[str, str] = {}

    @property
    def title(self) -> str:
        """Method and path."""
        return f"{self.method} {self.path} {self.parts.get('namespace', '')} {self.form.get('action', '')}".strip()

    def cells(self) -> dict[str, int]:
        """The statuses by column."""
        named = {"acme": self.acme, "rival": self.rival, "admin": self.admin, "stranger": self.stranger}
        return named | dict.fromkeys(OUTSIDE, self.nobody)


TABLE = (
    Row("GET", "/", 303, 303, 303, 303, 303),
    Row("GET", "/ui/static/{digest}/{file}", 200, 200, 200, 200, 200, {"digest": "x", "file": "pages.css"}),
    Row("GET", "/ui/static/{digest}/{file}", 404, 404, 404, 404, 404, {"digest": "x", "file": "pages.py"}),
    Row("GET", "/ui/login", 200, 200, 200, 200, 200),
    Row("POST", "/ui/login", 422, 422, 422, 422, 422, form={"client_id": "acme", "client_secret": "wrong"}),
    Row("POST", "/ui/logout", 303, 303, 303, 303, 303),
    Row("GET", "/ui", 200, 200, 200, 200, 303),
    Row("GET", "/ui/stream", 200, 200, 200, 200, 401),
    Row("GET", "/ui/clients", 200, 200, 200, 403, 303),
    Row("GET", "/ui/clients/{id}", 200, 404, 200, 403, 303, {"id": "acme"}),
    Row("GET", "/ui/clients-stream", 200, 200, 200, 403, 401),
    Row("GET", ONE, 200, 404, 200, 403, 303),
    Row("GET", ONE, 403, 403, 200, 403, 303, FAR),
    Row("POST", ONE, 303, 404, 303, 403, 303, form={"action": "suspend"}),
    Row("POST", ONE, 303, 404, 303, 403, 303, form={"action": "resume"}),
    Row("POST", ONE, 303, 404, 303, 403, 303, form={"action": "cancel"}),
    Row("POST", ONE, 303, 404, 303, 403, 303, form={"action": "drain"}),
    Row("POST", ONE, 409, 404, 409, 403, 303, form={"action": "rerun"}),
    Row("POST", ONE, 409, 404, 409, 403, 303, form={"action": "rerun-all"}),
    Row("POST", ONE, 422, 422, 422, 422, 303, form={"action": "delete"}),
    Row("GET", f"{ONE}/stream", 200, 404, 200, 403, 401),
    Row("GET", f"{ONE}/stream", 403, 403, 200, 403, 401, FAR),
    Row("GET", JOB, 200, 404, 200, 403, 401),
    Row("GET", JOB, 403, 403, 200, 403, 401, FAR),
    Row("POST", JOB, 303, 404, 303, 403, 303, form={"action": "cancel"}),
    Row("GET", f"{JOB}/log", 404, 404, 404, 403, 401),
    Row("GET", f"{JOB}/log", 403, 403, 404, 403, 401, FAR),
)


class Visitors:
    """Who comes, by column."""

    def __init__(self, site: Whole) -> None:
        self.site = site
        self._known: dict[str, Browser] = {}

    async def ask(self, row: Row, column: str, parts: Mapping[str, str]) -> Got:
        """The request of a cell. Of a stream only the beginning is read."""
        browser = await self._browser(column)
        headers = {}
        if column in ("basic", "bearer"):
            headers["Authorization"] = basic("acme", self.site.secrets["acme"])
        if column == "bearer":
            headers["Authorization"] = self.site.callers["admin"]
        path = row.path.format_map(parts)
        if row.path.endswith("stream"):
            return await self._beginning(browser, path, headers)
        if row.method == "GET":
            return await browser.get(path, **headers)
        return await browser.ask("POST", path, {**row.form, **await self._token(row, browser)}, **headers)

    async def _token(self, row: Row, browser: Browser) -> dict[str, str]:
        return {} if row.path == "/ui/login" else {"csrf": await browser.csrf()}

    async def _browser(self, column: str) -> Browser:
        if column not in self._known:
            made = await visitor(self.site, column)
            made.cookie = "garbage" if column == "garbage" else made.cookie
            self._known[column] = made
        return self._known[column]

    async def _beginning(self, browser: Browser, path: str, headers: Mapping[str, str]) -> Got:
        sent = {**headers, "Cookie": f"__Host-task-pipeline={browser.cookie}"}
        async with browser.replica.http.get(browser.replica.url + path, headers=sent) as response:
            text = "" if response.status == 200 else await response.text()
            return Got(response.status, text, response.headers)


@pytest.fixture
async def visitors(site: Whole) -> Visitors:
    return Visitors(site)


async def test_every_route_of_the_pages_has_a_row(site: Whole) -> None:
    app: web.Application = site.one.app
    served = {(route.method, route.resource.canonical) for route in app.router.routes() if route.resource is not None}
    pages = {(method, path) for method, path in served if path == "/" or path.startswith("/ui")}
    assert pages == {(row.method, row.path) for row in TABLE}


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.title)
async def test_every_cell_answers_as_the_table_says(visitors: Visitors, row: Row) -> None:
    got, store = {}, visitors.site.cluster.store
    for column in COLUMNS:
        before = store.revision
        answer = await visitors.ask(row, column, row.parts)
        got[column] = answer.status
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        if answer.status >= 400 or column in OUTSIDE:
            assert store.revision == before, f"{column}: refused, and something was written"
        if answer.status == 303 and column in OUTSIDE and row.path != "/":
            assert answer.headers["Location"].startswith("/ui/login?next=/ui")
        if column == "rival":
            assert "release" not in answer.text.replace(ONE.format_map(NEAR), "").replace("Pipeline release", "")
    assert got == row.cells()


@pytest.mark.parametrize(
    "row", [row for row in TABLE if row.rival == 404 and row.parts is NEAR], ids=lambda row: row.title
)
async def test_b060_what_may_not_be_seen_answers_like_what_does_not_exist(visitors: Visitors, row: Row) -> None:
    there = await visitors.ask(row, "rival", row.parts)
    missing = await visitors.ask(row, "rival", {**row.parts, "name": "absent"})
    assert there.status == missing.status == 404
    assert _said(there) == _said(missing).replace("absent", "release")


def _said(answer: Got) -> str:
    return re.sub(r"csrf[^>]*|data-now=\"\d+\"", "", answer.text)


async def test_a_list_shows_what_rest_lists_for_the_same_caller(site: Whole) -> None:
    for name in ("acme", "rival", "admin", "stranger"):
        rest = await site.one.ask("GET", "/api/v1/namespaces/-/pipelines", site.callers[name])
        wanted = sorted(item["metadata"]["name"] for item in rest.body["items"])
        page = (await (await visitor(site, name)).get("/ui")).text
        assert sorted(re.findall(r'<a href="/ui/namespaces/[a-z-]+/pipelines/([a-z-]+)"', page)) == wanted, name
