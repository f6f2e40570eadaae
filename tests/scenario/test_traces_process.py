"""The operator from its start to its end, in real time, with a collector that listens: the parts are put together."""

import asyncio
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from task_pipeline.api.resources import PIPELINE_CLIENTS, PIPELINES
from task_pipeline.entrypoints import operator
from task_pipeline.observability.trace_switch import trace_sender
from task_pipeline.settings import Settings
from tests.collector import Collector, collecting, without_variables
from tests.fakes import FakeCluster
from tests.scenario.world import FINAL, shell

STOP_SECONDS = 9.0  # well before the library itself would give up


class NoKopf:
    """Stands where kopf does; nothing changes in these tests that it would have to tell."""

    pulse = SimpleNamespace(age=0.0)

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def start(self) -> None: ...

    async def stop(self, seconds: float) -> None: ...

    def fault(self) -> str | None:
        return None

    def failing(self) -> float:
        return 0.0


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    monkeypatch.setattr(operator, "KopfThread", NoKopf)
    without_variables(monkeypatch)
    with collecting() as made:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", made.url)
        yield made


async def stopped_after_a_run() -> float:
    """Let an operator take a Pipeline to its end, and stop it; returns the seconds that the stop took."""
    cluster, stop = FakeCluster(now=lambda: datetime.now(UTC)), asyncio.Event()
    client = {"metadata": {"name": "default", "namespace": "task-pipeline"}, "spec": {"namespaces": ["*"]}}
    cluster.admin.apply(PIPELINE_CLIENTS, client, "task-pipeline")
    spec = {"stages": ["s"], "jobs": [shell("a"), shell("b")]}
    cluster.admin.create(PIPELINES, {"metadata": {"name": "p"}, "spec": spec}, "default")
    settings = Settings(leader_election=False, health_port=0)
    connection: Any = SimpleNamespace()
    works = asyncio.create_task(
        operator.run(connection, cluster, settings, lambda: settings, stop, trace_sender(os.environ))  # type: ignore[arg-type]
    )

    def over() -> bool:
        return cluster.admin.get(PIPELINES, "p", "default").get("status", {}).get("state") in FINAL

    await cluster.admin.wait_for(over)
    clock = asyncio.get_running_loop().time
    began = clock()
    stop.set()
    assert await works is None
    return clock() - began


async def test_a_run_is_sent_before_the_operator_has_stopped(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operator, "TRACES_SECONDS", 20.0)  # how long it may take is the other test's
    await stopped_after_a_run()
    assert [span.name for span in collector.spans()] == ["pipeline p", "stage s", "job a", "job b"]


async def test_a_collector_that_hangs_keeps_neither_the_run_nor_the_stop_waiting(collector: Collector) -> None:
    collector.free.clear()
    took = await stopped_after_a_run()
    assert operator.TRACES_SECONDS <= took < STOP_SECONDS
    assert collector.spans() == []
