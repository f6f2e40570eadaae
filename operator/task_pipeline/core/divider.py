"""Divide a Pipeline into the PipelineJobs of one stage.

A stage is divided when it opens, never earlier: children of later stages would be written, watched and perhaps
cancelled for nothing. The drafts are a function of the spec, the UID and the run, so dividing twice is dividing once.
"""

from collections.abc import Collection
from typing import Any

from task_pipeline.api.group import (
    API_VERSION,
    LABEL_JOB_HASH,
    LABEL_MANAGED_BY,
    LABEL_PIPELINE_UID,
    MANAGED_BY,
)
from task_pipeline.api.pipeline import JobSpec
from task_pipeline.core.naming import job_hash, job_object_name
from task_pipeline.core.records import PipelineRecord


def drafts(pipeline: PipelineRecord, stage_index: int, kept: Collection[str] = frozenset()) -> list[dict[str, Any]]:
    """The PipelineJob manifests of stage `stage_index` (0-based) in the order of `spec.jobs` of a valid spec, but for
    those jobs that the run has `kept`, by name.
    """
    assert pipeline.spec is not None
    stage = pipeline.spec.stages[stage_index]
    return [
        draft(pipeline, job, index, stage_index)
        for index, job in enumerate(pipeline.spec.jobs)
        if job.stage == stage and job.name not in kept
    ]


def draft(pipeline: PipelineRecord, job: JobSpec, index: int, stage_index: int) -> dict[str, Any]:
    """The manifest of one PipelineJob."""
    assert pipeline.spec is not None
    identity = job_hash(pipeline.uid, pipeline.run, job.name)
    return {
        "apiVersion": API_VERSION,
        "kind": "PipelineJob",
        "metadata": {
            "name": job_object_name(pipeline.name, job.name, identity),
            "namespace": pipeline.namespace,
            "labels": {
                LABEL_MANAGED_BY: MANAGED_BY,
                LABEL_PIPELINE_UID: pipeline.uid,
                LABEL_JOB_HASH: identity,
            },
            "ownerReferences": [
                {
                    "apiVersion": API_VERSION,
                    "kind": "Pipeline",
                    "name": pipeline.name,
                    "uid": pipeline.uid,
                    "controller": True,
                    "blockOwnerDeletion": False,
                }
            ],
        },
        "spec": _spec(pipeline, job, index, stage_index),
    }


def _spec(pipeline: PipelineRecord, job: JobSpec, index: int, stage_index: int) -> dict[str, Any]:
    assert pipeline.spec is not None
    spec: dict[str, Any] = {
        "pipeline": pipeline.name,
        "name": job.name,
        "stage": job.stage,
        "stageIndex": stage_index,
        "index": index,
        "run": pipeline.run,
        "clientId": pipeline.spec.client_id,
        "kind": job.kind,
        "version": job.version,
        "params": dict(job.params or {}),
        "pipelinePriority": pipeline.spec.priority,
        "priority": job.effective_priority,
    }
    optional = {
        "retryAttempt": job.retries or None,
        "allowFailure": job.failure_allowed or None,
        "timeout": job.timeout,
        "startTimeout": job.start_timeout,
        "queueTimeout": job.queue_timeout,
    }
    return spec | {name: value for name, value in optional.items() if value is not None}
