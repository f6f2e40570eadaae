"""From what the API server sends to records: the only place where a decoded object becomes one."""

import sys
from typing import Any

from msgspec import field
from msgspec.structs import replace

from task_pipeline.api.decode import InvalidObject, decode_client_spec, decode_pipeline_spec
from task_pipeline.api.group import LABEL_JOB_HASH, LABEL_PIPELINE_UID
from task_pipeline.api.objects import ObjectMeta, View
from task_pipeline.api.pipeline import PipelineSpec
from task_pipeline.api.states import TERMINAL
from task_pipeline.core.records import (
    ClientRecord,
    ClientStatus,
    JobRecord,
    PipelineJobView,
    PipelineRecord,
    PipelineStatus,
)


class PipelineView(View, frozen=True):
    """A Pipeline on the wire: the spec stays plain, because decoding it is worth doing once a generation only."""

    metadata: ObjectMeta
    spec: dict[str, Any] = field(default_factory=dict)
    status: PipelineStatus = PipelineStatus()


class PipelineClientView(View, frozen=True):
    metadata: ObjectMeta
    spec: dict[str, Any] = field(default_factory=dict)
    status: ClientStatus = ClientStatus()


def pipeline_record(view: PipelineView, known: PipelineRecord | None) -> PipelineRecord:
    """The record of a Pipeline; `known`, the record so far, saves decoding a spec that has not changed.

    What was forgotten of one that was over is decoded again when it runs again.
    """
    meta = view.metadata
    spec: PipelineSpec | None
    enough = known is not None and (not known.slim or view.status.state in TERMINAL)
    if known is not None and enough and known.generation == meta.generation:
        spec, fault = known.spec, known.fault
    else:
        spec, fault = _decoded(view.spec)
    return PipelineRecord(
        namespace=meta.namespace,
        name=meta.name,
        uid=meta.uid,
        rv=int(meta.resource_version),
        generation=meta.generation,
        created=meta.creation_timestamp,
        deleting=meta.deletion_timestamp is not None,
        spec=spec,
        fault=fault,
        status=view.status,
        slim=known is not None and known.slim and spec is known.spec,
    )


def _decoded(raw: dict[str, Any]) -> tuple[PipelineSpec | None, str | None]:
    try:
        return decode_pipeline_spec(raw), None
    except InvalidObject as error:
        return None, str(error)


def job_record(view: PipelineJobView) -> JobRecord:
    """The record of a PipelineJob."""
    meta = view.metadata
    return JobRecord(
        namespace=sys.intern(meta.namespace),
        name=meta.name,
        uid=meta.uid,
        rv=int(meta.resource_version),
        hash=meta.labels.get(LABEL_JOB_HASH, ""),
        pipeline_uid=meta.labels.get(LABEL_PIPELINE_UID, ""),
        created=meta.creation_timestamp,
        deleting=meta.deletion_timestamp is not None,
        owned=meta.controller_uid is not None,
        spec=view.spec,
        status=view.status,
    )


def client_record(view: PipelineClientView) -> ClientRecord:
    """The record of a PipelineClient; one with an invalid spec allows nothing."""
    meta = view.metadata
    base = ClientRecord(
        name=meta.name,
        uid=meta.uid,
        rv=int(meta.resource_version),
        generation=meta.generation,
        status=view.status,
    )
    try:
        spec = decode_client_spec(view.spec)
    except InvalidObject as error:
        return replace(base, fault=str(error))
    return replace(
        base,
        priority=spec.priority,
        max_running_jobs=spec.max_running_jobs,
        queue_size=spec.queue_size,
        namespaces=frozenset(spec.namespaces),
        suspend=spec.suspend,
        highest_priority=spec.highest_priority,
        allowed_kinds=None if spec.allowed_kinds is None else frozenset(spec.allowed_kinds),
        max_wait_seconds=spec.max_wait_seconds,
    )
