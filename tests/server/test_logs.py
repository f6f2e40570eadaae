"""Logs over REST: which pod's, how much of them, and what is said when there is none (field cases B105 and B106)."""

import asyncio
import json
from typing import Any

import msgspec
import pytest

from task_pipeline.api.resources import PIPELINE_JOBS, PODS
from task_pipeline.cache.convert import PipelineView, pipeline_record
from task_pipeline.core.divider import drafts
from task_pipeline.kube.cluster import LogQuery
from task_pipeline.server import logs
from task_pipeline.server.auth.callers import Caller, Right
from task_pipeline.server.logtext import LogText, newest
from tests.fakes import fates
from tests.server.site import Accounts, Site

HASH, ATTEMPT = "taskpipeline.dev/job-hash", "taskpipeline.dev/attempt"


async def draft_of(site: Site, name: str) -> dict[str, Any]:
    """The manifest of the PipelineJob of a Pipeline's only job."""
    raw = json.dumps(await site.pipeline(name))
    (draft,) = drafts(pipeline_record(msgspec.json.decode(raw, type=PipelineView), None), 0)
    return draft


async def launched(site: Site, *, attempt: int = 1, seconds: float = 0, name: str = "p") -> str:
    """A Pipeline whose only job has been launched; the UID of its pod."""
    if name not in await site.pipelines("team-a"):
        await site.create(name)
    draft = await draft_of(site, name)
    if site.cluster.admin.find(PIPELINE_JOBS, draft["metadata"]["name"], "team-a") is None:
        await site.cluster.create(PIPELINE_JOBS, "team-a", draft)
    status = {"state": "IN PROGRESS", "reason": "Running", "attempt": attempt}
    await site.cluster.patch_status(PIPELINE_JOBS, "team-a", draft["metadata"]["name"], {"status": status})
    site.cluster.kubelet.fate = lambda _: fates.succeeds(seconds)
    metadata = {
        "name": f"{name}-{attempt}", "labels": {HASH: draft["metadata"]["labels"][HASH]},
        "annotations": {ATTEMPT: str(attempt)},
    }  # fmt: skip
    spec = {"restartPolicy": "Never", "containers": [{"name": "main", "image": "busybox"}]}
    pod = await site.cluster.create(PODS, "team-a", {"metadata": metadata, "spec": spec})
    return pod.uid


async def started(site: Site, name: str = "p-1") -> None:
    """Wait until the pod has left Pending."""
    await site.cluster.admin.wait_for(
        lambda: site.cluster.admin.get(PODS, name, "team-a").get("status", {}).get("phase") not in (None, "Pending"), 10
    )


async def ended(site: Site) -> str:
    """A job whose pod has ended; the pod's UID."""
    uid = await launched(site)
    await started(site)
    return uid


PATH = "/namespaces/team-a/pipelines/p/jobs/a/logs"
PRINTED = {
    "empty lines": (b"a\n\n\nb", "a\n\n\nb"),
    "nothing": (b"", None),
    "no final newline": (b"a\nb", "a\nb"),
    "invalid UTF-8 and NUL": (b"a\n\n\377\000b\r50%\r100%", "a\n\n\ufffd\ufffdb\r50%\r100%"),
    "colours": (b"\x1b[31mred\x1b[0m\n", "\x1b[31mred\x1b[0m\n"),
}


@pytest.mark.parametrize("case", PRINTED)
async def test_b106_whatever_a_program_prints_is_valid_text(site: Site, case: str) -> None:
    printed, expected = PRINTED[case]
    site.cluster.logs.written[await ended(site)] = printed
    answer = await site.call("GET", PATH)
    assert (answer.status, answer.body) == (200, expected)
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"


async def test_b106_of_a_long_line_the_newest_part_is_kept(site: Site) -> None:
    site.cluster.logs.written[await ended(site)] = b"x" * 2 * logs.MAX_BYTES + b"end"
    answer = await site.call("GET", PATH)
    assert (len(answer.body), answer.body[-4:]) == (logs.MAX_BYTES, "xend")
    assert answer.headers[logs.CUT] == "true"


async def test_the_last_lines_only(site: Site) -> None:
    site.cluster.logs.written[await ended(site)] = b"1\n2\n3\n"
    assert (await site.call("GET", f"{PATH}?tail=2")).body == "2\n3\n"
    assert (await site.call("GET", f"{PATH}?tail=-1")).status == 400
    assert (await site.call("GET", f"{PATH}?tail=2&since=0")).faults.keys() == {"query.since"}


async def test_the_latest_attempt_unless_another_is_asked_for(site: Site) -> None:
    site.cluster.logs.written[await ended(site)] = b"first"
    uid = await launched(site, attempt=2)
    await started(site, "p-2")
    site.cluster.logs.written[uid] = b"second"
    assert (await site.call("GET", PATH)).body == "second"
    assert (await site.call("GET", f"{PATH}?attempt=1")).body == "first"
    assert (await site.call("GET", f"{PATH}?attempt=3")).reason == "LogGone"


async def test_b105_a_log_that_is_gone_with_its_pod_says_what_is_still_known(site: Site) -> None:
    await ended(site)
    site.cluster.admin.delete(PODS, "p-1", "team-a", grace=0)
    found = site.cluster.admin.list(PIPELINE_JOBS)[0]["metadata"]["name"]
    attempts = [{"attempt": 1, "outcome": "Failed", "exitCode": 4, "message": "exit code 4: 199 200"}]
    await site.cluster.patch_status(PIPELINE_JOBS, "team-a", found, {"status": {"attempts": attempts}})
    answer = await site.call("GET", PATH)
    assert (answer.status, answer.reason) == (404, "LogGone")
    assert "no longer available" in answer.body["detail"]
    assert "exit code 4: 199 200" in answer.body["detail"]


async def test_a_job_that_has_not_started(site: Site) -> None:
    await site.create("p")
    assert (await site.call("GET", PATH)).reason == "NotStarted"


async def test_b060_logs_of_others_are_not_there(site: Site) -> None:
    await ended(site)
    for caller in ("rival", "idle", "stranger"):
        theirs = await site.call("GET", PATH, by=caller)
        none = await site.call("GET", PATH.replace("/p/", "/q/"), by=caller)
        assert theirs.status in (403, 404)
        assert (theirs.status, theirs.reason) == (none.status, none.reason)
        assert theirs.body["detail"].replace("p", "q") == none.body["detail"].replace("p", "q")


async def test_a_log_is_followed_until_the_container_ends(site: Site) -> None:
    uid = await launched(site, seconds=3)
    await started(site)
    site.cluster.logs.written[uid] = b"one\n"

    async def speak() -> None:
        await asyncio.sleep(0.3)
        site.cluster.logs.written[uid] += "zwei \u00e4\n".encode()[:-2]
        await asyncio.sleep(0.2)
        site.cluster.logs.written[uid] += "zwei \u00e4\n".encode()[-2:]

    speaking = asyncio.create_task(speak())
    answer = await site.call("GET", f"{PATH}?follow=true")
    await speaking
    assert (answer.status, answer.body) == (200, "one\nzwei \u00e4\n")


async def test_a_log_is_followed_from_before_its_start(site: Site) -> None:
    await site.create("p")

    async def launch() -> None:
        await asyncio.sleep(0.2)
        site.cluster.logs.written[await launched(site, seconds=0.5)] = b"hello\n"

    await site.cluster.create(PIPELINE_JOBS, "team-a", await draft_of(site, "p"))
    starting = asyncio.create_task(launch())
    answer = await site.call("GET", f"{PATH}?follow=true")
    await starting
    assert answer.body == "hello\n"


async def test_the_text_of_pieces_is_the_text_of_the_whole() -> None:
    text = "a\u00e4\u20ac\U0001f600".encode() + b"\xff\xf0\x9f" + b"b"
    for size in range(1, len(text)):
        reader = LogText()
        pieces = [reader.feed(text[start : start + size]) for start in range(0, len(text), size)]
        assert b"".join([*pieces, reader.feed(b"", last=True)]) == text.decode(errors="replace").encode()


async def test_the_newest_part_begins_with_a_whole_character() -> None:
    async def pieces() -> Any:
        for _ in range(100):
            yield "\u20ac".encode() * 10

    text, cut = await newest(pieces(), 100)
    assert (text, cut) == ("\u20ac".encode() * 33, True)
    assert LogQuery("main").tail is None


async def test_a_kubernetes_user_needs_the_right_that_kubectl_asks_for(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.cluster.logs.written[await ended(site)] = b"text"
    assert (await site.call("GET", PATH, by="admin")).body == "text"
    asked: list[Right] = []

    async def has(self: Accounts, caller: Caller, right: Right, namespace: str) -> bool:
        asked.append(right)
        return False

    monkeypatch.setattr(Accounts, "has", has)
    answer = await site.call("GET", PATH, by="admin")
    assert (answer.status, asked) == (403, [Right("get", "", "pods/log")])
    assert "admin may not get pods/log in namespace team-a" in answer.body["detail"]
    assert (await site.call("GET", PATH)).body == "text"
