"""Which PipelineJobs an edit before the first launch leaves as they are."""

from typing import Any

import msgspec
import pytest

from task_pipeline.api.decode import decode_pipeline_spec
from task_pipeline.api.group import LABEL_JOB_HASH
from task_pipeline.cache.convert import job_record
from task_pipeline.controller import revision
from task_pipeline.core.divider import drafts
from task_pipeline.core.records import JobRecord, PipelineJobView, PipelineRecord, PipelineStatus


def job(name: str, stage: str = "s", **fields: Any) -> dict[str, Any]:
    params = {"image": "busybox", "script": "true", "env": {"N": 9007199254740993, "F": None}}
    return {"name": name, "stage": stage, "kind": "Shell", "version": "1.0.0", "params": params} | fields


def pipeline(*jobs: dict[str, Any], **fields: Any) -> PipelineRecord:
    spec = decode_pipeline_spec({"stages": ["empty", "s", "t"], "jobs": list(jobs)} | fields)
    return PipelineRecord(
        namespace="n", name="p", uid="u", rv=1, generation=1, created="", deleting=False,
        spec=spec, fault=None, status=PipelineStatus(),
    )  # fmt: skip


def made(of: PipelineRecord) -> list[JobRecord]:
    """The PipelineJobs of the stage s as the API server gives them back: keys in another order."""
    records = []
    for draft in drafts(of, 1):
        draft["metadata"] |= {"uid": draft["metadata"]["labels"][LABEL_JOB_HASH], "resourceVersion": "1"}
        draft["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z"
        raw = msgspec.json.encode(draft, order="sorted")
        records.append(job_record(msgspec.json.decode(raw, type=PipelineJobView)))
    return records


BEFORE = (job("a"), job("b"), job("later", "t"))


@pytest.mark.parametrize(
    ("after", "outdated", "missing"),
    [
        (pipeline(*BEFORE), "", 0),
        (pipeline(*BEFORE, priority=3), "", 0),
        (pipeline(*BEFORE, job("c")), "", 1),
        (pipeline(job("a"), job("later", "t")), "b", 0),
        (pipeline(job("a", params={"image": "other"}), job("b")), "a", 0),
        (pipeline(job("b"), job("a")), "ab", 0),
        (pipeline(job("a", timeout=5), job("b", priority=1)), "ab", 0),
        (pipeline(*BEFORE, clientId="other"), "ab", 0),
        (pipeline(job("a", "empty"), job("b")), "ab", 0),
        (pipeline(*BEFORE, stages=["s", "t"]), "ab", 0),
    ],
)
def test_what_is_not_as_the_spec_wants_it_is_outdated(after: PipelineRecord, outdated: str, missing: int) -> None:
    jobs, wanted = made(pipeline(*BEFORE)), revision.wanted(after, after.spec)
    assert {one.spec.name for one in revision.outdated(jobs, wanted, {})} == set(outdated)
    assert len(set(wanted) - {one.hash for one in jobs}) == missing


def test_without_a_spec_nothing_is_wanted() -> None:
    whole = pipeline(*BEFORE)
    broken = msgspec.structs.replace(whole, spec=None, fault="broken")
    assert len(revision.outdated(made(whole), revision.wanted(broken, broken.spec), {})) == 2


def test_a_priority_that_a_user_gave_a_job_outlives_edits_of_other_things() -> None:
    before = pipeline(*BEFORE)
    edited = [msgspec.structs.replace(one, spec=msgspec.structs.replace(one.spec, priority=1)) for one in made(before)]
    known = revision.wanted(before, before.spec)

    def outdated_after(*jobs: dict[str, Any], **fields: Any) -> set[str]:
        after = pipeline(*jobs, **fields)
        return {one.spec.name for one in revision.outdated(edited, revision.wanted(after, after.spec), known)}

    assert outdated_after(*BEFORE, suspend=True) == set()
    assert outdated_after(job("a"), job("b", timeout=5)) == {"b"}
    assert outdated_after(job("a", priority=3), job("b", priority=1)) == {"a"}
