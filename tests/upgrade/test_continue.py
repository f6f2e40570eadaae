"""Each recorded scene goes on under this version: nothing that was launched is launched again, and all of it ends.

The controllers of the cluster stand still, so that what happens is what the operator does, and what a test says.
"""

import asyncio
from pathlib import Path
from typing import Any

import pytest
import yaml

from task_pipeline import __version__
from task_pipeline.api.resources import DEPLOYMENTS, KUBERNETES_JOBS, PIPELINES, PODS
from task_pipeline.core.remote import Step
from tests.fakes.faults import Request
from tests.scenario.worker_server import Server
from tests.scenario.world import FINAL, World
from tests.upgrade.record import FIXTURES, FOLDER
from tests.upgrade.scenes import BY_KIND, SCENES

pytestmark = [pytest.mark.looptime]

VERSIONS = sorted(path for path in FIXTURES.iterdir() if path.is_dir())
OVER = {"finished", "cancelled"}


def scene(name: str) -> pytest.MarkDecorator:
    """The tests of one scene run on what each version left of it."""
    files = [version / f"{name}.yaml" for version in VERSIONS if (version / f"{name}.yaml").exists()]
    return pytest.mark.parametrize("file", files, ids=[file.parent.name for file in files])


def documents(file: Path) -> list[Any]:
    """What is in a file: its head, and the objects."""
    return list(yaml.safe_load_all(file.read_text()))


async def continued(file: Path) -> World:
    """A world with the recorded objects, at the recorded time, and this version's operator, 30 seconds later."""
    head, *objects = documents(file)
    world = World()
    still = (world.cluster.kubelet, world.cluster.jobs, world.cluster.deployments, world.cluster.garbage)
    listeners = world.cluster.store.listeners
    listeners[:] = [one for one in listeners if getattr(one, "__self__", None) not in still]
    await asyncio.sleep(head["seconds"] - world.now)
    for thing in objects:
        world.cluster.store.put(BY_KIND[thing["kind"]], thing)
        if thing["kind"] == "Pipeline":
            world._namespace_of[thing["metadata"]["name"]] = thing["metadata"]["namespace"]
    await world.start()
    await asyncio.sleep(30)
    return world


def launches(world: World) -> list[Request]:
    """Every request that created or applied a workload."""
    journal = world.cluster.journal
    return journal.of("create", PODS) + journal.of("create", KUBERNETES_JOBS) + journal.of("apply", DEPLOYMENTS)


def end_pod(world: World, name: str) -> None:
    """Let a pod end well."""
    ended = {"exitCode": 0, "reason": "Completed", "startedAt": "2026-01-31T12:00:00Z"}
    world.cluster.admin.status(
        PODS, name, phase="Succeeded", containerStatuses=[{"name": "main", "state": {"terminated": ended}}]
    )


def pod_of(world: World, pipeline: str, job: str) -> str:
    """The name of the pod that a job says it runs in."""
    name: str = world.job(pipeline, job)["workload"]["name"]
    return name


async def test_this_version_has_been_recorded() -> None:
    assert {path.stem for path in FOLDER.glob("*.yaml")} == set(SCENES), (
        f"python -m tests.upgrade.record ({__version__})"
    )


@pytest.mark.parametrize("file", sorted(FIXTURES.glob("*/*.yaml")), ids=lambda file: f"{file.parent.name}-{file.stem}")
async def test_nothing_that_was_launched_is_launched_again(file: Path) -> None:
    world = await continued(file)
    await asyncio.sleep(600)
    known = {
        (thing["metadata"]["ownerReferences"][0]["uid"], thing["metadata"]["annotations"]["taskpipeline.dev/attempt"])
        for thing in documents(file)
        if thing.get("kind") in ("Pod", "Job") and _is_of_a_job(thing)
    }
    again = {
        (body["metadata"]["ownerReferences"][0]["uid"], body["metadata"]["annotations"]["taskpipeline.dev/attempt"])
        for body in (request.body for request in launches(world))
        if _is_of_a_job(body)
    }
    assert known.isdisjoint(again)
    if file.stem in OVER:
        assert not world.cluster.journal.writes
    await world.kill()


def _is_of_a_job(thing: dict[str, Any]) -> bool:
    owners = thing["metadata"].get("ownerReferences") or [{}]
    return bool(owners[0].get("kind") == "PipelineJob")


@scene("running")
async def test_running(file: Path) -> None:
    world = await continued(file)
    assert launches(world) == []
    end_pod(world, pod_of(world, "p", "a"))
    await asyncio.sleep(2)
    assert world.job("p", "a")["state"] == "DONE"
    assert [request.name for request in launches(world)] == [pod_of(world, "p", "b")]
    await world.kill()


@scene("between-stages")
async def test_between_stages(file: Path) -> None:
    world = await continued(file)
    assert launches(world) == []
    end_pod(world, pod_of(world, "p", "b"))
    await asyncio.sleep(2)
    assert world.states("p") == {"a": "DONE", "b": "DONE", "c": "IN PROGRESS"}
    assert len(launches(world)) == 1
    await world.kill()


@scene("waiting")
async def test_waiting(file: Path) -> None:
    world = await continued(file)
    assert launches(world) == []
    end_pod(world, pod_of(world, "p", "a"))
    await asyncio.sleep(2)
    assert (world.pipeline("p")["state"], world.states("q")) == ("DONE", {"a": "IN PROGRESS"})
    await world.kill()


@scene("retrying")
async def test_retrying(file: Path) -> None:
    world = await continued(file)
    status = world.job("p", "a")
    assert (status["state"], status["attempt"], len(launches(world))) == ("IN PROGRESS", 2, 1)
    await world.kill()


@scene("cancelling")
async def test_cancelling(file: Path) -> None:
    world = await continued(file)
    assert launches(world) == []
    pod = world.pods()[0]["metadata"]
    world.cluster.store.remove(PODS, pod["namespace"], pod["name"])
    await asyncio.sleep(5)
    assert (world.pipeline("p")["state"], world.states("p")["a"]) == ("CANCELLED", "CANCELLED")
    assert launches(world) == []
    await world.kill()


@scene("suspended")
async def test_suspended(file: Path) -> None:
    world = await continued(file)
    assert launches(world) == []
    world.edit("p", suspend=False)
    await asyncio.sleep(5)
    assert world.states("p") == {"a": "DONE", "b": "IN PROGRESS"}
    await world.kill()


@scene("worker-claimed")
async def test_worker_claimed(file: Path) -> None:
    world = await continued(file)
    server, before = Server(world), world.job("p", "a")
    assert (before["state"], before["claim"]["worker"], before["progress"]["percent"]) == ("IN PROGRESS", "w1", 40)
    assert isinstance(server.beat(1), Step)
    assert isinstance(server.report(1), Step)
    await asyncio.sleep(5)
    assert world.pipeline("p")["state"] == "DONE"
    assert world.job("p", "a")["attempt"] == 1
    await world.kill()


@scene("deployment-rolling")
async def test_deployment_rolling(file: Path) -> None:
    world = await continued(file)
    assert launches(world) == []
    counts: dict[str, Any] = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), 1)
    generation = world.cluster.admin.get(DEPLOYMENTS, "web")["metadata"]["generation"]
    world.cluster.admin.status(DEPLOYMENTS, "web", observedGeneration=generation, **counts)
    await asyncio.sleep(5)
    assert world.pipeline("p")["state"] == "DONE"
    await world.kill()


@scene("kubernetes-job")
async def test_kubernetes_job(file: Path) -> None:
    world = await continued(file)
    assert launches(world) == []
    name = next(pod["metadata"]["name"] for pod in world.pods())
    end_pod(world, name)
    await asyncio.sleep(5)
    assert world.pipeline("p")["state"] == "DONE"
    await world.kill()


@scene("unclaimed")
async def test_unclaimed(file: Path) -> None:
    world = await continued(file)
    assert launches(world) == []
    assert world.job("p", "a")["workload"]["uid"] == world.pods()[0]["metadata"]["uid"]
    await world.kill()


@pytest.mark.parametrize("name", ["finished", "cancelled"])
@pytest.mark.parametrize("version", VERSIONS, ids=lambda path: path.name)
async def test_what_is_over_stays_as_it_is(version: Path, name: str) -> None:
    world = await continued(version / f"{name}.yaml")
    assert {thing["status"]["state"] for thing in world.cluster.admin.list(PIPELINES)} <= set(FINAL)
    assert not world.cluster.journal.writes
    await world.kill()
