"""What users write stays text: a page has the same elements and attributes, whatever stands in names and messages."""

import asyncio
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import pytest

from task_pipeline.api.resources import PIPELINES, PODS
from tests.server.web.site import Markup, visitor
from tests.server.web.streams import opened
from tests.server.whole import Raw, Whole

PAGE = "/ui/namespaces/team-a/pipelines/texts"
PLAIN = "plain"
CORPUS = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)' x='",
    "</textarea></title></style></script><svg onload=alert(1)>",
    "<!--<p>--><a href=javascript:alert(1)>x</a>",
    "{{ 7*7 }}{% raw %}${7*7}#{7*7}",
    "&lt;b&gt;&amp;&#x3c;i&#x3e;",
    "\u202egnp.exe\u2066 \u200bx",
    "a\u2028b\u2029c` ${alert(1)}",
    "data: x event: parts id: 1",
)
CONTROLS = ("\x1b[31mred\x1b[0m", "nul\x00\x08\x7f\x85", "line\r\nevent: again\r\ndata: {}\r\n\r\n", "\ufeff\ufffe")


def texts_of(text: str) -> Mapping[str, Any]:
    """What the operator may write into a job's status, with `text` wherever something of a user may stand."""
    time = "2031-01-01T00:00:00.000000Z"
    attempt = {
        "attempt": 1, "outcome": "Failed", "reason": "ExitCode", "message": text, "exitCode": 3, "charged": True,
        "node": text, "workload": {"kind": "Pod", "name": text, "uid": "u"}, "startTime": time, "completionTime": time,
    }  # fmt: skip
    return {
        "reason": "ExitCode", "message": text, "attempt": 1, "attempts": [attempt], "startTime": time,
        "workload": {"kind": "Pod", "name": text, "uid": "u"},
        "progress": {"percent": 5, "message": text, "time": time},
        "result": {text: [text, {text: text}]},
        "conditions": [
            {"type": "Succeeded", "status": "False", "reason": "X", "message": text, "lastTransitionTime": time}
        ],
    }  # fmt: skip


async def written(site: Whole, text: str, stage: str) -> None:
    """The Pipeline `texts`, and its job."""
    params = {"queue": "q", "payload": {text: [text, {"a": text}]}}
    job = {"name": "unit", "stage": stage, "kind": "Worker", "version": "1.0.0", "params": params}
    made = site.pipeline("texts", spec={"stages": [stage], "jobs": [job]})
    one = site.job(made, stage=stage, params=params)
    site.write(one, state="IN PROGRESS")
    site.write(one, state="IN PROGRESS", **texts_of(text))
    counts = {"total": 1, "waiting": 0, "running": 1, "done": 0, "failed": 0, "cancelled": 0}
    status = {"stage": stage, "stages": [{"name": stage, "state": "IN PROGRESS", **counts}], "failedJobs": ["unit"]}
    site.write(made, state="IN PROGRESS", reason="StageRunning", message=text, progress="0/1", **status)


async def seen(site: Whole, text: str, stage: str) -> dict[str, Markup]:
    """Everything that shows those texts."""
    await written(site, text, stage)
    browser = await visitor(site, "acme")
    tabs = ("why", "log", "params", "yaml")
    paths = [PAGE, *(f"{PAGE}?job=unit&tab={tab}" for tab in tabs), *(f"{PAGE}/jobs/unit?tab={tab}" for tab in tabs)]
    pages = {path: (await browser.get(path)).page for path in paths}
    for path, word in (("/ui", "0/1"), ("/ui/clients", "far")):  # as known a second ago
        while word not in (page := (await browser.get(path)).page).text:  # noqa: ASYNC110 (nobody tells a page)
            await asyncio.sleep(0.1)
        pages[path] = page
    async with opened(browser, f"{PAGE}/stream") as stream:
        pages["stream"] = Markup.of("".join(sorted(part.strip() for part in await stream.parts(3))))
    return pages


@pytest.fixture
async def plain(site: Whole) -> dict[str, Markup]:
    found = await seen(site, PLAIN, PLAIN)
    remove(site)
    return found


def remove(site: Whole) -> None:
    site.cluster.admin.delete(PIPELINES, "texts", "team-a")


@pytest.mark.parametrize("text", [*CORPUS, *CONTROLS])
async def test_the_markup_is_the_same_whatever_the_texts_are(site: Whole, plain: dict[str, Markup], text: str) -> None:
    stage = text[:63].strip() if text in CORPUS else PLAIN
    found = await seen(site, text, stage)
    for path, page in found.items():
        assert page.shape == plain[path].shape, path
    if text in CORPUS:
        for path in (PAGE, f"{PAGE}?job=unit&tab=why", "stream", f"{PAGE}/jobs/unit?tab=why"):
            assert " ".join(text.split()) in found[path].text


async def test_what_no_page_can_show_is_replaced(site: Whole) -> None:
    await written(site, "a\x00b\x1bc\ud800"[:5] + "\x85", "s")
    answer = await (await visitor(site, "acme")).get(PAGE)
    assert "a\ufffdb\ufffdc" in answer.text
    assert not [character for character in answer.text if character < " " and character != "\n"]


@pytest.mark.parametrize("text", CORPUS)
async def test_what_is_asked_for_stays_text_too(site: Whole, text: str) -> None:
    browser = await visitor(site, "acme")
    benign = (await browser.get(f"/ui?q={PLAIN}&namespace={PLAIN}&client={PLAIN}")).page
    asked = quote(text[:60], safe="")
    answer = await browser.get(f"/ui?q={asked}&namespace={asked}&client={asked}")
    assert answer.page.shape == benign.shape
    for path in (f"/ui/login?next={asked}", f"{PAGE}?job={asked}", f"/ui/clients/{asked}", f"/ui?state={asked}"):
        answer = await browser.get(path)
        page = Markup.of(answer.text if answer.headers["Content-Type"].startswith("text/html") else "")
        assert [tag for tag, _ in page.elements if tag in ("img", "b", "i", "title")] in (["title"], [])
        assert [attributes for tag, attributes in page.elements if tag == "script" and not attributes.get("src")] == []


async def test_a_log_is_text_whatever_it_holds(site: Whole) -> None:
    made = site.pipeline("printed")
    job = site.job(made)
    site.write(job, state="IN PROGRESS", attempt=1)
    body: Raw = {
        "metadata": {"name": "pod", "labels": job["metadata"]["labels"]},
        "spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "busybox"}]},
    }
    site.cluster.admin.create(PODS, body, "team-a")
    await site.cluster.admin.wait_for(
        lambda: site.cluster.admin.get(PODS, "pod", "team-a").get("status", {}).get("phase") not in (None, "Pending"),
        10,
    )
    pod = site.cluster.admin.get(PODS, "pod", "team-a")
    site.cluster.logs.written[pod["metadata"]["uid"]] = "\n".join(CORPUS).encode()
    answer = await (await visitor(site, "acme")).get("/ui/namespaces/team-a/pipelines/printed/jobs/unit/log")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/plain; charset=utf-8")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert answer.text == "\n".join(CORPUS)
