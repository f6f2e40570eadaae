"""A user without the right to all namespaces, in a cluster that has many."""

import pytest

from task_pipeline.server import places
from tests.server.web.site import visitor
from tests.server.whole import Whole

STRANGER = "system:serviceaccount:task-pipeline:stranger"
TOLD = "Only the first"


def lists(site: Whole) -> int:
    """How often the namespaces were listed."""
    return sum(one.verb == "list" and one.resource.plural == "namespaces" for one in site.cluster.journal.requests)


async def test_namespaces_beyond_the_first_page_are_seen_and_listed_once(
    site: Whole, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "PAGE", 2)
    site.cluster.reviews.rules.add((STRANGER, "list", "pipelines", "team-c"))
    browser = await visitor(site, "stranger")
    before = lists(site)
    answer = await browser.get("/ui")
    pages = lists(site) - before
    assert pages > 1
    assert ("far" in answer.text, "release" in answer.text, TOLD in answer.text) == (True, False, False)
    await browser.get("/ui")
    assert lists(site) - before == pages


async def test_what_is_beyond_the_bound_is_said(site: Whole, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "MOST", 2)
    answer = await (await visitor(site, "stranger")).get("/ui")
    assert f"{TOLD} 2" in answer.page.text
    for name in ("admin", "acme"):
        assert TOLD not in (await (await visitor(site, name)).get("/ui")).text


async def test_a_list_is_kept_for_seconds(site: Whole) -> None:
    now = [0.0]
    known = places.Places(lambda: now[0])
    first = await known.known(site.cluster)
    site.cluster.admin.namespace("team-z")
    assert await known.known(site.cluster) == first
    now[0] = places.KEEP_SECONDS
    assert "team-z" in (await known.known(site.cluster)).names
