"""Since when a job waits that a quota holds back."""

from task_pipeline.core.places import held_since, waits_since
from task_pipeline.core.records import Attempt, JobStatus
from tests.unit.core.job_builders import NOW, at, job

HELD = JobStatus(reason="QuotaExceeded", next_attempt_time=at(30))


def test_it_waits_since_it_was_created_whatever_pauses_it_makes() -> None:
    held = job(HELD, created=-100)
    assert held_since(held, None, "") == NOW.timestamp() - 100
    assert waits_since(held, None, "") == NOW.timestamp() + 30


def test_a_retry_waits_since_the_last_attempt_ended() -> None:
    attempts = tuple(Attempt(number, outcome="Failed", completion_time=at(-90 + number)) for number in (1, 2))
    held = job(JobStatus(reason="QuotaExceeded", attempts=attempts, next_attempt_time=at(30)), created=-100)
    assert held_since(held, None, "") == NOW.timestamp() - 88
