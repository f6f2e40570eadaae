"""The Job controller of the fake cluster: Kubernetes Jobs make pods and come to an end.

Rule: level-triggered as the real one: every step follows from the Job and its pods as they are. An end is written
about a second after the pods' own, as the real controller does. Its pods carry no tracking finalizer.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from task_pipeline.api.resources import KUBERNETES_JOBS, PODS
from task_pipeline.api.times import parse_time
from task_pipeline.kube.errors import Forbidden
from tests.fakes.registry import Registry, Target, stamp
from tests.fakes.store import Change, ChangeType, Object, copied
from tests.fakes.timers import Timers

RETRY_SECONDS = 10.0


@dataclass
class _Pods:
    """The pods of one Job: those that live, by UID, and the UIDs of those that ended well or not.

    `released` are those that a suspension took: they count for nothing.
    """

    live: dict[str, Object] = field(default_factory=dict)
    succeeded: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)
    released: set[str] = field(default_factory=set)

    def learn(self, change: Change) -> bool:
        """Take note of a change of a pod; returns whether it was an end. One deleted in its life has failed."""
        uid, phase = change.uid, _phase(change.object)
        if uid in self.released:
            return False
        if phase in _ENDS or change.type is ChangeType.DELETED:
            known = self.live.pop(uid, None)
            if known is not None:
                (self.succeeded if phase == "Succeeded" else self.failed).add(uid)
            return known is not None
        self.live[uid] = change.object
        return False


class BatchJobs:
    """Runs Kubernetes Jobs. `delay` is the time from a pod's end to the Job's status, in seconds."""

    def __init__(self, registry: Registry, timers: Timers, now: Callable[[], datetime]) -> None:
        self.delay = 1.0
        self.react = 0.02
        self._registry = registry
        self._timers = timers
        self._now = now
        self._due: set[str] = set()
        self._pods: defaultdict[str, _Pods] = defaultdict(_Pods)
        registry.store.listeners.append(self._changed)

    def _changed(self, change: Change) -> None:
        if change.resource == KUBERNETES_JOBS:
            if change.type is ChangeType.DELETED:
                self._pods.pop(change.uid, None)
            else:
                self._look(Target(KUBERNETES_JOBS, *change.key), change.uid, self.react)
        elif change.resource == PODS:
            for owner in change.object["metadata"].get("ownerReferences", ()):
                if owner["kind"] == KUBERNETES_JOBS.kind and self._pods[owner["uid"]].learn(change):
                    target = Target(KUBERNETES_JOBS, change.key[0], owner["name"])
                    self._look(target, owner["uid"], self.delay)

    def _look(self, target: Target, uid: str, seconds: float) -> None:
        """Reconcile in `seconds`, unless that is planned already."""
        if uid not in self._due:
            self._due.add(uid)
            self._timers.after(seconds, partial(self._reconcile, target, uid))

    def _reconcile(self, target: Target, uid: str) -> None:
        self._due.discard(uid)
        job = self._job(target, uid)
        if job is None or "deletionTimestamp" in job["metadata"]:
            return
        if job["spec"]["suspend"]:
            self._suspend(target, uid)
            return
        status = {"startTime": stamp(self._now()), **job["status"]}
        if "startTime" not in job["status"] and "activeDeadlineSeconds" in job["spec"]:
            self._timers.after(job["spec"]["activeDeadlineSeconds"], partial(self._reconcile, target, uid))
        status["conditions"] = [one for one in status.get("conditions", ()) if one["type"] != "Suspended"]
        self._advance(target, job, status)

    def _advance(self, target: Target, job: Object, status: dict[str, Any]) -> None:
        spec, pods = job["spec"], self._pods[job["metadata"]["uid"]]
        succeeded, failed, live = len(pods.succeeded), len(pods.failed), list(pods.live.values())
        wanted = spec.get("completions", 1)
        status |= {"succeeded": succeeded, "failed": failed, "active": len(live), "ready": 0}
        reason = self._failure(job, status, failed)
        if reason is not None:
            self._finish(target, status, live, *reason)
        elif succeeded >= wanted and not live:
            message = "Reached expected number of succeeded pods"
            self._finish(target, status, [], "Complete", "CompletionsReached", message)
        else:
            missing = min(spec["parallelism"], wanted - succeeded) - len(live)
            wait = RETRY_SECONDS * 2 ** (failed - 1) if failed else 0.0
            for _ in range(max(0, missing)):
                self._timers.after(wait, partial(self._start_pod, target, job["metadata"]["uid"]))
            self._write(target, status)

    def _failure(self, job: Object, status: dict[str, Any], failed: int) -> tuple[str, str, str] | None:
        """The terminal condition, its reason and its message, when the Job has failed."""
        limit = job["spec"].get("activeDeadlineSeconds")
        if limit is not None and (self._now() - parse_time(status["startTime"])).total_seconds() >= limit:
            return "Failed", "DeadlineExceeded", "Job was active longer than specified deadline"
        if failed > job["spec"]["backoffLimit"]:
            return "Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit"
        return None

    def _finish(
        self, target: Target, status: dict[str, Any], live: list[Object], kind: str, reason: str, message: str
    ) -> None:
        for pod in live:
            self._registry.delete(Target(PODS, target.namespace, pod["metadata"]["name"]))
        at = stamp(self._now())
        end = {"status": "True", "reason": reason, "message": message, "lastProbeTime": at, "lastTransitionTime": at}
        first = "SuccessCriteriaMet" if kind == "Complete" else "FailureTarget"
        status["conditions"] = [*status["conditions"], {"type": first, **end}, {"type": kind, **end}]
        if kind == "Complete":
            status["completionTime"] = at
        self._write(target, status | {"active": 0})

    def _suspend(self, target: Target, uid: str) -> None:
        pods = self._pods[uid]
        for pod in tuple(pods.live.values()):
            pods.live.pop(pod["metadata"]["uid"])
            pods.released.add(pod["metadata"]["uid"])
            self._registry.delete(Target(PODS, target.namespace, pod["metadata"]["name"]))
        at = stamp(self._now())
        mark = {"type": "Suspended", "status": "True", "reason": "JobSuspended", "message": "Job suspended"}
        self._write(target, {"conditions": [mark | {"lastProbeTime": at, "lastTransitionTime": at}], "active": 0})

    def _start_pod(self, target: Target, uid: str) -> None:
        job = self._job(target, uid)
        if job is None or job["spec"]["suspend"] or len(self._pods[uid].live) >= job["spec"]["parallelism"]:
            return
        template = copied(job["spec"]["template"])
        owner = {"apiVersion": "batch/v1", "kind": "Job", "name": target.name, "uid": uid}
        metadata = template.get("metadata", {}) | {
            "generateName": f"{target.name}-",
            "ownerReferences": [owner | {"controller": True, "blockOwnerDeletion": True}],
        }
        body = {"metadata": metadata, "spec": template["spec"]}
        try:
            self._registry.create(PODS, target.namespace, body, "kube-controller-manager")
        except Forbidden:
            self._timers.after(RETRY_SECONDS, partial(self._start_pod, target, uid))

    def _job(self, target: Target, uid: str) -> Object | None:
        """The very Job with this UID, as long as it has not ended."""
        job = self._registry.store.get(KUBERNETES_JOBS, target.namespace, target.name)
        return job if job is not None and job["metadata"]["uid"] == uid and not _ended(job) else None

    def _write(self, target: Target, status: dict[str, Any]) -> None:
        self._registry.update(
            target, lambda job: {**job, "status": status}, subresource="status", manager="kube-controller-manager"
        )


_ENDS = frozenset({"Succeeded", "Failed"})


def _phase(pod: Object) -> str:
    return str(pod.get("status", {}).get("phase", "Pending"))


def _ended(job: Object) -> bool:
    return any(one["type"] in ("Complete", "Failed") for one in job["status"].get("conditions", ()))
