"""What a worker says of the attempt that it has claimed: that it lives, how far it is, how it ended.

Rule: the attempt token names the attempt, and core.remote decides what counts. The same request again has the same
answer; one about an attempt that another has followed is 409, about one that is over 410, and neither changes anything.
The server sets the pace: every answer says when the next heartbeat is due.
"""

import json
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator

from task_pipeline.api.common import Int32, Model
from task_pipeline.api.pipelinejob import MAX_RESULT
from task_pipeline.api.times import format_time
from task_pipeline.core.records import JobProgress, JobRecord, Report
from task_pipeline.core.remote import (
    PROGRESS_GAP,
    Denial,
    Denied,
    claim_of,
    heartbeat,
    is_remote,
    is_stopping,
    progress,
    report,
    report_of,
)
from task_pipeline.server.answers import Answer
from task_pipeline.server.call import Call, Reply
from task_pipeline.server.ledger import Decide, Ledger, Name
from task_pipeline.server.problem import ProblemError, problem
from task_pipeline.server.routes import API, Access, Route

PATH = f"{API}/attempts/{{uid}}/{{n}}"
_STATUS = {Denial.SUPERSEDED: 409, Denial.OVER: 410, Denial.TAKEN: 409}
_PROBLEMS = frozenset({409, 410})
_INT64 = range(-(2**63), 2**63)


def _printable(text: str) -> str:
    """`text` without what a terminal would obey: it is shown to people who did not write it."""
    return "".join(char if char.isprintable() or char in "\n\t" else "\N{REPLACEMENT CHARACTER}" for char in text)


Printable = AfterValidator(_printable)


class Nothing(Model):
    """An empty object; the body may be left out."""


class ProgressReport(Model):
    """How far the work is; what is absent stays as it is."""

    percent: Annotated[int, Field(ge=0, le=100)] | None = Field(default=None, description="How much is done.")
    message: Annotated[str, Field(max_length=4096), Printable] | None = Field(
        default=None, description="What it is doing; what is longer than 256 bytes loses its middle."
    )


class ResultReport(Model):
    """How the work ended."""

    outcome: Literal["Succeeded", "Failed"] = Field(description="Succeeded or Failed.")
    reason: Literal["Failed", "ConfigError", "RequestFailed"] | None = Field(
        default=None, description="Why it failed, as one word; absent = Failed."
    )
    message: Annotated[str, Field(max_length=32_768), Printable] | None = Field(
        default=None, description="Why; what is longer than 512 bytes loses its middle."
    )
    exit_code: Int32 | None = Field(default=None, description="The exit code, if the work has one.")
    result: dict[str, Any] | None = Field(
        default=None, description=f"What the work returns, at most {MAX_RESULT} bytes of JSON. Null fields are dropped."
    )

    @field_validator("result")
    @classmethod
    def _fits(cls, result: dict[str, Any] | None) -> dict[str, Any] | None:
        size = len(json.dumps(result, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace"))
        if result is not None and size > MAX_RESULT:
            raise ValueError(f"has {size} bytes, the limit is {MAX_RESULT}: store it elsewhere and return its address")
        if any(number not in _INT64 for number in _integers(result)):
            raise ValueError("holds a whole number beyond 64 bits, which would be rounded: return it as a text")
        return result


class Told(Answer):
    """What has been told of progress."""

    percent: int | None = None
    message: str | None = None
    time: str | None = None


class Ended(Answer):
    """The report of the end, as it was recorded."""

    attempt: int
    outcome: str
    message: str | None = None
    exit_code: int | None = None
    time: str


class Beat(Answer):
    """What the worker is to do, and by when it has to be heard of again."""

    desired_state: Literal["Running", "Cancelled"] = Field(
        description="Cancelled: end the work and report; what is reported then changes nothing."
    )
    lease_until: str = Field(description="Until when the attempt is held without a sign of life.")
    next_interval_seconds: float = Field(description="When the next heartbeat is due.")


class ProgressBeat(Beat):
    """The same, with what stands in the status."""

    progress: Told = Field(description="What is recorded; a report that came too soon, or fell behind, is not.")
    progress_interval_seconds: float = Field(description="How long another report of progress would not be recorded.")


class AttemptState(Beat):
    """An attempt as it stands."""

    attempt: int
    active: bool = Field(description="Whether it is on: it can be reported.")
    state: str = Field(description="State of the job.")
    reason: str = Field(description="Reason of that state.")
    progress: Told | None = None
    report: Ended | None = None


class Attempts:
    """The routes of an attempt."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def routes(self) -> tuple[Route, ...]:
        """The routes, for the table."""
        of = Access.ATTEMPT
        return (
            Route(
                "GET", PATH, self.get, of, "See how an attempt stands", answers={200: AttemptState},
                problems=_PROBLEMS,
            ),
            Route(
                "POST", f"{PATH}/heartbeat", self.heartbeat, of, "Say that the work goes on", body=Nothing,
                answers={200: Beat}, problems=_PROBLEMS,
            ),
            Route(
                "POST", f"{PATH}/progress", self.progress, of, "Say how far the work is", body=ProgressReport,
                answers={200: ProgressBeat}, problems=_PROBLEMS, description="Counts as a heartbeat as well.",
            ),
            Route(
                "PUT", f"{PATH}/result", self.result, of, "Say how the work ended", body=ResultReport,
                answers={200: Ended}, problems=_PROBLEMS,
                description="Counts once: the same report again has the same answer, another one is refused.",
            ),
        )  # fmt: skip

    async def get(self, call: Call) -> Reply:
        """The attempt as it is now, on or over, if it is the latest of its job."""
        name, attempt = _named(call)
        job = await self._ledger.read(name)
        if job is None:
            raise _gone()
        latest = job.status.attempt or 0
        if attempt != latest:
            raise _refusal(Denied(Denial.SUPERSEDED, f"attempt {attempt} is over, the latest is {latest}", latest))
        return _shown(AttemptState(**_state(call, job)))

    async def heartbeat(self, call: Call) -> Reply:
        """Hold the attempt for longer."""
        lease, now = call.services.settings.lease, call.services.now()
        attempt = _named(call)[1]
        job = await self._step(call, lambda record: heartbeat(record, attempt, lease, now))
        return _shown(Beat(**_beat(call, job)))

    async def progress(self, call: Call) -> Reply:
        """Record the progress, if it is time to."""
        lease, now = call.services.settings.lease, call.services.now()
        attempt, told = _named(call)[1], (call.body.percent, call.body.message)
        job = await self._step(call, lambda record: progress(record, attempt, told, lease, now))
        recorded = _told(job.status.progress) or Told()
        return _shown(ProgressBeat(**_beat(call, job), progress=recorded, progress_interval_seconds=PROGRESS_GAP))

    async def result(self, call: Call) -> Reply:
        """Record how the attempt ended."""
        body, attempt = call.body, _named(call)[1]
        said = Report(
            attempt=attempt,
            outcome=body.outcome,
            reason=body.reason,
            message=body.message,
            exit_code=body.exit_code,
            time=format_time(call.services.now()),
        )
        job = await self._step(call, lambda record: report(record, said, body.result))
        return _shown(_ended(report_of(job.status) or said))

    async def _step(self, call: Call, decide: Decide) -> JobRecord:
        taken = await self._ledger.step(_named(call)[0], decide)
        if taken is None:
            raise _gone()
        if isinstance(taken.answer, Denied):
            raise _refusal(taken.answer)
        return taken.job


def _named(call: Call) -> tuple[Name, int]:
    """The attempt that the token stands for, if the path names it as well. Raises ProblemError 403."""
    claimed = call.caller.attempt
    if claimed is None or (claimed.uid, str(claimed.attempt)) != (call.path["uid"], call.path["n"]):
        raise problem(403, "Forbidden", "this token is that of another attempt: use the one of the claim's answer")
    return Name(claimed.namespace, claimed.job, claimed.uid), claimed.attempt


def _integers(value: Any) -> Iterator[int]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from _integers(inner)
    elif isinstance(value, int):
        yield value


def _gone() -> ProblemError:
    return problem(410, Denial.OVER.value, "the job does not exist any more: end the work, nobody waits for it")


def _refusal(denied: Denied) -> ProblemError:
    return problem(
        _STATUS[denied.reason],
        denied.reason.value,
        f"{denied.message}: end the work, nobody waits for it",
        [("attempt", f"the latest attempt is {denied.attempt}")],
    )


def _shown(answer: Answer) -> Reply:
    return Reply(200, answer.model_dump(by_alias=True, exclude_none=True))


def _beat(call: Call, job: JobRecord) -> dict[str, Any]:
    claimed = claim_of(job.status)
    return {
        "desired_state": "Cancelled" if is_stopping(job.status) else "Running",
        "lease_until": "" if claimed is None else claimed.lease_until,
        "next_interval_seconds": call.services.settings.lease.pace,
    }


def _state(call: Call, job: JobRecord) -> dict[str, Any]:
    said = report_of(job.status)
    return {
        **_beat(call, job),
        "attempt": job.status.attempt,
        "active": is_remote(job.status) and said is None,
        "state": job.status.state.value,
        "reason": job.status.reason,
        "progress": _told(job.status.progress),
        "report": None if said is None else _ended(said),
    }


def _ended(said: Report) -> Ended:
    return Ended(
        attempt=said.attempt, outcome=said.outcome, message=said.message, exit_code=said.exit_code, time=said.time
    )


def _told(known: JobProgress | None) -> Told | None:
    return None if known is None else Told(percent=known.percent, message=known.message, time=known.time)
