"""Rollouts of Deployments: how they end, what is said meanwhile, and two jobs on one Deployment."""

import asyncio
from typing import Any

import pytest

from task_pipeline.api.resources import DEPLOYMENTS, PIPELINES, PODS
from task_pipeline.kube.errors import Unreachable
from tests.fakes import fates, on
from tests.fakes.deployments import Rollout
from tests.fakes.refusals import server_error
from tests.fakes.store import Object
from tests.scenario.world import World, running, shell

pytestmark = [pytest.mark.looptime]

OLD, NEW = "nginx:1.25", "nginx:1.26"
BAD = "nginx:no-such-tag"


def rollout(name: str = "web", *, fields: dict[str, Any] | None = None, **params: Any) -> dict[str, Any]:
    """A K8S/Deployment job on the Deployment `shop`."""
    of_kind = {"name": "shop"} | params
    return {"name": name, "stage": "deploy", "kind": "K8S/Deployment", "version": "1.0.0", "params": of_kind} | (
        fields or {}
    )


def native(image: str, replicas: int | None = 1, **spec: Any) -> dict[str, Any]:
    """A DeploymentSpec."""
    template = {"metadata": {"labels": {"app": "shop"}}, "spec": {"containers": [{"name": "web", "image": image}]}}
    counted = {} if replicas is None else {"replicas": replicas}
    return {"selector": {"matchLabels": {"app": "shop"}}, "template": template} | counted | spec


def stuck_is(world: World, image: str) -> None:
    """Rollouts of `image` never become available, and their pod cannot pull it."""
    world.cluster.deployments.rollout = lambda one: Rollout(stuck=image_of(one) == image)
    world.cluster.kubelet.fate = lambda pod: (
        fates.Fate(waiting="ErrImagePull", waiting_message=f"{BAD}: not found")
        if pod["spec"]["containers"][0]["image"] == image
        else fates.hangs()
    )
    pod = {"metadata": {"name": "shop-1", "labels": {"app": "shop"}}, "spec": native(image)["template"]["spec"]}
    world.cluster.admin.create(PODS, pod)


def image_of(deployment: Object) -> str:
    """The image of its only container."""
    image: str = deployment["spec"]["template"]["spec"]["containers"][0]["image"]
    return image


def shop(world: World) -> Object:
    """The Deployment."""
    return world.cluster.admin.get(DEPLOYMENTS, "shop")


async def rolled_out(world: World, **params: Any) -> None:
    """Run a Pipeline that rolls the Deployment out."""
    world.submit("before", rollout(**params))
    assert await world.until_final("before") == {"before": "DONE"}


async def made_by_hand(world: World, image: str, replicas: int | None = 1) -> None:
    """A Deployment of somebody else's that is rolled out; the short form needs `force` to change it."""
    world.cluster.admin.create(DEPLOYMENTS, {"metadata": {"name": "shop"}, "spec": native(image, replicas)})
    await asyncio.sleep(10)


async def test_b047_a_missing_tag_ends_with_the_deadline_and_the_image_message() -> None:
    async with running() as world:
        await rolled_out(world, spec=native(OLD))
        stuck_is(world, BAD)
        world.submit("roll", rollout(spec=native(BAD, progressDeadlineSeconds=30)))
        await asyncio.sleep(20)
        status = world.job("roll", "web")
        assert (status["state"], status["reason"]) == ("IN PROGRESS", "Running")
        assert status["message"].startswith("after 10 s: 1 of 1 updated, 1 available, 2 in all: pod shop-1: ")
        assert f"{BAD}: not found" in status["message"]
        assert await world.until_final() == {"before": "DONE", "roll": "ERROR"}
        status = world.job("roll", "web")
        assert status["reason"] == "ProgressDeadlineExceeded"
        for text in (status["message"], status["attempts"][0]["message"]):
            assert "has timed out progressing." in text
            assert f"pod shop-1: ErrImagePull: {BAD}: not found" in text
        assert len(world.cluster.journal.of("list", PODS)) <= 3  # the informer's own, one when slow, one at the end


async def test_b047_the_timeout_of_the_job_names_the_image_too() -> None:
    async with running() as world:
        stuck_is(world, BAD)
        world.submit("roll", rollout(spec=native(BAD), fields={"timeout": 20}))
        assert await world.until_final() == {"roll": "ERROR"}
        status = world.job("roll", "web")
        assert status["reason"] == "Timeout"
        assert status["message"].startswith("ran longer than 20 s: ")
        assert f"{BAD}: not found" in status["message"]


async def test_b047_that_its_pods_cannot_be_listed_holds_nothing_up() -> None:
    async with running() as world:
        stuck_is(world, BAD)
        world.cluster.fault(on("list", PODS), before=server_error, times=None)
        world.submit("roll", rollout(spec=native(BAD, progressDeadlineSeconds=30)))
        assert await world.until_final() == {"roll": "ERROR"}
        assert world.job("roll", "web")["message"].endswith("has timed out progressing.")


async def test_b048_every_new_rollout_has_a_deadline_of_its_own() -> None:
    async with running() as world:
        for number in range(20):
            name = f"roll{number}"
            world.submit(name, rollout(spec=native(f"nginx:1.{number}", progressDeadlineSeconds=60)))
            assert await world.until_final(name) == {name: "DONE"}
            await asyncio.sleep(100)


async def test_b048_a_deadline_that_was_exceeded_before_does_not_end_this_rollout() -> None:
    """Kubernetes keeps the condition until there is progress, also in a generation that it does not belong to."""
    async with running() as world:
        stuck_is(world, BAD)
        world.submit("first", rollout(spec=native(BAD, progressDeadlineSeconds=30)))
        assert await world.until_final("first") == {"first": "ERROR"}
        failed = shop(world)["status"]["conditions"]
        world.cluster.deployments.observe = 1e6
        world.submit("second", rollout(spec=native(BAD, 2, progressDeadlineSeconds=30)))
        await asyncio.sleep(1)
        generation = shop(world)["metadata"]["generation"]
        world.cluster.admin.status(DEPLOYMENTS, "shop", observedGeneration=generation, conditions=failed)
        await asyncio.sleep(20)
        assert world.job("second", "web")["state"] == "IN PROGRESS"
        assert "no progress yet; before this rollout: " in world.job("second", "web")["message"]
        await asyncio.sleep(15)  # past its own 30 s: without any progress it has failed as well
        assert world.job("second", "web")["reason"] == "ProgressDeadlineExceeded"


async def test_b049_the_number_of_pods_that_still_terminate_is_told() -> None:
    async with running() as world:
        world.cluster.deployments.rollout = lambda one: Rollout(seconds=1e6)
        world.submit("drain", rollout(spec=native(NEW)), shell("check", "verify"))
        await asyncio.sleep(5)
        names = ("replicas", "updatedReplicas", "availableReplicas", "terminatingReplicas")
        counts: dict[str, Any] = dict.fromkeys(names, 1)
        world.cluster.admin.status(DEPLOYMENTS, "shop", **counts)
        assert await world.until_final() == {"drain": "DONE"}
        assert world.job("drain", "web")["message"] == "1 old pods still terminate"


@pytest.mark.parametrize("seconds", [1, 60])
async def test_b050_a_rollout_that_never_ends_is_cancelled_within_seconds_and_stays(seconds: float) -> None:
    async with running() as world:
        world.cluster.deployments.rollout = lambda one: Rollout(stuck=True)
        world.submit("stuck", rollout(spec=native(NEW, 3)))
        await asyncio.sleep(seconds)
        world.edit("stuck", cancel="Now")
        assert await world.until_final(seconds=5) == {"stuck": "CANCELLED"}
        assert world.job("stuck", "web")["state"] == "CANCELLED"
        assert image_of(shop(world)) == NEW


async def test_a_paused_deployment_is_refused_with_the_way_out() -> None:
    async with running() as world:
        await rolled_out(world, spec=native(OLD))
        world.cluster.admin.patch(DEPLOYMENTS, "shop", {"spec": {"paused": True}})
        world.submit("roll", rollout(image=NEW))
        assert await world.until_final("roll") == {"roll": "ERROR"}
        status = world.job("roll", "web")
        assert status["reason"] == "Conflict"
        assert "kubectl rollout resume deployment/shop" in status["message"]
        assert image_of(shop(world)) == OLD


async def test_a_deployment_paused_meanwhile_is_waited_for_and_says_so() -> None:
    async with running() as world:
        world.cluster.deployments.rollout = lambda one: Rollout(seconds=20)
        world.submit("roll", rollout(spec=native(NEW)))
        await asyncio.sleep(1)
        world.cluster.admin.patch(DEPLOYMENTS, "shop", {"spec": {"paused": True}})
        await asyncio.sleep(20)
        assert "the Deployment is paused" in world.job("roll", "web")["message"]
        world.cluster.admin.patch(DEPLOYMENTS, "shop", {"spec": {"paused": False}})
        assert await world.until_final() == {"roll": "DONE"}


async def test_scaled_to_nothing_is_done() -> None:
    async with running() as world:
        await made_by_hand(world, OLD, 3)
        world.submit("zero", rollout(replicas=0, force=True))
        assert await world.until_final("zero") == {"zero": "DONE"}
        assert shop(world)["spec"]["replicas"] == 0


@pytest.mark.parametrize("form", ["short", "native"])
async def test_an_autoscaler_that_changes_replicas_meanwhile_is_followed(form: str) -> None:
    """Each change is a new generation, and the replicas are the autoscaler's: the rollout still ends DONE."""
    async with running() as world:
        await made_by_hand(world, OLD, None)
        world.cluster.deployments.rollout = lambda one: Rollout(seconds=5)
        params: dict[str, Any] = {"image": NEW} if form == "short" else {"spec": native(NEW, None)}
        world.submit("roll", rollout(force=True, **params))
        for replicas in (4, 2, 7):
            await asyncio.sleep(3)
            world.cluster.admin.patch(DEPLOYMENTS, "shop", {"spec": {"replicas": replicas}})
        assert await world.until_final("roll") == {"roll": "DONE"}
        assert (shop(world)["spec"]["replicas"], image_of(shop(world))) == (7, NEW)


@pytest.mark.parametrize("force", [False, True])
async def test_semantics_26_a_conflict_names_both_managers_unless_forced(force: bool) -> None:
    async with running() as world:
        body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "shop"}, "spec": native(OLD)}
        world.cluster.admin.apply(DEPLOYMENTS, body, manager="argocd-controller")
        world.submit("roll", rollout(image=NEW, force=force))
        states = await world.until_final()
        assert states == {"roll": "DONE" if force else "ERROR"}
        assert image_of(shop(world)) == (NEW if force else OLD)
        if not force:
            status = world.job("roll", "web")
            assert status["reason"] == "Conflict"
            for words in ('"argocd-controller"', ".image", "field manager task-pipeline", "force: true"):
                assert words in status["message"]


@pytest.mark.parametrize("policy", ["Keep", "Rollback"])
async def test_a_failed_rollout_is_rolled_back_only_if_that_is_wanted(policy: str) -> None:
    async with running() as world:
        await made_by_hand(world, OLD)
        stuck_is(world, BAD)
        world.submit("roll", rollout(image=BAD, progressDeadlineSeconds=30, onFailure=policy, force=True))
        assert await world.until_final("roll") == {"roll": "ERROR"}
        assert image_of(shop(world)) == {"Keep": BAD, "Rollback": OLD}[policy]
        assert ("rolled back to the revision before" in world.job("roll", "web")["message"]) is (policy == "Rollback")


@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_a_rollback_survives_a_crash_at_every_write(number: int, after: bool) -> None:
    """Never a second step back, never the bad revision again, and never a success of the old one for the job's."""
    async with running() as world:
        await made_by_hand(world, OLD)
        stuck_is(world, BAD)
        world.submit("roll", rollout(image=BAD, progressDeadlineSeconds=30, onFailure="Rollback", force=True))
        await asyncio.sleep(20)
        before, behind = (None, Unreachable("cut")) if after else (Unreachable("cut"), None)
        fault = world.cluster.fault(on("write"), skip=number, before=before, after=behind)
        await asyncio.sleep(20)
        await world.kill()
        await asyncio.sleep(20)
        await world.start()
        assert await world.until_final("roll") == {"roll": "ERROR"}
        assert (fault.hits, image_of(shop(world))) == (1, OLD)
        assert world.job("roll", "web")["reason"] == "ProgressDeadlineExceeded"
        assert "rolled back to the revision before" in world.job("roll", "web")["message"]
        assert sum(request.committed for request in world.cluster.journal.of("patch", DEPLOYMENTS)) == 1


@pytest.mark.parametrize("policy", ["Keep", "Remove"])
async def test_a_deployment_outlives_its_pipeline_unless_it_is_to_be_removed(policy: str) -> None:
    async with running() as world:
        await rolled_out(world, spec=native(OLD), onDelete=policy)
        world.cluster.admin.delete(PIPELINES, "before")
        await asyncio.sleep(60)
        assert (world.cluster.admin.find(DEPLOYMENTS, "shop") is None) is (policy == "Remove")


class TestTwoJobsOnOneDeployment:
    """The last to apply decides; the other is told, does not hang, and is never DONE for another's image."""

    async def test_the_first_ends_with_conflict_naming_the_other(self) -> None:
        async with running() as world:
            world.cluster.deployments.rollout = lambda one: Rollout(seconds=10)
            world.submit("one", rollout(spec=native(OLD), onFailure="Rollback"))
            await asyncio.sleep(3)
            world.submit("two", rollout("canary", spec=native(NEW)))
            assert await world.until_final() == {"one": "ERROR", "two": "DONE"}
            status = world.job("one", "web")
            assert (status["reason"], status["attempt"]) == ("Conflict", 1)
            assert "job canary of Pipeline two has applied Deployment shop meanwhile" in status["message"]
            assert "rolled back" not in status["message"]
            assert image_of(shop(world)) == NEW

    async def test_it_is_not_retried_for_it_would_undo_the_others(self) -> None:
        async with running() as world:
            world.cluster.deployments.rollout = lambda one: Rollout(seconds=10)
            world.submit("one", rollout(spec=native(OLD), fields={"retryAttempt": 5}))
            await asyncio.sleep(3)
            world.submit("two", rollout(spec=native(NEW)))
            assert await world.until_final() == {"one": "ERROR", "two": "DONE"}
            assert len(world.cluster.journal.of("apply", DEPLOYMENTS)) == 2

    async def test_also_when_the_operator_was_down_in_between(self) -> None:
        async with running() as world:
            world.cluster.deployments.rollout = lambda one: Rollout(seconds=30)
            world.submit("one", rollout(spec=native(OLD)))
            await asyncio.sleep(3)
            world.submit("two", rollout(spec=native(NEW)))
            await asyncio.sleep(0.02)
            await world.kill()
            await asyncio.sleep(100)
            await world.start()
            assert await world.until_final() == {"one": "ERROR", "two": "DONE"}
            assert world.job("one", "web")["reason"] == "Conflict"

    async def test_one_that_had_ended_before_stays_done(self) -> None:
        async with running() as world:
            world.submit("one", rollout(spec=native(OLD)))
            assert await world.until_final() == {"one": "DONE"}
            world.submit("two", rollout(spec=native(NEW)))
            assert await world.until_final() == {"one": "DONE", "two": "DONE"}

    async def test_a_job_that_nobody_knows_any_more_is_another_one(self) -> None:
        async with running() as world:
            world.cluster.deployments.rollout = lambda one: Rollout(seconds=10)
            world.submit("one", rollout(spec=native(OLD)))
            await asyncio.sleep(3)
            label = {"taskpipeline.dev/job-hash": "unknown"}
            world.cluster.admin.patch(DEPLOYMENTS, "shop", {"metadata": {"labels": label}})
            assert await world.until_final() == {"one": "ERROR"}
            assert "another PipelineJob has applied Deployment shop" in world.job("one", "web")["message"]


async def test_a_deployment_deleted_meanwhile_is_lost_and_made_again() -> None:
    async with running() as world:
        world.cluster.deployments.rollout = lambda one: Rollout(seconds=10)
        world.submit("one", rollout(spec=native(OLD)))
        await asyncio.sleep(3)
        world.cluster.admin.delete(DEPLOYMENTS, "shop")
        assert await world.until_final() == {"one": "DONE"}
        assert [one["outcome"] for one in world.job("one", "web")["attempts"]] == ["Lost", "Succeeded"]


async def test_a_deployment_that_lost_its_label_is_still_followed() -> None:
    async with running() as world:
        world.cluster.deployments.rollout = lambda one: Rollout(stuck=True)
        world.submit("one", rollout(spec=native(OLD, progressDeadlineSeconds=60)))
        await asyncio.sleep(3)
        world.cluster.admin.patch(DEPLOYMENTS, "shop", {"metadata": {"labels": {"taskpipeline.dev/job-hash": None}}})
        assert await world.until_final(seconds=90) == {"one": "ERROR"}
        assert world.job("one", "web")["reason"] == "ProgressDeadlineExceeded"
        assert len(world.cluster.journal.of("list", PODS)) <= 3
