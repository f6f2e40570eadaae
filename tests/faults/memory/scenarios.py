"""The scenarios that every sweep goes through: what users do, and what becomes of the workloads.

Rule: users wait for what can be seen in the cluster, never for the operator, so that a fault moves them in time and
changes nothing else; and the end of each scenario is the same whatever strikes: `expected`.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any

from task_pipeline.api.resources import PIPELINES
from tests.fakes import Rollout
from tests.fakes.fates import Fate, evicted, fails, of_annotations, succeeds
from tests.fakes.store import Object
from tests.faults.memory.site import Site
from tests.scenario.world import shell

STOP_SECONDS = 3.0  # that a pod takes to end when it is told to


@dataclass(frozen=True)
class Scenario:
    """`play` is what users do; `expected` are the ends of Pipelines (`name`) and jobs (`pipeline/name`), those that are
    not named are DONE; `settings` are the operator's.
    """

    name: str
    play: Callable[[Site], Awaitable[None]]
    expected: dict[str, str] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)


async def two_stages(site: Site) -> None:
    """Two stages; a job of the first fails, which it may."""
    site.submit(
        "p",
        shell("a", "one"),
        shell("flaky", "one", exit_code=1, allowFailure=True),
        shell("b", "two", seconds=3),
        shell("c", "two"),
    )


async def retry(site: Site) -> None:
    """Attempts that fail, are evicted, and at last succeed; a Kubernetes Job among them; one that never succeeds."""
    fates = {"1": fails(3, seconds=1), "2": evicted(2), "3": succeeds(1)}

    def fate(pod: Object) -> Fate | None:
        return fates.get(pod["metadata"].get("annotations", {}).get("taskpipeline.dev/attempt", ""))

    site.cluster.kubelet.fate = fate
    site.submit("p", shell("a", retryAttempt=2), shell("hopeless", retryAttempt=0, allowFailure=True), job("j"))


async def cancel(site: Site) -> None:
    """A Pipeline is cancelled while two jobs run, one waits, and a stage is to come; another one goes on."""
    site.cluster.kubelet.fate = slowly_stopped
    long = shell("a", seconds=600), job("k", seconds=600), shell("waits", seconds=600)
    site.submit("p", *long, shell("later", "t"))
    await site.when(
        lambda: list(site.states("p").values()).count("IN PROGRESS") == 2 and "divided" in site.pipeline("p")
    )
    site.submit("other", shell("x"))
    await site.when(lambda: site.pipeline("other").get("acceptedTime") is not None)
    site.edit("p", cancel="Now")


def slowly_stopped(pod: Object) -> Fate:
    """What its annotations say, and some seconds to stop."""
    return replace(of_annotations(pod), stop_seconds=STOP_SECONDS)


async def deployment(site: Site) -> None:
    """A rollout, a second one of the same Deployment that gets stuck and is taken back."""
    site.submit("p", rollout("busybox:1.36"))
    await site.until_final("p", seconds=900)
    site.cluster.deployments.rollout = lambda one: Rollout(stuck=image_of(one) == "busybox:1.37")
    site.submit("q", rollout("busybox:1.37", onFailure="Rollback"))


def image_of(deployment: Object) -> str:
    """The image of its only container."""
    return str(deployment["spec"]["template"]["spec"]["containers"][0]["image"])


async def queue(site: Site) -> None:
    """Twenty jobs in ten Pipelines, two of which fit into the queue; one is more urgent than the rest."""
    for number in range(10):
        site.submit(f"p{number}", shell("a", seconds=1), shell("b", seconds=1), priority=5 if number == 7 else 10)


async def again(site: Site) -> None:
    """A Pipeline is deleted while its job runs, and created again under its name at once."""
    site.cluster.kubelet.fate = slowly_stopped
    site.submit("p", shell("a", seconds=30), shell("b", "t"))
    await site.when(lambda: site.states("p").get("a") == "IN PROGRESS")
    site.cluster.admin.delete(PIPELINES, "p")
    site.submit("p", shell("a", seconds=3), shell("b", "t"))


def job(name: str, *, seconds: float = 1, **fields: Any) -> dict[str, Any]:
    """A Kubernetes Job whose pod runs for some seconds."""
    params = {"image": "busybox:1.36", "annotations": {"simulate.test/seconds": str(seconds)}}
    return {"name": name, "stage": "s", "kind": "K8S/Job", "version": "1.0.0", "params": params} | fields


def rollout(image: str, **params: Any) -> dict[str, Any]:
    """The Deployment `web` of two replicas."""
    labels = {"app": "web"}
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "web", "image": image}]}}
    spec = {"replicas": 2, "progressDeadlineSeconds": 30, "selector": {"matchLabels": labels}, "template": pod}
    whole = {"name": "web", "spec": spec} | params
    return {"name": "web", "stage": "s", "kind": "K8S/Deployment", "version": "1.0.0", "params": whole}


SCENARIOS: tuple[Scenario, ...] = (
    Scenario("two stages", two_stages, {"p/flaky": "ERROR"}),
    Scenario("retry", retry, {"p/hopeless": "ERROR"}),
    Scenario("cancel", cancel, dict.fromkeys(("p", "p/a", "p/k", "p/waits"), "CANCELLED"), {"max_running_jobs": 2}),
    Scenario("deployment", deployment, {"q": "ERROR", "q/web": "ERROR"}),
    Scenario("queue", queue, settings={"queue_size": 2, "max_running_jobs": 3}),
    Scenario("again", again, settings={"max_running_jobs": 1}),
)
