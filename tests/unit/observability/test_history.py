"""Counters exist from 0: `increase()` does not see the first of a series that begins with another number."""

import pytest

from task_pipeline.observability.clients import OTHER, UNKNOWN
from task_pipeline.observability.history import History
from task_pipeline.observability.meters import Meters
from tests.scrape import Scrape


@pytest.fixture
def meters() -> Meters:
    return Meters()


@pytest.fixture
def history(meters: Meters) -> History:
    return History(meters, str, ["Shell"], lambda job: 0.0, lambda job: None)


@pytest.mark.usefixtures("history")
@pytest.mark.parametrize("reason", ["Lost", "Evicted", "WorkerLost", "ExitCode"])
def test_retries_are_told_from_0(meters: Meters, reason: str) -> None:
    assert Scrape.of(meters.registry).value("retries_total", reason=reason) == 0


@pytest.mark.parametrize("outcome", ["Succeeded", "Failed", "Cancelled", "Invalid"])
def test_ends_are_told_from_0(meters: Meters, history: History, outcome: str) -> None:
    for label in (UNKNOWN, OTHER):
        assert Scrape.of(meters.registry).value("pipelines_finished_total", client=label, outcome=outcome) == 0
    assert Scrape.of(meters.registry).value("pipelines_finished_total", client="a", outcome=outcome) is None
    history.begin("a")
    assert Scrape.of(meters.registry).value("pipelines_finished_total", client="a", outcome=outcome) == 0
