"""The status of a Pipeline has one size, however many jobs it has: in every phase, with one stage and with four."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from task_pipeline.api.reasons import Reason
from task_pipeline.api.states import State
from task_pipeline.core.pipeline_decision import PipelineFacts, Urgency, decide_pipeline
from task_pipeline.core.records import JobRecord, PipelineRecord, PipelineStatus
from task_pipeline.core.rollup import tally_of
from task_pipeline.core.waiting import Wait
from tests import make
from tests.budget.limits import STATUS_BYTES, STATUS_GROWTH

SIZES = (10, 100, 1_000, 2_000)
READY, RUNNING, DONE, ERROR, CANCELLED = State


@dataclass(frozen=True)
class Phase:
    """What the jobs of the first stages have come to, and what has become of the Pipeline then."""

    name: str
    of_jobs: tuple[tuple[State, Reason], ...]
    """Taken in turn; those of stages that are not open yet do not exist."""
    open_stage: int
    """Index of the last stage that has been divided, counted from the end: -1 is the last."""
    wish: str = ""
    """Its user's, a key of WISHES."""


WISHES: dict[str, dict[str, Any]] = {"": {}, "cancel": {"cancel": "Now"}, "suspend": {"suspend": True}}
ENDED = (DONE, Reason.SUCCEEDED)
FAILED = (ERROR, Reason.EXIT_CODE)
PHASES = (
    Phase("ready", ((READY, Reason.QUEUED),), 0),
    Phase("started", ((RUNNING, Reason.RUNNING), (READY, Reason.CLIENT_LIMIT)), 0),
    Phase("half", (ENDED, (RUNNING, Reason.RUNNING), (READY, Reason.RETRY_BACKOFF)), 0),
    Phase("half with failures", (ENDED, FAILED, (READY, Reason.QUEUED), (RUNNING, Reason.RUNNING)), 0),
    Phase("last stage", (ENDED, ENDED, ENDED, (RUNNING, Reason.RUNNING)), -1),
    Phase("done", (ENDED,), -1),
    Phase("failed", (FAILED,), 0),
    Phase("being cancelled", (ENDED, (READY, Reason.STOPPING)), 0, "cancel"),
    Phase("cancelled", (ENDED, (CANCELLED, Reason.USER_CANCELLED)), 0, "cancel"),
    Phase("suspended", (ENDED, (RUNNING, Reason.RUNNING), (READY, Reason.QUEUED)), 0, "suspend"),
)


def pipeline(jobs: int, stages: int, phase: Phase) -> PipelineRecord:
    """A Pipeline whose jobs are spread over its stages."""
    specs = [make.job_spec(f"j{number:04}", f"stage-{number * stages // jobs}") for number in range(jobs)]
    return make.pipeline("p", specs, **WISHES[phase.wish])


def jobs_of(record: PipelineRecord, phase: Phase) -> Iterator[JobRecord]:
    """The jobs that exist in this phase."""
    assert record.spec is not None
    names = record.spec.stages
    last = len(names) - 1 if phase.open_stage < 0 else phase.open_stage
    for number, job in enumerate(record.spec.jobs):
        index = names.index(job.stage)
        if index > last:
            continue
        state, reason = ENDED if index < last else phase.of_jobs[number % len(phase.of_jobs)]
        begun = None if state is READY and reason is not Reason.STOPPING else make.at(1)
        place: dict[str, Any] = {"index": number, "stage": job.stage, "stage_index": index}
        yield make.job(job.name, **place, state=state, reason=reason.value, start_time=begun)


def statuses(record: PipelineRecord, jobs: Iterable[JobRecord], last: int) -> list[PipelineStatus]:
    """What is written on the way to this phase, from nothing."""
    found: list[PipelineStatus] = []
    tally = tally_of(jobs)
    for _ in range(4):
        facts = PipelineFacts(
            record, tally, None, None, True, Wait(Reason.QUEUED, None), make.at(), last, ttl=604_800.0
        )
        decision = decide_pipeline(facts, make.moment(5))
        if decision.urgency is Urgency.NONE:
            return found
        found.append(decision.status)
        record = replace(record, status=decision.status)
    raise AssertionError(f"still writing: {found}")


def longest(jobs: int, stages: int, phase: Phase) -> int:
    """Bytes of the longest status on the way to a phase."""
    record = pipeline(jobs, stages, phase)
    last = stages - 1 if phase.open_stage < 0 else phase.open_stage
    return max(len(msgspec.json.encode(one)) for one in statuses(record, jobs_of(record, phase), last))


@pytest.mark.parametrize("stages", STATUS_BYTES)
@pytest.mark.parametrize("phase", PHASES, ids=lambda phase: phase.name)
def test_the_status_has_one_size_however_many_jobs_there_are(phase: Phase, stages: int) -> None:
    sizes = {jobs: longest(jobs, stages, phase) for jobs in SIZES}
    print(sizes)
    full = 1_000 if FAILED in phase.of_jobs else 100  # from here on the lists are full, and no count is zero
    assert max(sizes.values()) - sizes[full] <= STATUS_GROWTH, sizes
    assert max(sizes.values()) <= STATUS_BYTES[stages], sizes
