"""Launches that the API server refuses, for good or for a moment: rows 4 and 10 of the semantics."""

import asyncio
from typing import Any

import pytest

from task_pipeline.api.resources import CONFIG_MAPS, DEPLOYMENTS, KUBERNETES_JOBS, PODS, Resource
from task_pipeline.core.retry import NOT_RETRIED
from task_pipeline.kinds._checks import MAX_ARGUMENT
from tests.fakes import on
from tests.fakes.refusals import already_exists, forbidden, not_found, refusal, server_error
from tests.scenario.world import World, running, shell

pytestmark = [pytest.mark.looptime]

POD_SECURITY = (
    'violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false (container "main" must set '
    "securityContext.allowPrivilegeEscalation=false)"
)
WEBHOOK = 'admission webhook "policy.example.test" denied the request: images must come from our registry'
TERMINATING = "unable to create new content in namespace default because it is being terminated"
ACCOUNT = 'error looking up service account default/builder: serviceaccount "builder" not found'
OTHER_QUOTA = "failed quota: compute: must specify limits.memory for: main"


def job(kind: str, **params: Any) -> dict[str, Any]:
    """A job of that kind with retries left."""
    of_kind: dict[str, Any] = {"image": "busybox:1.36"} | params
    return {"name": "a", "stage": "s", "kind": kind, "version": "1.0.0", "params": of_kind, "retryAttempt": 3}


KINDS = {
    "Shell": (PODS, job("Shell", script="true")),
    "K8S/Job": (KUBERNETES_JOBS, job("K8S/Job")),
    "K8S/Deployment": (DEPLOYMENTS, job("K8S/Deployment", name="web")),
}


@pytest.mark.parametrize("why", [POD_SECURITY, WEBHOOK, TERMINATING, OTHER_QUOTA])
@pytest.mark.parametrize("kind", KINDS)
async def test_semantics_10_a_refusal_for_good_is_an_error_in_the_servers_words(kind: str, why: str) -> None:
    resource, one = KINDS[kind]
    async with running() as world:
        launches = world.cluster.fault(of(resource), before=lambda: forbidden(resource, "x", why), times=None)
        world.submit("p", one)
        assert await world.until_final() == {"p": "ERROR"}
        status = world.job("p", "a")
        assert (status["reason"], status["attempt"], launches.hits) == ("PodRejected", 1, 1)
        assert why in status["message"]
        assert NOT_RETRIED in status["message"]


@pytest.mark.parametrize("code", [400, 403, 404, 413, 422])
async def test_semantics_10_whatever_code_a_webhook_denies_with(code: int) -> None:
    async with running() as world:
        world.cluster.fault(on("create", PODS), before=lambda: refusal(code, "", WEBHOOK), times=None)
        world.submit("p", shell("a"))
        assert await world.until_final() == {"p": "ERROR"}
        assert WEBHOOK in world.job("p", "a")["message"]


async def test_semantics_10_a_webhook_that_is_down_fails_nobody() -> None:
    async with running() as world:
        down = world.cluster.fault(on("create", PODS), before=server_error, times=None)
        world.submit("p", shell("a"))
        await asyncio.sleep(300)
        status = world.job("p", "a")
        assert (status["state"], status.get("failures")) == ("READY", None)
        world.cluster.faults.remove(down)
        assert await world.until_final() == {"p": "DONE"}


@pytest.mark.parametrize("resource", [PODS, CONFIG_MAPS])
async def test_a_name_that_is_taken_and_free_again_is_tried_again(resource: Resource) -> None:
    """Create says that it exists, and a look at it says that it does not: neither is the end of the job."""
    async with running() as world:
        world.cluster.fault(on("create", resource), before=lambda: already_exists(resource, "x"), times=3)
        world.cluster.fault(on("get", resource), before=lambda: not_found(resource, "x"), times=3)
        one = shell("a")
        one["params"]["script"] = "#" * (MAX_ARGUMENT + 1)
        world.submit("p", one)
        assert await world.until_final() == {"p": "DONE"}
        assert world.job("p", "a")["attempt"] == 1


async def test_two_quotas_are_both_waited_for() -> None:
    async with running() as world:
        world.cluster.admin.quota("default", {"pods": 0}, "first")
        world.cluster.admin.quota("default", {"count/pods": 0}, "second")
        world.submit("p", shell("a", seconds=1))
        await told(world, "exceeded quota: first")
        world.cluster.admin.quota("default", {"pods": 5}, "first")
        await told(world, "exceeded quota: first")  # numbers in a message are not kept up to date
        world.cluster.admin.quota("default", {"count/pods": 5}, "second")
        assert await world.until_final() == {"p": "DONE"}
        assert "failures" not in world.job("p", "a")


async def told(world: World, words: str) -> None:
    """Wait for the reason QuotaExceeded, and a minute more, in which it stays."""
    await world.cluster.admin.wait_for(
        lambda: "a" in world.states("p") and world.job("p", "a").get("reason") == "QuotaExceeded", 60
    )
    await asyncio.sleep(60)
    status = world.job("p", "a")
    assert (status["state"], status["reason"]) == ("READY", "QuotaExceeded")
    assert words in status["message"]


async def test_a_service_account_that_is_made_a_moment_later_is_waited_for() -> None:
    async with running() as world:
        late = world.cluster.fault(on("create", PODS), before=lambda: forbidden(PODS, "x", ACCOUNT), times=3)
        world.submit("p", shell("a"))
        assert await world.until_final() == {"p": "DONE"}
        assert late.spent


async def test_a_service_account_that_nobody_makes_ends_the_job() -> None:
    async with running() as world:
        world.cluster.fault(on("create", PODS), before=lambda: forbidden(PODS, "x", ACCOUNT), times=None)
        world.submit("p", shell("a"))
        assert await world.until_final(seconds=30) == {"p": "ERROR"}
        assert ACCOUNT in world.job("p", "a")["message"]


async def test_pods_of_a_kubernetes_job_that_a_quota_refuses_end_by_start_timeout_with_the_way_to_look() -> None:
    async with running() as world:
        world.cluster.admin.quota("default", {"pods": 0})
        world.submit("p", job("K8S/Job") | {"startTimeout": 60, "retryAttempt": 0})
        await asyncio.sleep(20)
        assert "the Job has no pod yet" in world.job("p", "a")["message"]
        assert await world.until_final(seconds=120) == {"p": "ERROR"}
        status = world.job("p", "a")
        assert status["reason"] == "StartTimeout"
        assert status["message"] == (
            "not started within 60 s: the Job has no pod yet; the events of the Job tell whether a quota or a policy "
            "refuses it"
        )
        assert not world.cluster.admin.list(KUBERNETES_JOBS)


def of(resource: Resource) -> Any:
    """The requests that launch a workload of that kind."""
    return on("apply" if resource == DEPLOYMENTS else "create", resource)
