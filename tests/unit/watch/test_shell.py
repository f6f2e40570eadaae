"""The shell around kopf: what it hands over, and how it tells that kopf does not run."""

import ssl
from typing import Any

import kopf
import pytest

from task_pipeline.api.resources import PIPELINE_CLIENTS, PIPELINES
from task_pipeline.cache.convert import PipelineClientView, PipelineView
from task_pipeline.kube.config import Connection
from task_pipeline.watch import shell
from task_pipeline.watch.shell import STABLE_SECONDS, Delivery, KopfThread
from tests.cluster.polling import wait_for

META = {"name": "p", "namespace": "n", "uid": "u", "resourceVersion": "1"}


class Sink:
    """Remembers what it was given."""

    def __init__(self) -> None:
        self.there: list[str] = []
        self.gone: list[str] = []
        self.relisted = 0

    def delivery(self, view: Any, resource: Any) -> Delivery:
        return Delivery(
            resource, view, lambda thing: self.there.append(thing.metadata.uid), self.gone.append, self._relisted
        )

    def _relisted(self) -> None:
        self.relisted += 1


POISONED: dict[str, dict[str, Any]] = {
    "unknown state": {"metadata": META, "status": {"state": "PAUSED"}},
    "status is a list": {"metadata": META, "status": []},
    "spec is a text": {"metadata": META, "spec": "x"},
    "wrong types": {"metadata": META, "status": {"stages": 3, "observedGeneration": "one"}},
    "labels are numbers": {"metadata": META | {"labels": {"a": 1}}},
}


@pytest.mark.parametrize("poison", POISONED)
@pytest.mark.parametrize("view", [PipelineView, PipelineClientView])
async def test_what_cannot_be_read_is_left_alone_and_the_next_is_handed_over(view: Any, poison: str) -> None:
    sink = Sink()
    deliver = shell._deliver(sink.delivery(view, PIPELINES if view is PipelineView else PIPELINE_CLIENTS))
    await deliver({"type": "ADDED", "object": POISONED[poison]})
    await deliver({"type": "ADDED", "object": {"metadata": META | {"uid": "next"}}})
    await deliver({"type": "DELETED", "object": POISONED[poison]})
    assert (sink.there[-1:], sink.gone) == (["next"], ["u"])


async def test_a_list_that_comes_again_is_told() -> None:
    sink = Sink()
    deliver = shell._deliver(sink.delivery(PipelineView, PIPELINES))
    for _ in range(2):
        await deliver({"type": None, "object": {"metadata": META}})
    assert sink.relisted == 1


async def nowhere(refused: bool) -> str | None:
    return None


def test_kopf_that_ends_again_and_again_is_told_and_forgotten_once_it_runs_well(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now, starts = [0.0], 0

    async def operator(**_: Any) -> None:
        nonlocal starts
        starts += 1
        raise RuntimeError("kopf has ended")

    monkeypatch.setattr(kopf, "operator", operator)
    connection = Connection("https://127.0.0.1:1", ssl.create_default_context(), nowhere)
    thread = KopfThread(connection, (), namespaces=(), clock=lambda: now[0])
    assert (thread.fault(), thread.failing()) == (None, 0.0)
    thread.start()
    wait_for(lambda: starts >= 1 and thread._failing_since is not None, "the first end")
    now[0] = 20.0
    assert thread.failing() == 20.0
    assert thread.fault() is None
    now[0] += STABLE_SECONDS * 2  # as if the run since then had lasted
    assert thread.failing() == 0.0
    thread._stop.set()
    thread._thread.join(5)
    assert thread.fault() is None
