"""A poisoned object harms only itself: whatever stands in it, everything else goes on, now and after a restart.

The operator reads objects that no schema would let in, as an operator of another version, an older CRD or a broken disk
would leave them. The in-memory cluster itself knows the true ones, so that its controllers are not what is tested.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import orjson
import pytest

from task_pipeline.api.group import LABEL_JOB_HASH
from task_pipeline.api.resources import (
    DEPLOYMENTS,
    KUBERNETES_JOBS,
    PIPELINE_CLIENTS,
    PIPELINE_JOBS,
    PIPELINES,
    PODS,
    Resource,
)
from tests.scenario.replicas import Operator
from tests.scenario.world import World, running, shell

pytestmark = [pytest.mark.looptime]

Object = dict[str, Any]
Poison = Callable[[Object], object]

BIG = "x" * 1_000_000


def status(**fields: Any) -> Poison:
    """Other fields in the status."""
    return lambda thing: thing.setdefault("status", {}).update(fields)


def spec(**fields: Any) -> Poison:
    """Other fields in the spec."""
    return lambda thing: thing["spec"].update(fields)


def meta(**fields: Any) -> Poison:
    """Other fields in the metadata."""
    return lambda thing: thing["metadata"].update(fields)


def whole(part: str, value: Any) -> Poison:
    """A part of the object that is something else altogether."""
    return lambda thing: thing.update({part: value})


def annotated(**annotations: str) -> Poison:
    """Other annotations."""
    return lambda thing: thing["metadata"].setdefault("annotations", {}).update(annotations)


OURS: dict[str, Poison] = {
    "unknown-state": status(state="PAUSED"),
    "no-state": status(state=None),
    "state-is-a-number": status(state=7),
    "status-is-a-list": whole("status", ["IN PROGRESS"]),
    "spec-is-a-list": whole("spec", [1, 2]),
    "spec-is-missing": lambda thing: thing.pop("spec"),
    "big-annotation": annotated(**{"example.com/big": BIG}),
    "unknown-reason": status(reason="BecauseOfTheWeather"),
    "time-is-no-time": status(acceptedTime="yesterday", startTime="soon", completionTime="never"),
    "condition-is-a-text": status(conditions=["Ready"]),
    "unknown-field": status(later={"version": 2}),
    "labels-are-missing": meta(labels={}),
    "owner-is-missing": meta(ownerReferences=[]),
    "created-nonsense": meta(creationTimestamp="long ago"),
}
PIPELINE: dict[str, Poison] = OURS | {
    "stage-that-is-none": status(stage="nowhere"),
    "stages-are-a-text": status(stages="two"),
    "divided-too-far": status(divided=99),
    "run-backwards": status(run=-3),
    "kept-nonsense": status(kept={"since": 9, "jobs": [1, 2, 3, 4]}),
    "cleaned-at-no-time": status(state="DONE", completionTime="2026", cleanupTime="x"),
    "jobs-nested-wrong": spec(jobs=[[["a"]]]),
    "huge-numbers": spec(priority=2**62),
}
JOB: dict[str, Poison] = OURS | {
    "attempts-are-a-text": status(attempts="many"),
    "attempt-is-huge": status(attempt=2**62),
    "attempt-is-negative": status(state="IN PROGRESS", attempt=-1),
    "running-without-a-workload": status(state="IN PROGRESS", reason="Running", attempt=1, workload=None),
    "workload-of-no-kind": status(
        state="IN PROGRESS", reason="Running", attempt=1, workload={"kind": "Zeppelin", "name": "z", "uid": "u"}
    ),
    "next-attempt-at-no-time": status(reason="RetryBackoff", nextAttemptTime="later", attempt=1),
    "stage-that-is-none": spec(stageIndex=999),
    "kind-that-is-none": spec(kind="Nope", version="9.9.9"),
    "params-are-a-text": spec(params="echo"),
    "claim-until-no-time": status(
        state="IN PROGRESS",
        reason="Running",
        attempt=1,
        claim={"attempt": 1, "worker": "w", "claimTime": "x", "leaseUntil": "y"},
    ),
    "hash-of-another": meta(labels={LABEL_JOB_HASH: "a" * 16}),
}
WORKLOAD: dict[str, Poison] = {
    "status-is-a-text": whole("status", "fine"),
    "spec-is-a-text": whole("spec", "fine"),
    "status-of-wrong-types": status(
        phase=3, containerStatuses="none", conditions=[{"type": 1}], succeeded="one", availableReplicas=None
    ),
    "unknown-phase": status(phase="Confused", conditions=[{"type": "Odd", "status": "Perhaps"}]),
    "times-are-none": status(startTime="soon", completionTime="never"),
    "attempt-is-a-word": annotated(**{"taskpipeline.dev/attempt": "first"}),
    "big-annotation": annotated(**{"example.com/big": BIG}),
    "containers-without-names": status(phase="Running", containerStatuses=[{"state": {"running": {}}}]),
    "terminated-nonsense": status(
        phase="Failed", containerStatuses=[{"name": "main", "state": {"terminated": {"exitCode": "bad"}}}]
    ),
}
CLIENT: dict[str, Poison] = {
    "spec-is-a-list": whole("spec", []),
    "status-is-a-text": whole("status", "good"),
    "limits-are-words": spec(maxRunningJobs="many", queueSize=-5),
    "namespaces-are-a-number": spec(namespaces=3),
    "running-is-a-word": status(running="three"),
    "big-annotation": annotated(**{"example.com/big": BIG}),
}
TABLES: dict[Resource, dict[str, Poison]] = {
    PIPELINES: PIPELINE,
    PIPELINE_JOBS: JOB,
    PIPELINE_CLIENTS: CLIENT,
    PODS: WORKLOAD,
    KUBERNETES_JOBS: WORKLOAD,
    DEPLOYMENTS: WORKLOAD,
}
CASES = [
    pytest.param(resource, name, id=f"{resource.plural}-{name}") for resource, table in TABLES.items() for name in table
]


def kube(kind: str, **params: Any) -> Object:
    """A job whose workload is a Kubernetes Job or a Deployment."""
    return {
        "name": "a",
        "stage": "s",
        "kind": kind,
        "version": "1.0.0",
        "params": {"image": "busybox:1.36", **params},
    }


def victims(world: World) -> None:
    """Work of every resource, in the middle of its life, of clients of their own."""
    world.client("poor")
    world.submit("victim", shell("a", seconds=400), shell("b", "t"), clientId="poor")
    world.submit("victim-job", kube("K8S/Job", annotations={"simulate.test/seconds": "400"}), clientId="poor")
    world.submit("victim-deployment", kube("K8S/Deployment", name="web"), clientId="poor")


class Poisoned:
    """From its making on the operator reads the victims of one resource in another form, by list, watch and get."""

    def __init__(self, world: World, resource: Resource, poison: Poison) -> None:
        self._cluster = world.cluster
        self._resource = resource
        self._poison = poison
        self.names = {
            thing["metadata"]["name"]
            for thing in world.cluster.store.items(resource)
            if resource != PIPELINE_CLIENTS or thing["metadata"]["name"] == "poor"
        }
        self._list, self._watch, self._get = world.cluster.list, world.cluster.watch, world.cluster.get
        vars(world.cluster).update(list=self.list, watch=self.watch, get=self.get)
        world.cluster.break_watches(resource)
        self._touch("yes")

    def heal(self) -> None:
        """From now on they are read as they are."""
        self._poison = lambda thing: None
        self._touch("no")

    def _touch(self, value: str) -> None:
        admin, edit = self._cluster.admin, {"metadata": {"annotations": {"example.com/touched": value}}}
        for thing in self._cluster.store.items(self._resource):
            if thing["metadata"]["name"] in self.names:
                admin.patch(self._resource, thing["metadata"]["name"], edit, thing["metadata"]["namespace"])

    async def list(self, resource: Resource, namespace: str | None, **query: Any) -> bytes:
        raw = await self._list(resource, namespace, **query)
        if resource != self._resource or query.get("metadata_only"):
            return raw
        page = orjson.loads(raw)
        return orjson.dumps(page | {"items": [self._changed(thing) for thing in page["items"]]})

    async def watch(self, resource: Resource, namespace: str | None, **query: Any) -> AsyncIterator[bytes]:
        async for line in self._watch(resource, namespace, **query):
            event = orjson.loads(line)
            if resource == self._resource and event["type"] in ("ADDED", "MODIFIED"):
                yield orjson.dumps(event | {"object": self._changed(event["object"])})
            else:
                yield line

    async def get(self, resource: Resource, namespace: str | None, name: str) -> bytes:
        raw = await self._get(resource, namespace, name)
        return orjson.dumps(self._changed(orjson.loads(raw))) if resource == self._resource else raw

    def _changed(self, thing: Object) -> Object:
        if thing["metadata"]["name"] in self.names:
            self._poison(thing)
        return thing


@pytest.mark.parametrize(("resource", "name"), CASES)
async def test_everything_else_goes_on(resource: Resource, name: str) -> None:
    async with running(max_running_jobs=20) as world:
        victims(world)
        await asyncio.sleep(3)
        assert Poisoned(world, resource, TABLES[resource][name]).names
        world.submit("healthy", shell("a"), shell("b", "t", seconds=2), shell("c", "u", exit_code=1, allowFailure=True))
        assert (await world.until_final("healthy", seconds=30))["healthy"] == "DONE"
        world.cluster.journal.clear()
        await asyncio.sleep(300)
        assert len(world.cluster.journal) < 150, world.cluster.journal.lines()[-20:]
        assert world.runtime is not None
        assert world.runtime.fault() is None
        await world.kill()
        await world.start()
        world.submit("after", shell("a"), shell("b", "t"))
        assert (await world.until_final("after", seconds=30))["after"] == "DONE"
        await world.kill()


async def test_what_waits_and_cannot_be_read_any_more_is_not_launched_until_it_can() -> None:
    async with running(max_running_jobs=0) as world:
        world.submit("victim", shell("a"))
        await asyncio.sleep(3)
        assert world.states("victim") == {"a": "READY"}
        poisoned = Poisoned(world, PIPELINE_JOBS, JOB["unknown-state"])
        await asyncio.sleep(3)
        world.change_settings(max_running_jobs=1)
        world.submit("healthy", shell("a"))
        assert (await world.until_final("healthy", seconds=30))["healthy"] == "DONE"  # the only slot is not lost
        assert len(world.pods()) == 1
        poisoned.heal()
        assert (await world.until_final("victim", seconds=30))["victim"] == "DONE"


async def test_a_new_leader_that_cannot_read_what_waits_does_not_launch_it_either() -> None:
    world = World()
    first, second = (Operator(world.cluster, name, max_running_jobs=0) for name in ("first", "second"))
    await first.start()
    await first.working.wait()
    await second.start()
    world.submit("victim", shell("a"))
    await asyncio.sleep(3)
    second.door.deafen()
    poisoned = Poisoned(world, PIPELINE_JOBS, JOB["unknown-state"])
    await first.kill()
    await second.working.wait()
    second.runtime.settings_changed(second.settings.model_copy(update={"max_running_jobs": 1}))
    await asyncio.sleep(10)
    assert world.pods() == []
    poisoned.heal()
    second.door.deafen(False)
    assert (await world.until_final("victim", seconds=30))["victim"] == "DONE"
    await second.kill()
