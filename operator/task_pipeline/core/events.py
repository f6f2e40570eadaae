"""Kubernetes Events: which change of a status deserves one, and what it says.

Rule: failures and warnings only. Normal progress, a wait and a user's own cancel have none, so a run that succeeds
writes none. An Event repeats what the status says, for those who read `kubectl describe` or collect Events; nothing
that it says stands nowhere else.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from task_pipeline.api.reasons import MEANING, Reason
from task_pipeline.api.resources import EVENTS, PIPELINE_JOBS, PIPELINES, Resource
from task_pipeline.api.states import State
from task_pipeline.api.times import format_time
from task_pipeline.core.attempts import pending_stop
from task_pipeline.core.messages import shortened
from task_pipeline.core.naming import digest
from task_pipeline.core.records import JobRecord, PipelineRecord

CONTROLLER = "taskpipeline.dev/operator"
NOTE_LENGTH = 1024  # the API server's own limit, in bytes
INSTANCE_LENGTH = 128
_NAME_LENGTH = 200


@dataclass(frozen=True, slots=True)
class Event:
    """A warning about one object.

    `occasion` tells apart what is worth telling twice under one reason: an attempt that is retried and the end of the
    job, one run of a Pipeline and the next. `number` tells apart what happens again: the attempt, or the generation.
    """

    resource: Resource
    namespace: str
    name: str
    uid: str
    reason: str
    note: str
    action: str
    occasion: str
    number: str

    @property
    def key(self) -> tuple[str, str, str]:
        """Events with the same key say the same."""
        return self.uid, self.reason, self.occasion


def event_of(before: JobRecord | PipelineRecord, after: JobRecord | PipelineRecord) -> Event | None:
    """The Event for the change of one object from `before` to `after`; None when it is not worth one."""
    if isinstance(after, JobRecord):
        return _of_job(before, after) if isinstance(before, JobRecord) else None
    return _of_pipeline(before, after) if isinstance(before, PipelineRecord) else None


def body_of(event: Event, instance: str, now: datetime) -> dict[str, Any]:
    """The object to create (events.k8s.io/v1), reported by the operator process `instance` at `now`.

    Its name is the same for the same change, so that telling it twice, after a crash, makes one Event.
    """
    readable = event.name[:_NAME_LENGTH].rstrip(".-")
    identity = digest(event.uid, event.reason, event.occasion, event.number)
    return {
        "apiVersion": EVENTS.api_version,
        "kind": EVENTS.kind,
        "metadata": {"name": f"{readable}.{identity}", "namespace": event.namespace},
        "eventTime": format_time(now),
        "type": "Warning",
        "reason": event.reason,
        "note": shortened(event.note, NOTE_LENGTH),
        "action": event.action,
        "regarding": {
            "apiVersion": event.resource.api_version,
            "kind": event.resource.kind,
            "namespace": event.namespace,
            "name": event.name,
            "uid": event.uid,
        },
        "reportingController": CONTROLLER,
        "reportingInstance": instance[:INSTANCE_LENGTH],
    }


def _of_job(before: JobRecord, after: JobRecord) -> Event | None:
    old, new = before.status, after.status
    if new.state is State.ERROR and old.state is not State.ERROR:
        return _about_job(after, new.reason, "End")
    if new.state is State.CANCELLED and old.state is not State.CANCELLED and new.reason == Reason.QUEUE_TIMEOUT:
        return _about_job(after, new.reason, "End")
    if new.reason == Reason.RETRY_BACKOFF and old.state is State.IN_PROGRESS:
        ended = new.attempts[-1].reason if new.attempts else None
        return _about_job(after, ended or Reason.FAILED.value, "Retry")
    if _starts_slowly(after) and not _starts_slowly(before):
        return _about_job(after, new.reason, "Start")
    return None


def _starts_slowly(job: JobRecord) -> bool:
    """Only a start that takes long has a message, the kubelet's or the scheduler's; and one that has been refused."""
    status = job.status
    starts = status.state is State.IN_PROGRESS and status.reason == Reason.STARTING
    return starts and bool(status.message) and pending_stop(status) is None


def _about_job(job: JobRecord, reason: str, action: str) -> Event:
    status = job.status
    return Event(
        resource=PIPELINE_JOBS,
        namespace=job.namespace,
        name=job.name,
        uid=job.uid,
        reason=reason,
        note=status.message or _meaning(reason),
        action=action,
        occasion=action,
        number=str(status.attempt or 0),
    )


def _of_pipeline(before: PipelineRecord, after: PipelineRecord) -> Event | None:
    old, new = before.status, after.status
    same_end = (old.state, old.reason, old.run) == (new.state, new.reason, new.run)
    # Another message alone is an answer to a rerun; other faults of a spec come with another time.
    told = same_end and (old.message == new.message or old.completion_time == new.completion_time)
    failed = new.state is State.ERROR
    warned = new.state is State.DONE and new.reason == Reason.SUCCEEDED_WITH_WARNINGS
    if told or not (failed or warned):
        return None
    reason = new.reason or Reason.FAILED.value
    return Event(
        resource=PIPELINES,
        namespace=after.namespace,
        name=after.name,
        uid=after.uid,
        reason=reason,
        note=new.message or _meaning(reason),
        action="End",
        occasion=f"run {after.run}",
        number=str(after.generation),
    )


def _meaning(reason: str) -> str:
    """What the reason means; the reason itself when another version of the operator has written it."""
    return next((MEANING[known].meaning for known in Reason if known == reason), reason)
