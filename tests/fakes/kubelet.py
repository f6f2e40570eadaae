"""Scheduler and kubelet of the fake cluster: pods are bound, started, run and end by the loop's time.

Rule: a pod's fate is asked for once, when it is first seen; every step looks at the pod as it is then, so a pod that
was deleted, or replaced under its name, is left alone. Pods of ReplicaSets are not run: nobody makes them here.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from task_pipeline.api.resources import PODS
from tests.fakes import podstatus
from tests.fakes.fates import FOREVER, Fate, of_annotations
from tests.fakes.registry import Registry, Target, stamp
from tests.fakes.store import Change, ChangeType, Object
from tests.fakes.timers import Timers

NODES = 10


@dataclass
class KubeletTimes:
    """Seconds of the steps that every pod takes; a test may change them."""

    schedule: float = 0.01
    see: float = 0.01
    start: float = 0.1
    node_lost: float = 40.0  # from the loss of a node to the removal of its pods, a good deal shorter than real


class Kubelet:
    """Runs the pods of all nodes. `fate` may be replaced at any time; None from it means: by annotations."""

    def __init__(self, registry: Registry, timers: Timers, now: Callable[[], datetime]) -> None:
        self.fate: Callable[[Object], Fate | None] = lambda pod: None
        self.times = KubeletTimes()
        self._registry = registry
        self._timers = timers
        self._now = now
        self._fates: dict[str, Fate] = {}
        self._stopping: set[str] = set()
        self._count = 0
        registry.store.listeners.append(self._changed)

    def finish(self, uid: str, exit_code: int = 0) -> None:
        """Let a running pod's main container end now."""
        pod = next((pod for pod in self._registry.store.items(PODS) if pod["metadata"]["uid"] == uid), None)
        assert pod is not None, f"there is no pod with the UID {uid}"
        self._fates[uid] = Fate(exit_code=exit_code)
        self._end(uid, _target(pod))

    def _changed(self, change: Change) -> None:
        if change.resource != PODS:
            return
        uid, pod = change.uid, change.object
        if change.type is ChangeType.DELETED:
            self._fates.pop(uid, None)
            self._stopping.discard(uid)
        elif change.type is ChangeType.ADDED:
            self._fates[uid] = self.fate(pod) or of_annotations(pod)
            self._after(self.times.schedule, self._schedule, uid, _target(pod))
        elif "deletionTimestamp" in pod["metadata"] and uid not in self._stopping:
            self._stopping.add(uid)
            self._stop(uid, pod)

    def _schedule(self, uid: str, target: Target) -> None:
        pod = self._pod(uid, target)
        if pod is None:
            return
        fate = self._fates[uid]
        if fate.unschedulable is not None:
            self._write(target, podstatus.unscheduled(self._time, fate.unschedulable))
            if fate.placed_after is not None:
                self._fates[uid] = replace(fate, unschedulable=None)
                self._after(fate.placed_after, self._schedule, uid, target)
            return
        self._count += 1
        node = f"node-{self._count % NODES}"
        status = podstatus.scheduled(self._time)
        bound = {**pod, "spec": {**pod["spec"], "nodeName": node}, "status": {**pod.get("status", {}), **status}}
        self._registry.store.put(PODS, bound)
        self._after(self.times.see, self._see, uid, target)

    def _see(self, uid: str, target: Target) -> None:
        pod, fate = self._pod(uid, target), self._fates.get(uid)
        if pod is None or fate is None or uid in self._stopping:
            return
        creating = "PodInitializing" if pod["spec"].get("initContainers") else "ContainerCreating"
        self._write(target, podstatus.waiting(pod, self._time, creating))
        if fate.waiting is not None:
            self._after(self.times.start, self._refuse_start, uid, target)
        elif fate.init_exit_code:
            self._after(self.times.start, self._fail_init, uid, target)
        else:
            self._after(self.times.start, self._start, uid, target)

    def _refuse_start(self, uid: str, target: Target) -> None:
        pod, fate = self._pod(uid, target), self._fates.get(uid)
        if pod is not None and fate is not None and fate.waiting is not None:
            self._write(target, podstatus.waiting(pod, self._time, fate.waiting, fate.waiting_message))

    def _fail_init(self, uid: str, target: Target) -> None:
        pod, fate = self._pod(uid, target), self._fates.get(uid)
        if pod is not None and fate is not None:
            self._write(target, podstatus.init_failed(pod, self._time, fate.init_exit_code))

    def _start(self, uid: str, target: Target) -> None:
        pod, fate = self._pod(uid, target), self._fates.get(uid)
        if pod is None or fate is None or uid in self._stopping:
            return
        if fate.seconds <= 0:  # over before the kubelet looks: the API server never sees it running
            self._end(uid, target)
            return
        self._write(target, podstatus.running(pod, self._time))
        limit = pod["spec"].get("activeDeadlineSeconds")
        ends: list[tuple[float, Callable[[str, Target], None]]] = [(fate.seconds, self._end)]
        if limit is not None:
            ends.append((float(limit), self._exceed))
        if fate.evicted_after is not None:
            ends.append((fate.evicted_after, self._evict))
        if fate.node_lost_after is not None:
            ends.append((fate.node_lost_after, self._lose_node))
        if fate.deleted_after is not None:
            ends.append((fate.deleted_after, self._delete))
        seconds, act = min(ends, key=lambda end: end[0])
        if seconds < FOREVER:
            self._after(seconds, act, uid, target)

    def _end(self, uid: str, target: Target) -> None:
        pod, fate = self._pod(uid, target), self._fates.get(uid)
        if pod is None or fate is None or uid in self._stopping:
            return
        self._write(target, podstatus.ended(pod, _started(pod) or self._time, self._time, fate))

    def _exceed(self, uid: str, target: Target) -> None:
        message = "Pod was active on the node longer than the specified deadline"
        self._take(uid, target, "DeadlineExceeded", message)

    def _evict(self, uid: str, target: Target) -> None:
        message = "The node was low on resource: memory."
        self._take(uid, target, "Evicted", message, "TerminationByKubelet")

    def _take(self, uid: str, target: Target, reason: str, message: str, disruption: str = "") -> None:
        pod = self._pod(uid, target)
        if pod is not None and uid not in self._stopping:
            self._write(target, podstatus.taken(pod, self._time, reason, message, disruption))

    def _delete(self, uid: str, target: Target) -> None:
        if self._pod(uid, target) is not None:
            self._registry.delete(target, uid=uid)

    def _lose_node(self, uid: str, target: Target) -> None:
        """The node is silent: first the pod is not ready, later the pod collector fails and removes it."""
        pod = self._pod(uid, target)
        if pod is None:
            return
        self._stopping.add(uid)  # no kubelet answers a deletion any more
        lost = podstatus.condition("Ready", "False", self._time, "NodeNotReady")
        others = [one for one in pod["status"]["conditions"] if one["type"] != "Ready"]
        self._write(target, {**pod["status"], "conditions": [*others, lost]})
        self._after(self.times.node_lost, self._collect, uid, target)

    def _collect(self, uid: str, target: Target) -> None:
        pod = self._pod(uid, target)
        if pod is not None:
            message = "PodGC: node no longer exists"
            status = podstatus.taken(pod, self._time, "", message, "DeletionByPodGC")
            self._write(target, status)
            self._registry.delete(target, uid=uid, grace=0)

    def _stop(self, uid: str, pod: Object) -> None:
        grace = float(pod["metadata"].get("deletionGracePeriodSeconds", 0))
        fate = self._fates[uid]
        self._after(min(grace, fate.stop_seconds), self._stopped, uid, _target(pod))

    def _stopped(self, uid: str, target: Target) -> None:
        pod, fate = self._pod(uid, target), self._fates.get(uid)
        if pod is None or fate is None:
            return
        started = _started(pod)
        if started is not None:
            killed = fate.stop_seconds > float(pod["metadata"].get("deletionGracePeriodSeconds", 0))
            code = 137 if killed else fate.stop_exit_code
            end = Fate(exit_code=code, reason="Completed" if code == 0 else "Error")
            self._write(target, podstatus.ended(pod, started, self._time, end))
        self._registry.delete(target, uid=uid, grace=0)

    def _pod(self, uid: str, target: Target) -> Object | None:
        """The very pod with this UID, as long as it has not ended."""
        pod = self._registry.store.get(PODS, target.namespace, target.name)
        if pod is None or pod["metadata"]["uid"] != uid:
            return None
        return None if pod.get("status", {}).get("phase") in ("Succeeded", "Failed") else pod

    def _write(self, target: Target, status: dict[str, Any]) -> None:
        self._registry.update(target, lambda pod: {**pod, "status": status}, subresource="status", manager="kubelet")

    @property
    def _time(self) -> str:
        return stamp(self._now())

    def _after(self, seconds: float, act: Callable[[str, Target], None], uid: str, target: Target) -> None:
        self._timers.after(seconds, lambda: act(uid, target))


def _target(pod: Object) -> Target:
    return Target(PODS, pod["metadata"]["namespace"], pod["metadata"]["name"])


def _started(pod: Object) -> str | None:
    """When the main container began to run; None if it has not."""
    main = podstatus.main_container(pod)
    for one in pod.get("status", {}).get("containerStatuses", ()):
        if one["name"] == main and "running" in one["state"]:
            return str(one["state"]["running"]["startedAt"])
    return None
