"""Records for tests: sensible defaults, everything else by keyword.

Rule: what a test does not name does not matter to it. Times are RFC 3339 texts; `at(seconds)` counts from NOON.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from task_pipeline.api.decode import decode_pipeline_spec
from task_pipeline.api.times import format_time
from task_pipeline.core.naming import job_hash
from task_pipeline.core.records import (
    ClientRecord,
    JobRecord,
    JobStatus,
    PipelineJobSpecView,
    PipelineRecord,
    PipelineStatus,
)

NOON = datetime(2031, 4, 17, 12, tzinfo=UTC)
_RECORD = frozenset({"namespace", "rv", "generation", "created", "deleting", "fault", "hash", "pipeline_uid", "owned"})
_STATUS = frozenset(JobStatus.__struct_fields__)


def moment(seconds: float = 0) -> datetime:
    """The time `seconds` after NOON."""
    return NOON + timedelta(seconds=seconds)


def at(seconds: float = 0) -> str:
    """The time `seconds` after NOON as it stands in a status."""
    return format_time(moment(seconds))


def job_spec(name: str, stage: str = "s", **fields: Any) -> dict[str, Any]:
    """One entry of spec.jobs as a user writes it: camelCase, a Shell job."""
    return {"name": name, "stage": stage, "kind": "Shell", "version": "1.0.0"} | fields


def pipeline(
    name: str = "p",
    jobs: Sequence[dict[str, Any] | str] = ("a",),
    *,
    uid: str | None = None,
    status: PipelineStatus | None = None,
    **fields: Any,
) -> PipelineRecord:
    """A Pipeline. A job given by its name alone is one of stage `s`; its stages are those of its jobs unless given.

    `fields` are those of the record (`generation=2`) and, camelCase, of the spec (`failFast=True`). `spec=None` makes
    one that could not be decoded.
    """
    entries = [job_spec(job) if isinstance(job, str) else job for job in jobs]
    record = {key: value for key, value in fields.items() if key in _RECORD}
    spec: dict[str, Any] = {"stages": list(dict.fromkeys(job["stage"] for job in entries)), "jobs": entries}
    spec |= {key: value for key, value in fields.items() if key not in _RECORD and key != "spec"}
    base: dict[str, Any] = {"namespace": "team", "rv": 1, "generation": 1, "created": at(), "deleting": False}
    base |= {"fault": None} | record
    return PipelineRecord(
        name=name,
        uid=uid or f"uid-{name}",
        spec=None if "spec" in fields else decode_pipeline_spec(spec),
        status=status or PipelineStatus(),
        **base,
    )


def job(name: str = "a", *, uid: str | None = None, status: JobStatus | None = None, **fields: Any) -> JobRecord:
    """A PipelineJob, READY unless told otherwise.

    `fields` are those of the record (`deleting=True`), of the spec (`stage_index=1`) and of the status
    (`state=State.DONE, attempt=2`), all in snake_case.
    """
    told = {key: value for key, value in fields.items() if key in _STATUS}
    record = {key: value for key, value in fields.items() if key in _RECORD}
    spec: dict[str, Any] = {
        "pipeline": "p", "name": name, "stage": "s", "stage_index": 0, "index": 0, "run": 1,
        "client_id": "default", "kind": "Shell", "version": "1.0.0",
    }  # fmt: skip
    spec |= {key: value for key, value in fields.items() if key not in _RECORD | _STATUS}
    owner = record.get("pipeline_uid", f"uid-{spec['pipeline']}")
    base: dict[str, Any] = {"namespace": "team", "rv": 1, "created": at(), "deleting": False, "pipeline_uid": owner}
    base |= {"hash": job_hash(owner, spec["run"], name)} | record
    return JobRecord(
        name=f"{spec['pipeline']}-{name}".lower(),
        uid=uid or f"uid-{spec['pipeline']}-{spec['run']}-{name}",
        spec=PipelineJobSpecView(**spec),
        status=status or JobStatus(**told),
        **base,
    )


def client(name: str = "default", **fields: Any) -> ClientRecord:
    """A valid PipelineClient that takes every namespace and has no limits."""
    base: dict[str, Any] = {"uid": f"uid-{name}", "rv": 1, "namespaces": frozenset({"*"})}
    return ClientRecord(name=name, **(base | fields))
