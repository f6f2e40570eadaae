"""The view of a run and its lines: pure, so every corner is a table."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from task_pipeline.cli.tree import lines
from task_pipeline.cli.view import awaits_rerun, is_over, run_view

NOW = datetime(2026, 1, 31, 12, 10, tzinfo=UTC)


def pipeline(state: str = "IN PROGRESS", stages: tuple[str, ...] = ("s", "t"), **status: Any) -> dict[str, Any]:
    jobs = [{"name": name, "stage": "s", "kind": "Shell"} for name in ("a", "b")]
    spec = {"stages": list(stages), "jobs": [*jobs, {"name": "c", "stage": "t", "kind": "Shell"}]}
    return {
        "metadata": {"name": "p", "namespace": "n", "generation": 1},
        "spec": spec,
        "status": {"state": state, "observedGeneration": 1, "startTime": "2026-01-31T12:00:00Z", **status},
    }


def job(name: str, state: str, *, run: int = 1, index: int = 0, stage: str = "s", **status: Any) -> dict[str, Any]:
    spec = {"name": name, "stage": stage, "kind": "Shell", "run": run, "index": index}
    return {"metadata": {"uid": f"{name}-{run}"}, "spec": spec, "status": {"state": state, **status}}


def mark(state: str) -> str:
    return state[:1]


def text(view: Any, width: int = 200, height: int | None = None) -> list[str]:
    return ["".join(word.text for word in line) for line in lines(view, mark, width, height)]


def test_jobs_that_exist_and_jobs_that_will() -> None:
    jobs = [
        job("b", "IN PROGRESS", index=1, reason="Running", attempt=2, startTime="2026-01-31T12:08:00Z"),
        job("a", "DONE"),
    ]
    view = run_view(pipeline(stage="s", progress="1/3", reason="StageRunning"), jobs, NOW)
    assert [line.rstrip() for line in text(view)] == [
        "I p  IN PROGRESS  StageRunning  1/3  10m",
        "  R s  0/2",
        "    D a  DONE",
        "    I b  IN PROGRESS  Running  attempt 2  2m",
        "  R t  0/1",
        "    R c  READY",
    ]
    assert [one.reason for one in view.jobs] == ["", "Running", "StageNotReached"]


def test_a_rerun_shows_what_it_kept_and_what_runs_again() -> None:
    jobs = [job("a", "DONE"), job("b", "ERROR"), job("b", "READY", run=2, reason="Queued")]
    view = run_view(pipeline("READY", run=2, kept={"since": 1, "jobs": [1, 0]}), jobs, NOW)
    assert [(one.name, one.state) for one in view.jobs] == [("a", "DONE"), ("b", "READY"), ("c", "READY")]
    again = run_view(pipeline("READY", run=2), jobs, NOW)
    assert [(one.name, one.thing is None) for one in again.jobs][:2] == [("b", False), ("a", True)]


def test_of_a_finished_run_what_never_started_counts_as_cancelled() -> None:
    view = run_view(pipeline("ERROR"), [job("a", "ERROR"), job("b", "DONE")], NOW)
    assert view.jobs[-1].state == "CANCELLED"


@pytest.mark.parametrize(
    ("thing", "over"),
    [
        (pipeline("READY"), False),
        (pipeline("DONE"), True),
        (pipeline("ERROR", reason="InvalidSpec", startTime=None), True),
        (pipeline("ERROR", reason="InvalidSpec", startTime=None, observedGeneration=0), False),
    ],
)
def test_over(thing: dict[str, Any], over: bool) -> None:
    assert is_over(thing) is over


def test_a_rerun_that_is_asked_for_is_not_the_end() -> None:
    thing = pipeline("DONE", rerunId="1")
    thing["spec"]["rerun"] = {"id": "2"}
    assert awaits_rerun(thing)
    assert not is_over(thing)
    thing["spec"]["cancel"] = "Now"
    assert is_over(thing)
    thing["spec"] = {"rerun": {"id": "1"}}
    assert is_over(thing)


def test_what_does_not_fit_is_counted_and_failures_come_first() -> None:
    thing = pipeline(stages=("s",))
    thing["spec"]["jobs"] = []
    jobs = [job(f"j{number:04}", "DONE", index=number) for number in range(1990)]
    jobs += [job(f"r{number}", "IN PROGRESS", index=2000 + number) for number in range(9)] + [
        job("bad", "ERROR", index=3000)
    ]
    shown = text(run_view(thing, jobs, NOW), height=8)
    assert len(shown) == 8
    assert shown[2].split()[1] == "bad"
    assert [line.split()[1] for line in shown[3:7]] == ["r0", "r1", "r2", "r3"]
    assert shown[7].strip() == "and 1995 more: 5 IN PROGRESS, 1990 DONE"


NAMES = st.text(alphabet=st.characters(), min_size=1, max_size=30)


@given(
    names=st.lists(NAMES, max_size=6, unique=True),
    message=st.text(alphabet=st.characters(), max_size=80),
    width=st.integers(1, 120),
    height=st.integers(1, 12),
)
def test_lines_fit_and_are_harmless(names: list[str], message: str, width: int, height: int) -> None:
    jobs = [job(name, "ERROR", message=message, index=index) for index, name in enumerate(names)]
    shown = text(run_view(pipeline(message=message), jobs, NOW), width, height)
    assert len(shown) <= height
    assert all(len(line) <= width and "\x1b" not in line and "\n" not in line for line in shown)
