"""A Pipeline that is edited between its division and its first launch: which of its PipelineJobs are still right.

Until something has been launched, the spec as it is now is what runs. A PipelineJob's own spec never changes, so one
that was made for an older spec is removed and made again.
"""

from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec.structs import replace

from task_pipeline.api.group import LABEL_JOB_HASH
from task_pipeline.api.reasons import Reason
from task_pipeline.core.divider import drafts
from task_pipeline.core.records import JobRecord, PipelineJobSpecView, PipelineRecord


def wanted(pipeline: PipelineRecord) -> dict[str, PipelineJobSpecView]:
    """The specs of the PipelineJobs of the first stage that has any, by their hashes; {} without a spec."""
    if pipeline.spec is None:
        return {}
    made = drafts(pipeline, pipeline.first_stage)
    return {draft["metadata"]["labels"][LABEL_JOB_HASH]: _view(draft["spec"]) for draft in made}


def outdated(jobs: Iterable[JobRecord], specs: dict[str, PipelineJobSpecView]) -> list[JobRecord]:
    """Those of `jobs` that are not as `specs` want them."""
    return [job for job in jobs if job.hash not in specs or _comparable(job.spec) != _comparable(specs[job.hash])]


def has_begun(job: JobRecord) -> bool:
    """Whether anything of the job was ever launched."""
    return job.status.attempt is not None or job.status.reason == Reason.STOPPING


def _view(spec: dict[str, Any]) -> PipelineJobSpecView:
    return msgspec.json.decode(msgspec.json.encode(spec), type=PipelineJobSpecView)


def _comparable(spec: PipelineJobSpecView) -> tuple[PipelineJobSpecView, Any]:
    """`spec` without what may be edited in place, and its params, whose bytes say the same in many ways."""
    return replace(spec, params=msgspec.Raw(b""), pipeline_priority=0, cancel=None), msgspec.json.decode(spec.params)
