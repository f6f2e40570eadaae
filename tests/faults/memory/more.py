"""More scenarios, for what the six do not touch: limits of clients, order, failures, lost pods, other containers,
cancels in the very moment of a launch, and names that are taken.
"""

from typing import Any

from task_pipeline.api.resources import KUBERNETES_JOBS, PIPELINE_JOBS, PODS, Resource
from tests.fakes.fates import Fate, hangs, of_annotations, succeeds
from tests.fakes.store import Change, ChangeType, Object
from tests.faults.memory.scenarios import SCENARIOS, Scenario, job, slowly_stopped
from tests.faults.memory.site import Site
from tests.faults.scene import ATTEMPT
from tests.scenario.world import NAMESPACE, shell


async def clients(site: Site) -> None:
    """Two clients with limits of their own, and priorities among the Pipelines of one."""
    site.client("acme", maxRunningJobs=1)
    site.client("other", maxRunningJobs=2, priority=5)
    site.submit("first", shell("a", seconds=3), clientId="acme")
    await site.when(lambda: site.states("first").get("a") == "IN PROGRESS")
    site.submit("slow", shell("a", seconds=12), clientId="acme", priority=20)
    site.submit("urgent", shell("a", seconds=2), shell("b", seconds=2, priority=1), clientId="acme", priority=1)
    site.submit("wide", *(shell(f"j{number}", seconds=2) for number in range(4)), clientId="other")


async def failure(site: Site) -> None:
    """A failure that counts: its siblings finish, nothing of the later stage is launched."""
    site.submit("p", shell("bad", exit_code=3, retryAttempt=1), shell("good", seconds=4), shell("later", "t"))


async def lost(site: Site) -> None:
    """A pod is deleted by hand while it runs, and one when it has not begun to."""
    site.submit("p", shell("a", seconds=20), shell("b", "t"))
    await site.when(lambda: any(pod["status"].get("phase") == "Running" for pod in site.pods()))
    site.cluster.admin.delete(PODS, site.pods()[0]["metadata"]["name"], grace=0)


async def sidecar(site: Site) -> None:
    """Somebody puts a container into every pod that does not end with the main one."""

    def inject(resource: Resource, new: Object) -> None:
        if resource == PODS:
            new["spec"]["containers"].append({**new["spec"]["containers"][0], "name": "mesh"})

    def fate(pod: Object) -> Fate:
        told = of_annotations(pod)
        return Fate(seconds=told.seconds, exit_code=told.exit_code, sidecar_ends=False)

    site.cluster.registry.admissions.append(inject)
    site.cluster.kubelet.fate = fate
    site.submit("p", shell("a", seconds=1), shell("bad", exit_code=1, allowFailure=True))


async def cancel_at_launch(site: Site) -> None:
    """The cancel comes when the pod exists and nobody has said so yet."""
    site.cluster.kubelet.fate = slowly_stopped
    site.submit("p", shell("a", seconds=600))
    await site.when(lambda: bool(site.pods()))
    site.edit("p", cancel="Now")


async def time_limit(site: Site) -> None:
    """Attempts that take too long, of a pod and of a Kubernetes Job; the second attempt is quick."""

    def fate(pod: Object) -> Fate:
        attempt = pod["metadata"].get("annotations", {}).get(ATTEMPT)
        first = attempt == "1" or (attempt is None and not retried(site))
        return hangs(stop_seconds=2.0) if first else succeeds(1)

    site.cluster.kubelet.fate = fate
    site.submit("p", shell("a", timeout=150, retryAttempt=1), job("k", timeout=160, retryAttempt=1))


async def taken(site: Site) -> None:
    """Somebody makes a pod under the very name that the first attempt is going to have."""

    def occupy(change: Change) -> None:
        if change.resource == PIPELINE_JOBS and change.type is ChangeType.ADDED:
            name = change.object["metadata"]["name"]
            if change.object["spec"]["name"] == "a":
                spec = {"containers": [{"name": "main", "image": "busybox:1.36"}], "restartPolicy": "Never"}
                pod = {"metadata": {"name": named(name, change.uid)}, "spec": spec}
                site.cluster.admin.create(PODS, pod, NAMESPACE)

    site.cluster.store.listeners.append(occupy)
    site.submit("p", shell("a"), shell("b"))


def named(job_object: str, uid: str) -> str:
    """The name of the first attempt's workload."""
    from task_pipeline.core.naming import workload_name

    return workload_name(job_object, uid, 1)


def retried(site: Site) -> bool:
    """Whether the Kubernetes Job of a second attempt exists."""
    jobs: list[dict[str, Any]] = site.cluster.admin.list(KUBERNETES_JOBS)
    return any(one["metadata"]["annotations"][ATTEMPT] == "2" for one in jobs)


MORE: tuple[Scenario, ...] = (
    Scenario("clients", clients, settings={"max_running_jobs": 4}),
    Scenario("failure", failure, {"p": "ERROR", "p/bad": "ERROR"}),
    Scenario("lost", lost),
    Scenario("sidecar", sidecar, {"p/bad": "ERROR"}),
    Scenario("cancel at launch", cancel_at_launch, {"p": "CANCELLED", "p/a": "CANCELLED"}),
    Scenario("time limit", time_limit),
    Scenario("taken", taken, {"p": "ERROR", "p/a": "ERROR"}),
)
ALL: tuple[Scenario, ...] = SCENARIOS + MORE
