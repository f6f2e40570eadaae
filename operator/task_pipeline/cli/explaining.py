"""Why the jobs of a Pipeline wait or failed, from what its objects say and the order of the queue. Pure."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from task_pipeline.api.reasons import MEANING, Reason
from task_pipeline.cli.ages import age
from task_pipeline.cli.backend import Object, Order, QueueRow
from task_pipeline.cli.view import INVALID, JobView, RunView, is_over, run_view

MOST_NAMES = 5
MOST_MESSAGES = 20
SEEN_SECONDS = 10  # after that the operator should have seen a new Pipeline
_BLIND = "the operator has not seen it yet; when it stays so, the operator does not run or does not watch the namespace"


@dataclass(frozen=True, slots=True)
class Row:
    """One job, or the whole Pipeline while it is not divided (`job` None)."""

    job: str | None
    stage: str
    state: str
    reason: str
    message: str
    position: int | None
    waiting: str


@dataclass(frozen=True, slots=True)
class Advice:
    """One reason: what it means, whom it concerns, what was said, and what to do."""

    reason: str
    whom: str
    messages: Sequence[str]
    meaning: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """All that is to be said. `waits`: something of it may be in the queue."""

    head: str
    waits: bool
    rows: Sequence[Row]
    advices: Sequence[Advice]

    def plain(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "summary": self.head,
            "jobs": [asdict(row) for row in self.rows],
            "reasons": [asdict(advice) for advice in self.advices],
        }


def explain(pipeline: Object, jobs: Sequence[Object], order: Order | None) -> Explanation:
    """The explanation of the current run. `order`: this Pipeline's rows of the queue, None if they cannot be seen."""
    view = run_view(pipeline, jobs, datetime.now(UTC))
    places = {row.job: row for row in order.rows} if order is not None else {}
    if not is_over(pipeline) and all(job.thing is None for job in view.jobs):
        rows = [_whole(view, places.get(None))]
    else:
        rows = [_row(job, places.get(job.name)) for job in view.jobs if _tells(job, view)]
    advices = _advices(rows)
    if view.state == "ERROR" and view.reason in (*INVALID, "DeadlineExceeded"):
        advices.insert(0, _advice(view.reason, "the Pipeline", _messages(view.message)))
    return Explanation(_head(pipeline, view), not is_over(pipeline), rows, advices)


def _head(pipeline: Object, view: RunView) -> str:
    parts = [f"pipeline/{view.name} in {view.namespace} is {view.state}"]
    parts += [view.reason] if view.reason else []
    parts += [f"stage {pipeline['status']['stage']}"] if pipeline.get("status", {}).get("stage") else []
    parts += [f"{view.progress} jobs"] if view.progress else []
    if view.run > 1:
        parts.append(f"run {view.run}")
    if pipeline.get("status", {}).get("observedGeneration", -1) < 0 and _is_old(pipeline):
        parts.append(_BLIND)
    elif view.message and view.reason not in INVALID:
        parts.append(view.message)
    return ", ".join(parts)


def _is_old(pipeline: Object) -> bool:
    from task_pipeline.api.times import parse_time

    created = pipeline["metadata"].get("creationTimestamp")
    return bool(created) and (datetime.now(UTC) - parse_time(created)).total_seconds() > SEEN_SECONDS


def _tells(job: JobView, view: RunView) -> bool:
    """Whether there is something to say of the job: it is not simply over, and it runs no more than it should."""
    if job.state in ("READY", "ERROR"):
        return job.thing is not None or view.state not in ("ERROR", "CANCELLED", "DONE")
    return (job.state == "CANCELLED" and job.thing is not None) or job.reason == "Starting"


def _row(job: JobView, place: QueueRow | None) -> Row:
    waits = job.state == "READY" and job.thing is not None
    reason = place.reason if place is not None else job.reason
    message = (place.message if place is not None else None) or job.message
    status = (job.thing or {}).get("status", {})
    since = place.since if place is not None else (job.thing or {}).get("metadata", {}).get("creationTimestamp")
    if waits and reason == "RetryBackoff" and status.get("nextAttemptTime"):
        message = f"{message} (next attempt at {status['nextAttemptTime']})".strip()
    return Row(
        job=job.name,
        stage=job.stage,
        state=job.state,
        reason=reason,
        message=message,
        position=place.position if place is not None else None,
        waiting=age(since) if waits else "",
    )


def _whole(view: RunView, place: QueueRow | None) -> Row:
    return Row(
        job=None,
        stage=view.stages[0].name if view.stages else "",
        state=view.state,
        reason=place.reason if place is not None else view.reason or "Queued",
        message=(place.message if place is not None else None) or view.message,
        position=place.position if place is not None else None,
        waiting=age(place.since) if place is not None else "",
    )


def _advices(rows: Sequence[Row]) -> list[Advice]:
    """One for each reason, in the order of the rows."""
    by_reason: dict[str, list[Row]] = {}
    for row in rows:
        by_reason.setdefault(row.reason, []).append(row)
    made = []
    for reason, about in by_reason.items():
        if reason not in Reason._value2member_map_:
            continue
        names = [row.job or "all jobs" for row in about]
        more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
        messages = list(dict.fromkeys(row.message for row in about if row.message))[:MOST_MESSAGES]
        made.append(_advice(reason, ", ".join(names[:MOST_NAMES]) + more, messages))
    return made


def _advice(reason: str, whom: str, messages: Sequence[str]) -> Advice:
    meaning = MEANING[Reason(reason)]
    return Advice(reason, whom, list(messages), meaning.meaning, meaning.remedy)


def _messages(text: str) -> list[str]:
    """The faults of an invalid spec, one a line."""
    return [part for part in text.split("; spec.") if part][:1] + [
        f"spec.{part}" for part in text.split("; spec.")[1:] if part
    ]
