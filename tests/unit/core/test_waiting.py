"""The words for a wait, and who finds out that a status gives the wrong ones."""

from types import SimpleNamespace
from typing import Any

import pytest

from task_pipeline.api.reasons import Reason
from task_pipeline.core.lane import Terms, Zone
from task_pipeline.core.places import job_entry, terms_of
from task_pipeline.core.queue import Queue
from task_pipeline.core.telling import Telling
from task_pipeline.core.waiting import wait_for, zone_reason
from tests import make
from tests.unit.core.test_queue import key, open_queue, put


@pytest.mark.parametrize(
    ("reason", "message"),
    [
        (Reason.QUEUED, None),
        (Reason.GLOBAL_LIMIT, "1/1 jobs running in all"),
        (Reason.QUEUE_FULL, "1/5 jobs enqueued in all"),
        (Reason.CLIENT_LIMIT, "client acme 1/3 running"),
        (Reason.CLIENT_QUEUE_FULL, "client acme 1/7 enqueued"),
        (Reason.CLIENT_SUSPENDED, "client acme is suspended"),
        (Reason.SUSPENDED, "spec.suspend of the Pipeline is true"),
    ],
)
def test_a_wait_names_limit_and_use(reason: Reason, message: str | None) -> None:
    queue = open_queue(1, size=5, acme=Terms(limit=3, queue_size=7))
    queue.take_slot("runs", "acme")
    put(queue, "waits", "acme")
    assert wait_for(queue, "acme", reason) == (reason, message)


def test_a_client_that_is_gone_is_not_called_suspended() -> None:
    wait = wait_for(Queue(), "gone", Reason.CLIENT_SUSPENDED)
    assert wait.message == "there is no valid PipelineClient gone any more"


def test_a_client_that_does_not_exist_or_is_invalid_grants_nothing() -> None:
    assert terms_of(None) is None
    assert terms_of(make.client(fault="spec.priority: too large")) is None
    assert terms_of(make.client(max_running_jobs=3)) == Terms(limit=3)


def test_the_wait_of_a_job() -> None:
    """In the first stage since its Pipeline was created, later since it was itself, for a retry since its pause."""
    pipeline = make.pipeline("p", ["a", make.job_spec("b", "t")], created=make.at(-50))
    noon = make.moment().timestamp()
    assert job_entry(make.job("a"), pipeline, make.at()).since == noon - 50
    assert job_entry(make.job("b", stage="t", stage_index=1), pipeline, make.at()).since == noon
    assert job_entry(make.job("a", next_attempt_time=make.at(9)), pipeline, make.at()).since == noon + 9
    assert job_entry(make.job("a", pipeline_priority=4), None, make.at()).key.pipeline_priority == 4


class TestTelling:
    def test_a_reason_that_lasts_is_found_once(self) -> None:
        queue = open_queue(acme=Terms(limit=1))
        queue.take_slot("runs", "acme")
        put(queue, "waits", "acme")
        telling = Telling(queue)
        telling.notice()
        telling.settled()
        assert [(entry.id, reason) for entry, reason in telling.lasting()] == [("waits", Reason.CLIENT_LIMIT)]

    def test_a_cause_that_was_away_for_a_moment_begins_again(self) -> None:
        queue = open_queue(acme=Terms(limit=1))
        queue.take_slot("runs", "acme")
        put(queue, "waits", "acme")
        telling = Telling(queue)
        telling.notice()
        queue.free_slot("runs")
        telling.settled()
        queue.take_slot("next", "acme")
        telling.settled()
        assert telling.lasting() == []

    def test_a_client_that_is_forgotten_leaves_nothing(self) -> None:
        queue = Queue()
        put(queue, "waits", "gone")
        telling = Telling(queue)
        telling.notice()
        queue.remove("waits")
        telling.settled()
        assert (telling.lasting(), queue.lanes) == ([], {})

    def test_only_the_first_of_all_waits_for_the_limit_of_all_and_only_while_it_is_first(self) -> None:
        queue = open_queue(1)
        queue.take_slot("runs", "default")
        put(queue, "second", place=key(place=2))
        telling = Telling(queue)
        telling.notice()
        put(queue, "first", place=key(place=1))
        telling.settled()
        assert telling.lasting() == []
        telling.notice()
        telling.settled()
        assert [(entry.id, reason) for entry, reason in telling.lasting()] == [("first", Reason.GLOBAL_LIMIT)]

    def test_a_head_that_was_noticed_for_another_reason_begins_again(self) -> None:
        queue = open_queue(1)
        put(queue, "first", told="RetryBackoff")
        queue.set_terms("default", Terms(suspended=True))
        telling = Telling(queue)
        telling.notice()
        queue.take_slot("runs", "default")
        queue.set_terms("default", Terms())
        telling.settled()
        assert telling.lasting() == []

    def test_a_first_that_starts_is_forgotten(self) -> None:
        queue = open_queue(1)
        queue.take_slot("runs", "default")
        put(queue, "first")
        telling = Telling(queue)
        telling.notice()
        queue.free_slot("runs")
        assert queue.next() is not None
        telling.settled()
        assert telling.lasting() == []


@pytest.mark.parametrize(
    ("terms", "at_limit", "zone", "reason"),
    [
        (None, False, Zone.HELD, Reason.SUSPENDED),
        (None, False, Zone.BEYOND, Reason.CLIENT_SUSPENDED),
        (SimpleNamespace(suspended=True, limit=0), False, Zone.OUTSIDE, Reason.CLIENT_SUSPENDED),
        (SimpleNamespace(suspended=False, limit=0), False, Zone.OUTSIDE, Reason.CLIENT_LIMIT),
        (SimpleNamespace(suspended=False, limit=1), True, Zone.BEYOND, Reason.CLIENT_QUEUE_FULL),
        (SimpleNamespace(suspended=False, limit=1), True, Zone.OUTSIDE, Reason.QUEUE_FULL),
        (SimpleNamespace(suspended=False, limit=1), True, Zone.ENQUEUED, Reason.CLIENT_LIMIT),
        (SimpleNamespace(suspended=False, limit=1), False, Zone.ENQUEUED, Reason.QUEUED),
    ],
)
def test_the_first_reason_that_applies_counts(terms: Any, at_limit: bool, zone: Zone, reason: Reason) -> None:
    lane: Any = SimpleNamespace(terms=terms, at_limit=at_limit)
    assert zone_reason(lane, zone) is reason
