"""Workloads that live in the cluster: create once, find again, delete for good.

Creating is repeatable: names are deterministic, and a name that is taken is adopted only when owner and attempt match.
So a lost answer or a crash between two steps is repaired by taking the same step again.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from task_pipeline.api.group import ANNOTATION_ATTEMPT
from task_pipeline.api.objects import DeploymentView, KubernetesJobView, ObjectMeta, PodView, WorkloadView
from task_pipeline.api.resources import (
    CONFIG_MAPS,
    DEPLOYMENTS,
    KUBERNETES_JOBS,
    PODS,
    Resource,
)
from task_pipeline.backends.rollback import roll_back
from task_pipeline.core.workload import AttemptIdentity, Launch
from task_pipeline.kube.cluster import Cluster, Propagation
from task_pipeline.kube.errors import AlreadyExists, Conflict, NotFound

VIEWS: dict[Resource, type[PodView] | type[KubernetesJobView] | type[DeploymentView]] = {
    PODS: PodView,
    KUBERNETES_JOBS: KubernetesJobView,
    DEPLOYMENTS: DeploymentView,
}
RESOURCE_OF: dict[type, Resource] = {view: resource for resource, view in VIEWS.items()}
BY_KIND: dict[str, Resource] = {resource.kind: resource for resource in VIEWS}
PODS_LOOKED_AT = 50  # of a Deployment, in one request


class NameTaken(Exception):
    """Something that is not ours stands under the name of an attempt."""


def outlives_its_job(resource: Resource) -> bool:
    """True for what must not be deleted when its job is stopped."""
    return resource is DEPLOYMENTS


class KubeBackend:
    """Workloads through the Kubernetes API. Errors of `kube.errors` pass through; `Conflict` means: try again, unless
    an apply says with whom.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def launch(self, launch: Launch, attempt: AttemptIdentity) -> WorkloadView:
        """Carry out `launch`, or find that it has been carried out; returns the workload as the server has it.

        Raises NameTaken when the name belongs to somebody else.
        """
        for companion in launch.companions:
            try:
                await self._cluster.create(CONFIG_MAPS, attempt.namespace, companion)
            except AlreadyExists:
                raw = await self._existing(CONFIG_MAPS, attempt.namespace, companion["metadata"]["name"])
                self._must_be_ours(msgspec.json.decode(raw, type=_AnyObject).metadata, attempt)
        name = launch.manifest["metadata"]["name"]
        view = VIEWS[launch.resource]
        if launch.apply:
            raw = await self._cluster.apply(
                launch.resource, attempt.namespace, name, launch.manifest, force=launch.force
            )
            return msgspec.json.decode(raw, type=view)
        try:
            return view(metadata=await self._cluster.create(launch.resource, attempt.namespace, launch.manifest))
        except AlreadyExists:
            found = msgspec.json.decode(await self._existing(launch.resource, attempt.namespace, name), type=view)
            self._must_be_ours(found.metadata, attempt)
            return found

    async def _existing(self, resource: Resource, namespace: str, name: str) -> bytes:
        """What has the name that a create was refused for; raises Conflict, so that it is tried again, if it has gone.

        Whoever holds the name may be removed at this very moment, and that is no reason to give the attempt up.
        """
        try:
            return await self._cluster.get(resource, namespace, name)
        except NotFound as error:
            raise Conflict(409, "Conflict", f"{resource.plural} {name} existed and is gone again") from error

    async def current(self, resource: Resource, namespace: str, name: str) -> dict[str, Any] | None:
        """The object as it exists now, whole; None when it does not."""
        try:
            found: dict[str, Any] = msgspec.json.decode(await self._cluster.get(resource, namespace, name))
        except NotFound:
            return None
        return found

    async def find(self, resource: Resource, namespace: str, name: str, uid: str) -> WorkloadView | None:
        """The very workload with this UID, looked up live; None when it is gone."""
        try:
            raw = await self._cluster.get(resource, namespace, name)
        except NotFound:
            return None
        view = msgspec.json.decode(raw, type=VIEWS[resource])
        return view if view.metadata.uid == uid else None

    async def pods_of(self, namespace: str, deployment: str) -> list[PodView]:
        """Pods that the Deployment selects, the newest first; a page of them, for a look at what is wrong with one."""
        current = await self.current(DEPLOYMENTS, namespace, deployment)
        if current is None:
            return []
        selector = label_selector(current["spec"]["selector"])
        raw = await self._cluster.list(PODS, namespace, selector=selector, limit=PODS_LOOKED_AT)
        pods = msgspec.json.decode(raw, type=_PodPage).items
        return sorted(pods, key=lambda pod: pod.metadata.creation_timestamp, reverse=True)

    async def stop(self, resource: Resource, namespace: str, name: str, uid: str) -> bool:
        """Delete the very workload with this UID, with its grace period; False when it was gone already."""
        propagation: Propagation = "Foreground" if resource is KUBERNETES_JOBS else "Background"
        try:
            await self._cluster.delete(resource, namespace, name, uid=uid, propagation=propagation)
        except (NotFound, Conflict):
            return False
        return True

    async def roll_back(self, namespace: str, name: str, uid: str, mark: str) -> str:
        """Take a Deployment back to its previous revision, once for each `mark`; returns what was done."""
        return await roll_back(self._cluster, namespace, name, uid, mark)

    def _must_be_ours(self, metadata: ObjectMeta, attempt: AttemptIdentity) -> None:
        owned = metadata.controller_uid == attempt.job_uid
        if not owned or metadata.annotations.get(ANNOTATION_ATTEMPT, str(attempt.attempt)) != str(attempt.attempt):
            raise NameTaken(f"{metadata.name} exists and does not belong to attempt {attempt.attempt} of this job")


def label_selector(selector: Mapping[str, Any]) -> str:
    """A LabelSelector as the text that a list takes."""
    terms = [f"{key}={value}" for key, value in (selector.get("matchLabels") or {}).items()]
    for rule in selector.get("matchExpressions") or ():
        key, values = rule["key"], ",".join(rule.get("values") or ())
        in_words = {"In": f"{key} in ({values})", "NotIn": f"{key} notin ({values})", "Exists": key}
        terms.append(in_words.get(rule["operator"], f"!{key}"))
    return ",".join(terms)


class _PodPage(msgspec.Struct):
    items: list[PodView]


class _AnyObject(msgspec.Struct):
    metadata: ObjectMeta
