"""The truth tables of docs/states.md: how a job's end counts, and how a run ends. Made by asking the operator's code.

Rule: no cell is written here. Each row is a run that is judged by the functions that judge real ones.
"""

from collections.abc import Iterable
from dataclasses import fields, replace
from itertools import product

from msgspec.structs import replace as with_fields

from task_pipeline.api.reasons import Reason
from task_pipeline.api.states import State
from task_pipeline.core.outcome import Ending, ending_of, outcome
from task_pipeline.core.records import JobRecord, JobStatus, PipelineJobSpecView
from task_pipeline.core.rollup import tally_of
from task_pipeline.core.stages import judge

_MEANING = {
    "cancelled": "a user cancelled it, or a job of it that counts",
    "overdue": "its `timeout` had passed",
    "deleted": "a PipelineJob was deleted by hand",
    "failed": "a job failed that was not allowed to",
    "warned": "a job failed that was allowed to",
}
_ENDS: tuple[tuple[State, Reason | None, str], ...] = (
    (State.DONE, None, "succeeded"),
    (State.ERROR, None, "failed, whatever the reason"),
    (State.CANCELLED, Reason.QUEUE_TIMEOUT, "`QueueTimeout`"),
    (State.CANCELLED, Reason.USER_CANCELLED, "`UserCancelled`"),
    (State.CANCELLED, Reason.DEADLINE_EXCEEDED, "`DeadlineExceeded`"),
)


def outcome_sections() -> list[str]:
    """The lines of the two sections."""
    return [
        "## How the end of a job counts",
        "",
        "What the end of a job in the first of two stages means for the Pipeline. `UpstreamFailed` and `FailFast`",
        "follow from the failure of another job and decide nothing.",
        "",
        "| The job ends | Why | `allowFailure` | The next stage | The Pipeline, if all else is well |",
        "|---|---|---|---|---|",
        *(_job_row(*end, allowed=allowed) for end in _ENDS for allowed in (False, True)),
        "",
        "## How a run ends",
        "",
        "Judged when nothing of the run is IN PROGRESS any more. The first row that holds decides, whatever else does.",
        "",
        "| If | The Pipeline ends | Reason |",
        "|---|---|---|",
        *_run_rows(),
    ]


def _job_row(state: State, reason: Reason | None, why: str, *, allowed: bool) -> str:
    job = _job(state, reason, allowed=allowed)
    tally = tally_of([job])
    barrier = judge((1, 1), 0, tally)
    opens = "opens" if barrier.divide == 1 else "never starts"
    done = with_fields(job, uid="2", spec=with_fields(job.spec, stage_index=1), status=JobStatus(state=State.DONE))
    all_jobs = tally_of([job, done] if barrier.divide == 1 else [job])
    divided = 1 if barrier.divide == 1 else 0
    end, because = outcome(ending_of((1, 1), divided, all_jobs, judge((1, 1), divided, all_jobs), None))
    return f"| `{state}` | {why} | {'true' if allowed else 'false'} | {opens} | `{end}`, `{because}` |"


def _run_rows() -> Iterable[str]:
    names = [field.name for field in fields(Ending)]
    for index, name in enumerate(names):
        first = replace(Ending(), **{name: True})
        for values in product((False, True), repeat=len(names) - index - 1):
            beside = dict(zip(names[index + 1 :], values, strict=True))
            if outcome(replace(first, **beside)) != outcome(first):
                raise ValueError(f"{name} does not decide alone beside {beside}: the table needs other rows")
        yield _run_row(_MEANING[name], first)
    yield _run_row("none of these", Ending())


def _run_row(condition: str, ending: Ending) -> str:
    state, reason = outcome(ending)
    return f"| {condition} | `{state}` | `{reason}` |"


def _job(state: State, reason: Reason | None, *, allowed: bool) -> JobRecord:
    spec = PipelineJobSpecView(
        pipeline="p", name="a", stage="s", stage_index=0, index=0, run=1, client_id="c", kind="Shell", version="1.0.0",
        allow_failure=allowed,
    )  # fmt: skip
    status = JobStatus(state=state, reason=(reason or Reason.FAILED).value)
    return JobRecord(
        namespace="n", name="a", uid="1", rv=1, hash="h", pipeline_uid="p", created="", deleting=False, spec=spec,
        status=status,
    )  # fmt: skip
