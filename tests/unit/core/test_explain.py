"""What runs next and why, read from records alone."""

from typing import Any

from task_pipeline.api.reasons import Reason
from task_pipeline.api.states import State
from task_pipeline.core.explain import Place, Snapshot, what_runs_next
from task_pipeline.core.records import Kept, PipelineStatus
from tests import make


def accepted(seconds: float = 0, **fields: Any) -> PipelineStatus:
    return PipelineStatus(accepted_time=make.at(seconds), **fields)


def explain(*records: Any, limit: int | None = None, size: int | None = None, seconds: float = 60) -> list[Place]:
    """The order of these Pipelines, jobs and clients (`default` if none is given)."""
    of = {name: [one for one in records if type(one).__name__ == name] for name in ("PipelineRecord", "JobRecord")}
    clients = [one for one in records if type(one).__name__ == "ClientRecord"] or [make.client()]
    snapshot = Snapshot(of["PipelineRecord"], of["JobRecord"], clients, limit, size)
    return what_runs_next(snapshot, make.moment(seconds))


def names(places: list[Place]) -> list[str]:
    return [f"{place.pipeline}/{place.job}" for place in places]


def test_every_place_has_its_key_its_reason_and_its_position() -> None:
    first = make.pipeline("p", ["a", "b"], status=accepted(divided=0), priority=3)
    runs = make.job("a", state=State.IN_PROGRESS, pipeline="p")
    waits = make.job("b", pipeline="p", index=1, priority=7)
    (place,) = explain(first, runs, waits, limit=1)
    assert (place.position, place.namespace, place.pipeline, place.job, place.client) == (
        1,
        "team",
        "p",
        "b",
        "default",
    )
    assert (place.reason, place.message) == (Reason.GLOBAL_LIMIT, "1/1 jobs running in all")
    assert place.key == {
        "clientPriority": 10,
        "pipelinePriority": 3,  # the Pipeline's own, whatever the copy in the job says
        "stageIndex": 0,
        "jobPriority": 7,
        "acceptedTime": make.at(),
        "index": 1,
        "pipelineUid": "uid-p",
    }
    assert place.since == make.moment()


def test_a_pipeline_that_is_not_divided_is_one_place() -> None:
    waiting = make.pipeline("p", ["a", "b", make.job_spec("later", "t")], status=accepted())
    (place,) = explain(waiting, size=1, limit=0)
    assert (place.job, place.jobs, place.reason) == (None, 2, Reason.GLOBAL_LIMIT)
    behind = make.pipeline("q", ["a"], status=accepted(1))
    assert [place.reason for place in explain(waiting, behind, size=1)] == [Reason.QUEUED, Reason.QUEUE_FULL]


def test_who_is_not_in_the_order() -> None:
    """Backoff, cancels, other runs, ends, what is being deleted or invalid, and jobs whose Pipeline is not known."""
    pipeline = make.pipeline("p", list("abcdef"), status=accepted(divided=0))
    cancelled = make.pipeline("q", ["a"], status=accepted(), cancel="Now")
    over = make.pipeline("r", ["a"], status=accepted(state=State.DONE))
    broken = make.pipeline("s", spec=None)
    suspended = make.pipeline("t", ["a"], status=accepted(), suspend=True)
    jobs = [
        make.job("a", next_attempt_time=make.at(70)),
        make.job("b", cancel="Drain"),
        make.job("c", run=2),
        make.job("d", state=State.DONE),
        make.job("e", deleting=True),
        make.job("f", pipeline="nobody"),
    ]
    assert explain(pipeline, cancelled, over, broken, suspended, *jobs) == []
    assert names(explain(pipeline, *jobs, seconds=70)) == ["p/a"]


def test_jobs_of_a_suspended_pipeline_say_so() -> None:
    pipeline = make.pipeline("p", ["a"], status=accepted(divided=0), suspend=True)
    assert [place.reason for place in explain(pipeline, make.job("a"))] == [Reason.SUSPENDED]


def test_what_has_waited_too_long_is_first_and_says_since_when() -> None:
    patient = make.client("patient", priority=99, max_wait_seconds=30)
    old = make.pipeline("old", ["a"], status=accepted(), clientId="patient")
    new = make.pipeline("new", ["a"], status=accepted(1), created=make.at(50))
    places = explain(patient, make.client(), old, new)
    assert names(places) == ["old/None", "new/None"]
    assert next(iter(places[0].key.items())) == ("overdueSince", make.at(30)[:19] + "+00:00")


def test_clients_come_first_in_the_order() -> None:
    first, second = make.client("first", priority=1), make.client("second", priority=2)
    pipelines = [
        make.pipeline("a", ["x"], status=accepted(0), clientId="second", priority=0),
        make.pipeline("b", ["x"], status=accepted(1), clientId="first", priority=9),
        make.pipeline("c", ["x"], status=accepted(2), clientId="gone"),
    ]
    places = explain(first, second, *pipelines)
    assert names(places) == ["b/None", "a/None", "c/None"]
    gone = places[2]
    assert (gone.reason, gone.message) == (Reason.CLIENT_SUSPENDED, "there is no valid PipelineClient gone any more")


def test_a_rerun_waits_with_the_jobs_that_it_has_not_kept_and_since_it_was_asked_for() -> None:
    status = accepted(30, run=2, kept=Kept(since=1, jobs=(1, 0)))
    again = make.pipeline("p", ["a", "b", "c", make.job_spec("later", "t")], status=status)
    done = make.job("a", state=State.DONE, pipeline_uid=again.uid)
    (place,) = explain(again, done, limit=0)
    assert (place.job, place.jobs, place.since) == (None, 2, make.moment(30))


def test_a_rerun_whose_first_stages_are_done_stands_at_the_first_that_is_not() -> None:
    again = make.pipeline(
        "p", ["a", make.job_spec("b", "t")], status=accepted(30, run=2, kept=Kept(since=1, jobs=(1, 0)))
    )
    (place,) = explain(again, limit=0)
    assert (place.jobs, place.key["stageIndex"]) == (1, 1)
