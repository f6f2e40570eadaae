"""The gate and the wrapper around the client: every request for a change is refused when it is shut, no reading is."""

import inspect
from collections.abc import Callable
from typing import Any

import pytest

from task_pipeline.api.resources import PIPELINES
from task_pipeline.kube.cluster import Cluster
from task_pipeline.kube.errors import NotFound, is_transient
from task_pipeline.leadership.gate import Gate, GatedCluster, NotLeading
from tests.fakes import FakeCluster

pytestmark = [pytest.mark.looptime]

BODY = {"metadata": {"name": "p"}, "spec": {}}
CHANGES: dict[str, Callable[[Cluster], Any]] = {
    "create": lambda cluster: cluster.create(PIPELINES, "default", BODY),
    "post": lambda cluster: cluster.post(PIPELINES, "default", BODY),
    "patch": lambda cluster: cluster.patch(PIPELINES, "default", "p", {}),
    "patch_status": lambda cluster: cluster.patch_status(PIPELINES, "default", "p", {}),
    "apply": lambda cluster: cluster.apply(PIPELINES, "default", "p", BODY),
    "delete": lambda cluster: cluster.delete(PIPELINES, "default", "p"),
}
READS = {"get", "list", "watch", "log"}


def test_every_method_of_the_protocol_is_known_here() -> None:
    methods = {name for name, _ in inspect.getmembers(Cluster, inspect.isfunction) if not name.startswith("_")}
    assert methods == READS | set(CHANGES)


@pytest.mark.parametrize("name", CHANGES)
async def test_shut_it_lets_no_change_through(name: str) -> None:
    world = FakeCluster()
    with pytest.raises(NotLeading) as caught:
        await CHANGES[name](GatedCluster(world, Gate()))
    assert not is_transient(caught.value)
    assert len(world.journal) == 0
    world.close()


async def test_shut_it_lets_everything_be_read() -> None:
    world = FakeCluster()
    gated = GatedCluster(world, Gate())
    assert b'"items"' in await gated.list(PIPELINES, None)
    with pytest.raises(NotFound):
        await gated.get(PIPELINES, "default", "p")
    world.close()


def test_it_is_open_until_a_moment_and_once_closed_for_good() -> None:
    now = [0.0]
    gate = Gate(lambda: now[0])
    assert not gate.is_open
    gate.open_until(5.0)
    assert gate.is_open
    now[0] = 5.0
    assert not gate.is_open
    gate.open_until(9.0)
    assert gate.is_open
    gate.close()
    gate.open_until(99.0)
    assert not gate.is_open


def test_an_opening_that_is_under_way_while_it_is_closed_opens_nothing() -> None:
    """The election's thread opens, the operator's closes: between any two steps of the one there may be the other's."""

    class Interrupted(Gate):
        def __setattr__(self, name: str, value: object) -> None:
            if name == "_until" and value == 9.0:
                self.close()
            super().__setattr__(name, value)

    gate = Interrupted(lambda: 1.0)
    gate.open_until(9.0)
    assert not gate.is_open
