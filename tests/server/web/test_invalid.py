"""Pipelines whose spec is refused, or has never been judged: each has its page, which shows every job once."""

import re
from typing import Any

import pytest

from task_pipeline.api.resources import PIPELINES
from task_pipeline.server.web.board import NO_SUCH_STAGE, Board
from tests.server.web.site import visitor
from tests.server.whole import Raw, Whole

GOOD: Raw = {"name": "unit", "stage": "s", "kind": "Worker", "version": "1.0.0", "params": {"queue": "q"}}
CASES: dict[str, tuple[list[str], list[Raw]]] = {
    "no such stage": (["s"], [GOOD, GOOD | {"name": "lost", "stage": "nowhere"}]),
    "no such stage for any job": (["s"], [GOOD | {"stage": "nowhere"}]),
    "stages twice": (["s", "t", "s"], [GOOD]),
    "jobs twice": (["s"], [GOOD, GOOD]),
    "jobs twice in two stages": (["s", "t"], [GOOD, GOOD | {"stage": "t"}]),
    "no such kind": (["s"], [GOOD | {"kind": "Nothing"}]),
    "no such version": (["s"], [GOOD | {"version": "9.9.9"}]),
    "params that the kind does not have": (["s"], [GOOD | {"params": {"scirpt": [1, None, {"a": 1.5}]}}]),
    "both spellings of retryAttempt": (["s"], [GOOD | {"retryAttempt": 1, "retry_attempt": 2}]),
    "both spellings of allowFailure": (["s"], [GOOD | {"allowFailure": True, "allow_failure": False}]),
}


def pipeline_of(stages: list[str], jobs: list[Raw], **status: Any) -> Raw:
    """A Pipeline as the API server gives it, without the judgement of the CRD."""
    metadata = {
        "name": "refused", "namespace": "team-a", "uid": "u", "resourceVersion": "1", "generation": 2,
        "creationTimestamp": "2031-01-01T00:00:00Z",
    }  # fmt: skip
    return {
        "metadata": metadata,
        "spec": {"clientId": "acme", "stages": stages, "jobs": jobs},
        "status": {"state": "ERROR", "reason": "InvalidSpec", "message": "spec.jobs[0]: so it is", **status},
    }


@pytest.mark.parametrize("case", CASES)
def test_every_job_has_one_pill_whatever_is_wrong_with_the_spec(case: str) -> None:
    stages, jobs = CASES[case]
    found = Board(pipeline_of(stages, jobs)).stages()
    pills = sorted(pill.id for _, mine in found for pill in mine)
    assert pills == sorted(f"j{number}" for number in range(len(jobs)))
    lost = [pill.name for stage, mine in found if stage.name == NO_SUCH_STAGE for pill in mine]
    assert lost == [job["name"] for job in jobs if job["stage"] not in stages]
    assert len({stage.id for stage, _ in found}) == len(found)


@pytest.mark.parametrize("case", CASES)
async def test_a_pipeline_of_a_refused_spec_has_its_page(
    site: Whole, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    stages, jobs = CASES[case]
    site.pipeline("refused")
    made = site.cluster.admin.get(PIPELINES, "refused", "team-a")
    thing: Raw = made | {
        "spec": made["spec"] | {"stages": stages, "jobs": jobs},
        "status": pipeline_of([], [])["status"],
    }

    async def owned(*_: Any) -> Raw:
        return thing  # what an older CRD has let in: the present one refuses a part of the cases

    for place in ("web.pipeline", "web.panel", "jobs"):
        monkeypatch.setattr(f"task_pipeline.server.{place}.owned", owned)
    browser, page = await visitor(site, "acme"), "/ui/namespaces/team-a/pipelines/refused"
    answer = await browser.get(page)
    assert (answer.status, "InvalidSpec" in answer.text) == (200, True)
    assert len(re.findall(r'id="j\d+"', answer.text)) == len(jobs)
    for name in {job["name"] for job in jobs}:
        for tab in ("why", "log", "params", "yaml"):
            assert (await browser.get(f"{page}?job={name}&tab={tab}")).status == 200
            assert (await browser.get(f"{page}/jobs/{name}?tab={tab}")).status == 200
