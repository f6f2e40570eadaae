"""What is held open ends soon after the session, or the right, that it was opened with."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from task_pipeline.server import standing
from task_pipeline.server.web import sending
from tests.server.web.site import COOKIE, visitor
from tests.server.whole import Whole, whole

PAGE = "/ui/namespaces/team-a/pipelines/release"
LOG = f"{PAGE}/jobs/unit/log?follow=true"
EVERY, STILL, SOON = 0.1, 1.0, 8.0  # seconds
ADMIN = "system:serviceaccount:task-pipeline:admin"


def _secret(site: Whole) -> None:
    site.world.credentials("acme", lambda known: [])


def _pipelines(site: Whole) -> None:
    site.cluster.reviews.rules.discard((ADMIN, "*", "pipelines", "*"))


def _logs(site: Whole) -> None:
    site.cluster.reviews.rules.discard((ADMIN, "get", "pods/log", "*"))


@pytest.fixture
async def quick(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Whole]:
    """A server that asks often and keeps no answer for long; `release` has a job that waits."""
    monkeypatch.setattr(standing, "EVERY", EVERY)
    monkeypatch.setattr(sending, "BEAT", EVERY)
    monkeypatch.setattr("task_pipeline.server.auth.credentials.FRESH_SECONDS", 0.0)
    monkeypatch.setattr("task_pipeline.server.auth.accounts.KEEP_SECONDS", 0.0)
    async with whole() as made:
        made.job(made.pipeline("release"))
        yield made


@pytest.mark.parametrize(
    ("name", "path", "revoke"),
    [
        ("acme", "/ui/stream", _secret),
        ("acme", "/ui/clients-stream", _secret),
        ("acme", f"{PAGE}/stream", _secret),
        ("acme", LOG, _secret),
        ("admin", f"{PAGE}/stream", _pipelines),
        ("admin", LOG, _pipelines),
        ("admin", LOG, _logs),
    ],
)
async def test_what_is_open_ends_when_it_stands_no_longer(
    quick: Whole, name: str, path: str, revoke: Callable[[Whole], None]
) -> None:
    browser = await visitor(quick, name)
    headers = {"Cookie": f"{COOKIE}={browser.cookie}"}
    async with quick.one.http.get(quick.one.url + path, headers=headers) as response:
        assert response.status == 200
        rest = asyncio.create_task(response.read())
        await asyncio.sleep(STILL)
        assert not rest.done()
        revoke(quick)
        async with asyncio.timeout(SOON):
            await rest
