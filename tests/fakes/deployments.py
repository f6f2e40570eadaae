"""The Deployment controller of the fake cluster: generations are observed and rollouts end, well or not.

Rule: every template is a ReplicaSet with its revision, as the real controller keeps them, but there are no pods: a
rollout is a matter of time, and a test says which.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from hashlib import sha256
from typing import Any

import orjson

from task_pipeline.api.resources import DEPLOYMENTS, REPLICA_SETS
from tests.fakes.registry import Registry, Target, stamp
from tests.fakes.store import Change, ChangeType, Object, copied
from tests.fakes.timers import Timers

REVISION = "deployment.kubernetes.io/revision"
_HASH = "pod-template-hash"


@dataclass(frozen=True, slots=True)
class Rollout:
    """How a rollout goes: available after `seconds`; or, when `stuck`, only ever updated."""

    seconds: float = 1.0
    stuck: bool = False


class Deployments:
    """Rolls Deployments out. `rollout` may be replaced by a test at any time."""

    def __init__(self, registry: Registry, timers: Timers, now: Callable[[], datetime]) -> None:
        self.rollout: Callable[[Object], Rollout] = lambda deployment: Rollout()
        self.observe = 0.05
        self._registry = registry
        self._timers = timers
        self._now = now
        registry.store.listeners.append(self._changed)

    def _changed(self, change: Change) -> None:
        if change.resource != DEPLOYMENTS or change.type is ChangeType.DELETED:
            return
        generation = change.object["metadata"]["generation"]
        if change.previous is None or change.previous["metadata"]["generation"] != generation:
            target = Target(DEPLOYMENTS, *change.key)
            self._timers.after(self.observe, partial(self._observe, target, change.uid, generation))

    def _observe(self, target: Target, uid: str, generation: int) -> None:
        deployment = self._current(target, uid, generation)
        if deployment is None:
            return
        changed = self._revise(target, deployment)
        wanted = deployment["spec"]["replicas"]
        old = deployment["status"]
        available = min(old.get("availableReplicas", 0), wanted)
        updated = 0 if changed else min(old.get("updatedReplicas", 0), wanted)
        counts = {"replicas": available, "updatedReplicas": updated, "availableReplicas": available}
        progress = _condition("Progressing", "True", "ReplicaSetUpdated", "is progressing", stamp(self._now()))
        self._write(target, {"observedGeneration": generation, **counts, "conditions": [progress]})
        if deployment["spec"].get("paused"):
            return
        plan = self.rollout(deployment)
        if plan.stuck:
            limit = deployment["spec"]["progressDeadlineSeconds"]
            self._timers.after(0.5, partial(self._update, target, uid, generation))
            self._timers.after(limit, partial(self._exceed, target, uid, generation))
        else:
            self._timers.after(plan.seconds, partial(self._finish, target, uid, generation))

    def _update(self, target: Target, uid: str, generation: int) -> None:
        """New pods exist beside the old ones, and do not become available."""
        deployment = self._current(target, uid, generation)
        if deployment is not None:
            old = deployment["status"]
            counts = {"replicas": old["availableReplicas"] + 1, "updatedReplicas": 1, "unavailableReplicas": 1}
            self._write(target, {**old, **counts})

    def _finish(self, target: Target, uid: str, generation: int) -> None:
        deployment = self._current(target, uid, generation)
        if deployment is None:
            return
        wanted, at = deployment["spec"]["replicas"], stamp(self._now())
        counts = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), wanted)
        conditions = [
            _condition("Available", "True", "MinimumReplicasAvailable", "has minimum availability", at),
            _condition("Progressing", "True", "NewReplicaSetAvailable", "has successfully progressed", at),
        ]
        status = {"observedGeneration": generation, "conditions": conditions}
        self._write(target, status | {name: count for name, count in counts.items() if count})

    def _exceed(self, target: Target, uid: str, generation: int) -> None:
        deployment = self._current(target, uid, generation)
        if deployment is not None:
            message = f'ReplicaSet "{target.name}-{_hash(deployment)}" has timed out progressing.'
            end = _condition("Progressing", "False", "ProgressDeadlineExceeded", message, stamp(self._now()))
            self._write(target, {**deployment["status"], "conditions": [end]})

    def _revise(self, target: Target, deployment: Object) -> bool:
        """Give the template a ReplicaSet of the next revision; False when the newest is of this template already."""
        name = f"{target.name}-{_hash(deployment)}"
        owned = [one for one in self._registry.store.items(REPLICA_SETS, target.namespace) if _owns(deployment, one)]
        revisions = {one["metadata"]["name"]: int(one["metadata"]["annotations"][REVISION]) for one in owned}
        newest = max(revisions.values(), default=0)
        if revisions.get(name) == newest and newest:
            return False
        revision = {REVISION: str(newest + 1)}
        place = Target(REPLICA_SETS, target.namespace, name)
        if name in revisions:
            self._registry.update(place, partial(_annotated, revision), manager=_MANAGER)
        else:
            self._registry.create(REPLICA_SETS, target.namespace, _replica_set(deployment, name, revision), _MANAGER)
        self._registry.update(target, partial(_annotated, revision), manager=_MANAGER)
        return True

    def _current(self, target: Target, uid: str, generation: int) -> Object | None:
        """The Deployment, if it is still the one and of the generation that a step was planned for."""
        found = self._registry.store.get(DEPLOYMENTS, target.namespace, target.name)
        if found is None or found["metadata"]["uid"] != uid or found["metadata"]["generation"] != generation:
            return None
        return found

    def _write(self, target: Target, status: dict[str, Any]) -> None:
        self._registry.update(target, lambda old: {**old, "status": status}, subresource="status", manager=_MANAGER)


_MANAGER = "kube-controller-manager"


def _annotated(annotations: dict[str, str], thing: Object) -> Object:
    metadata = thing["metadata"]
    return {**thing, "metadata": {**metadata, "annotations": {**metadata.get("annotations", {}), **annotations}}}


def _condition(kind: str, status: str, reason: str, message: str, at: str) -> dict[str, str]:
    times = {"lastUpdateTime": at, "lastTransitionTime": at}
    return {"type": kind, "status": status, "reason": reason, "message": message, **times}


def _hash(deployment: Object) -> str:
    return sha256(orjson.dumps(deployment["spec"]["template"], option=orjson.OPT_SORT_KEYS)).hexdigest()[:10]


def _owns(deployment: Object, thing: Object) -> bool:
    return any(one["uid"] == deployment["metadata"]["uid"] for one in thing["metadata"].get("ownerReferences", ()))


def _replica_set(deployment: Object, name: str, annotations: dict[str, str]) -> Object:
    metadata, template = deployment["metadata"], copied(deployment["spec"]["template"])
    labels = {**template.get("metadata", {}).get("labels", {}), _HASH: _hash(deployment)}
    template["metadata"] = {**template.get("metadata", {}), "labels": labels}
    owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": metadata["name"], "uid": metadata["uid"]}
    return {
        "metadata": {
            "name": name,
            "labels": labels,
            "annotations": annotations,
            "ownerReferences": [owner | {"controller": True, "blockOwnerDeletion": True}],
        },
        "spec": {
            "replicas": deployment["spec"]["replicas"],
            "selector": {"matchLabels": {**deployment["spec"]["selector"]["matchLabels"], _HASH: _hash(deployment)}},
            "template": template,
        },
    }
