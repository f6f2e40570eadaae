"""A Pipeline that is edited between its division and its first launch: which of its PipelineJobs are still right.

Until something has been launched, the spec as it is now is what runs. A PipelineJob that was made for an older spec is
removed and made again. One whose part of the spec is as before stays, with the priority that a user has given it.
"""

from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec.structs import replace

from task_pipeline.api.group import LABEL_JOB_HASH
from task_pipeline.api.pipeline import PipelineSpec
from task_pipeline.api.reasons import Reason
from task_pipeline.core.divider import drafts
from task_pipeline.core.records import JobRecord, PipelineJobSpecView, PipelineRecord


def wanted(pipeline: PipelineRecord, spec: PipelineSpec | None) -> dict[str, PipelineJobSpecView]:
    """The specs of the PipelineJobs of the first stage that has any, by their hashes; {} without a spec."""
    if spec is None:
        return {}
    of = replace(pipeline, spec=spec)
    made = drafts(of, of.first_stage)
    return {draft["metadata"]["labels"][LABEL_JOB_HASH]: _view(draft["spec"]) for draft in made}


def outdated(
    jobs: Iterable[JobRecord], specs: dict[str, PipelineJobSpecView], before: dict[str, PipelineJobSpecView]
) -> list[JobRecord]:
    """Those of `jobs` that are not as `specs` want them, where that is not what was wanted `before`."""
    return [job for job in jobs if not _is_right(job, specs.get(job.hash), before.get(job.hash))]


def has_begun(job: JobRecord) -> bool:
    """Whether anything of the job was ever launched."""
    return job.status.attempt is not None or job.status.reason == Reason.STOPPING


def _view(spec: dict[str, Any]) -> PipelineJobSpecView:
    return msgspec.json.decode(msgspec.json.encode(spec), type=PipelineJobSpecView)


def _is_right(job: JobRecord, wants: PipelineJobSpecView | None, wanted_before: PipelineJobSpecView | None) -> bool:
    if wants is None:
        return False
    known = [_comparable(spec) for spec in (job.spec, wanted_before) if spec is not None]
    return _comparable(wants) in known


def _comparable(spec: PipelineJobSpecView) -> tuple[PipelineJobSpecView, Any]:
    """`spec` without what may be edited in place, and its params, whose bytes say the same in many ways."""
    return replace(spec, params=msgspec.Raw(b""), pipeline_priority=0, cancel=None), msgspec.json.decode(spec.params)
