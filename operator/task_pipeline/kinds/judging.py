"""The judgement of a whole Pipeline spec that needs no cluster: its form, and the params of every job.

Rule: params are judged even where other parts of the spec are wrong, so that one round tells all. The REST server and
the offline lint ask here, so they say the same.
"""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from task_pipeline.api.common import MAX_JOBS
from task_pipeline.api.decode import InvalidObject, decode_pipeline_spec
from task_pipeline.api.faults import MAX_FAULTS, FieldError
from task_pipeline.api.pipeline import PipelineSpec
from task_pipeline.core.workload import JobKind, KindDefaults
from task_pipeline.kinds.registry import check_params


def spec_faults(
    spec: Any, defaults: KindDefaults, kinds: Mapping[str, JobKind]
) -> tuple[PipelineSpec | None, list[FieldError]]:
    """The decoded spec, None if it cannot be decoded, and every fault of it with its path."""
    decoded, found = None, list[FieldError]()
    try:
        decoded = decode_pipeline_spec(spec)
    except InvalidObject as error:
        found += error.errors
    known = {fault.path for fault in found}
    of_params = (fault for fault in _params_faults(spec, defaults, kinds) if fault.path not in known)
    found += islice(of_params, MAX_FAULTS)
    return decoded, found


def _params_faults(spec: Any, defaults: KindDefaults, kinds: Mapping[str, JobKind]) -> Iterator[FieldError]:
    jobs = spec.get("jobs") if isinstance(spec, Mapping) else None
    for index, job in enumerate(jobs[:MAX_JOBS] if isinstance(jobs, list) else ()):
        if not isinstance(job, Mapping):
            continue
        kind, version, params = job.get("kind"), job.get("version"), job.get("params")
        if isinstance(kind, str) and isinstance(version, str) and isinstance(params, Mapping | None):
            for fault in check_params(kind, version, params or {}, defaults, kinds):
                yield FieldError(f"spec.jobs[{index}].{fault.path}", fault.message)
