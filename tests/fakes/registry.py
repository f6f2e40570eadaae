"""What a write does to an object: the registry of the API server, without its transport.

Rule: every function either stores one consistent new state, or raises a refusal and stores nothing. Status is
written through the status subresource only, and the rest never through it; the generation counts changes outside of
metadata and status; a removal waits for finalizers and for a pod's grace period.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from task_pipeline.api.group import GROUP, KINDS
from task_pipeline.api.resources import (
    CONFIG_MAPS,
    CRDS,
    DEPLOYMENTS,
    EVENTS,
    KUBERNETES_JOBS,
    NAMESPACES,
    PODS,
    REPLICA_SETS,
    SECRETS,
    Resource,
)
from tests.fakes import builtin, refusals, schema
from tests.fakes.metadata import held, metadata_faults
from tests.fakes.ownership import Manager, Ownership
from tests.fakes.store import Change, ChangeType, Object, Store, copied

OPERATOR = "task-pipeline-operator"
FOREGROUND, ORPHAN = "foregroundDeletion", "orphan"
_WITHOUT_GENERATION = frozenset({CONFIG_MAPS, EVENTS, NAMESPACES, SECRETS})
_WITH_STATUS = frozenset({PODS, KUBERNETES_JOBS, DEPLOYMENTS, REPLICA_SETS, NAMESPACES, CRDS})
_CLUSTER_WIDE = frozenset({NAMESPACES, CRDS})

Edit = Callable[[Object], Object]
Admission = Callable[[Resource, Object], None]


@dataclass(frozen=True, slots=True)
class Target:
    """One object that a request speaks of."""

    resource: Resource
    namespace: str | None
    name: str


class Registry:
    """All writes. `now` is the time of day; `admissions` are asked about every new object and may raise."""

    def __init__(self, store: Store, now: Callable[[], datetime]) -> None:
        self.store = store
        self.now = now
        self.ownership = Ownership()
        self.admissions: list[Admission] = [self._namespace_is_there]
        self._number = 0
        store.listeners.append(self._forget)

    def create(self, resource: Resource, namespace: str | None, body: Object, manager: str = OPERATOR) -> Object:
        """A new object; raises AlreadyExists, Invalid, Forbidden, or NotFound for a missing namespace."""
        new = self._new(resource, namespace, body)
        stored = self._insert(resource, new)
        self.ownership.wrote(Manager(manager, False, resource.api_version), None, stored)
        return stored

    def update(self, target: Target, edit: Edit, *, subresource: str | None = None, manager: str = OPERATOR) -> Object:
        """The object after `edit`, which gets a copy of it. Raises NotFound, Conflict or Invalid."""
        old = self.existing(target)
        stored = self._replace(target, old, edit(old), subresource)
        if subresource is None and stored is not old:
            self.ownership.wrote(Manager(manager, False, target.resource.api_version), old, stored)
        return stored

    def apply(self, target: Target, config: Object, *, manager: str, force: bool) -> Object:
        """The object after a server-side apply. Raises Conflict naming other managers, Invalid, Forbidden."""
        resource, by = target.resource, Manager(manager, True)
        wanted = builtin.without_nulls(config) if resource.group != GROUP else copied(config)
        old = self.store.get(resource, self._scope(resource, target.namespace), target.name)
        if old is None:
            new = self._new(
                resource, target.namespace, wanted | {"metadata": {"name": target.name, **wanted["metadata"]}}
            )
            stored = self._insert(resource, new)
            self.ownership.created(stored, wanted, by)
            return stored
        before = self.ownership.merged(old, wanted, by, force)
        return self._replace(target, old, before, None)

    def delete(
        self,
        target: Target,
        *,
        uid: str | None = None,
        version: str | None = None,
        propagation: str = "Background",
        grace: float | None = None,
    ) -> None:
        """Remove the object, or mark it when finalizers or a pod's grace period hold it back."""
        old = self.existing(target)
        metadata = old["metadata"]
        _must_be_the_one(target, metadata, uid, version)
        finalizers = list(metadata.get("finalizers", ()))
        for way, finalizer in (("Foreground", FOREGROUND), ("Orphan", ORPHAN)):
            if propagation == way and finalizer not in finalizers:
                finalizers.append(finalizer)
        seconds = _grace(target.resource, old, grace)
        if not finalizers and seconds == 0 and target.resource != NAMESPACES:
            self.store.remove(target.resource, metadata.get("namespace"), target.name)
            return
        marked = dict(metadata)
        if finalizers:
            marked["finalizers"] = finalizers
        if "deletionTimestamp" not in metadata:
            moment = self.now() + timedelta(seconds=seconds or 0)
            marked |= {"deletionTimestamp": stamp(moment), "deletionGracePeriodSeconds": int(seconds)}
            if "generation" in marked:
                marked["generation"] += 1
        elif seconds < metadata.get("deletionGracePeriodSeconds", 0):
            marked["deletionGracePeriodSeconds"] = int(seconds)
        new = old | {"metadata": marked}
        if target.resource == NAMESPACES:
            new["status"] = {"phase": "Terminating"}
        self.store.put(target.resource, new)

    def existing(self, target: Target) -> Object:
        """The object as it is; raises NotFound."""
        found = self.store.get(target.resource, self._scope(target.resource, target.namespace), target.name)
        if found is None:
            raise refusals.not_found(target.resource, target.name)
        return found

    def has_status(self, resource: Resource) -> bool:
        """Whether the resource has the status subresource."""
        return resource in _WITH_STATUS or resource.group == GROUP

    def _scope(self, resource: Resource, namespace: str | None) -> str | None:
        return None if resource in _CLUSTER_WIDE else namespace

    def _new(self, resource: Resource, namespace: str | None, body: Object) -> Object:
        given = dict(body.get("metadata", {}))
        for name in ("uid", "resourceVersion", "deletionTimestamp", "managedFields", "creationTimestamp"):
            given.pop(name, None)
        self._number += 1
        if not given.get("name") and given.get("generateName"):
            given["name"] = f"{given['generateName']}{self._number:05x}"
        if self._scope(resource, namespace) is not None:
            if given.get("namespace") not in (None, namespace):
                text = "the namespace of the provided object does not match the namespace sent on the request"
                raise refusals.bad_request(text)
            given["namespace"] = namespace
        given = {name: value for name, value in given.items() if value not in (None, {}, [])}
        given |= {"uid": f"{self._number:08x}-0000-4000-8000-000000000000", "creationTimestamp": stamp(self.now())}
        if resource not in _WITHOUT_GENERATION:
            given["generation"] = 1
        new = {"apiVersion": resource.api_version, "kind": resource.kind, **body, "metadata": given}
        if self.has_status(resource):
            new.pop("status", None)
        return new

    def _insert(self, resource: Resource, new: Object) -> Object:
        name, namespace = new["metadata"].get("name", ""), new["metadata"].get("namespace")
        new = self._completed(resource, new, None)
        self._must_be_valid(resource, new, None)
        for admission in self.admissions:
            admission(resource, new)
        if self.store.get(resource, namespace, name) is not None:
            raise refusals.already_exists(resource, name)
        return self.store.put(resource, new)

    def _replace(self, target: Target, old: Object, draft: Object, subresource: str | None) -> Object:
        resource = target.resource
        metadata = draft.get("metadata", {})
        if metadata.get("resourceVersion") not in (None, old["metadata"]["resourceVersion"]):
            raise refusals.stale(resource, target.name)
        if metadata.get("uid", old["metadata"]["uid"]) != old["metadata"]["uid"]:
            raise refusals.other_uid(resource, target.name, metadata["uid"], old["metadata"]["uid"])
        if subresource == "status":
            new = {**old, "status": draft.get("status")}
        else:
            new = {**draft, "metadata": held(metadata, old["metadata"])}
            if self.has_status(resource):
                new["status"] = old.get("status")
        new |= {"apiVersion": old["apiVersion"], "kind": old["kind"]}
        new = self._completed(resource, {k: v for k, v in new.items() if v is not None}, old)
        self._must_be_valid(resource, new, old)
        if "generation" in old["metadata"] and _work(new) != _work(old):
            new["metadata"] = new["metadata"] | {"generation": old["metadata"]["generation"] + 1}
        if "deletionTimestamp" in new["metadata"] and _released(old, new):
            self.store.remove(resource, new["metadata"].get("namespace"), target.name)
            return new
        return self.store.put(resource, new)

    def _completed(self, resource: Resource, new: Object, old: Object | None) -> Object:
        if resource.group == GROUP and resource.kind in KINDS:
            return schema.completed(resource.kind, new, old)
        return builtin.completed(resource, new, old)

    def _must_be_valid(self, resource: Resource, new: Object, old: Object | None) -> None:
        faults = list(metadata_faults(new["metadata"]))
        if resource.group == GROUP and resource.kind in KINDS:
            faults += schema.faults_of(resource.kind, new, old)
        else:
            faults += builtin.faults_of(resource, new, old)
        if faults:
            raise refusals.invalid(resource, new["metadata"].get("name", ""), faults)

    def _namespace_is_there(self, resource: Resource, new: Object) -> None:
        namespace = new["metadata"].get("namespace")
        if namespace is None:
            return
        found = self.store.get(NAMESPACES, None, namespace)
        if found is None:
            raise refusals.not_found(NAMESPACES, namespace)
        if "deletionTimestamp" in found["metadata"]:
            text = f"unable to create new content in namespace {namespace} because it is being terminated"
            raise refusals.forbidden(resource, new["metadata"]["name"], text)

    def _forget(self, change: Change) -> None:
        if change.type is ChangeType.DELETED:
            self.ownership.forget(change.uid)


def merge_patch(target: Any, patch: Any) -> Any:
    """RFC 7396: `target` after `patch`; null takes a field away. Parts that stay are shared, not copied."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merge_patch(result.get(name), value)
    return result


def stamp(moment: datetime) -> str:
    """A metav1.Time: whole seconds."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _must_be_the_one(target: Target, metadata: Object, uid: str | None, version: str | None) -> None:
    if uid not in (None, metadata["uid"]):
        raise refusals.other_uid(target.resource, target.name, str(uid), metadata["uid"])
    if version not in (None, metadata["resourceVersion"]):
        raise refusals.other_version(target.resource, target.name, str(version), metadata["resourceVersion"])


def _grace(resource: Resource, old: Object, asked: float | None) -> float:
    """Seconds that a pod has to end; 0 for everything else."""
    if resource != PODS or "nodeName" not in old["spec"]:
        return 0
    if old.get("status", {}).get("phase") in ("Succeeded", "Failed"):
        return 0
    return float(old["spec"]["terminationGracePeriodSeconds"] if asked is None else asked)


def _work(thing: Object) -> Object:
    """The part of an object whose changes the generation counts."""
    return {name: value for name, value in thing.items() if name not in ("metadata", "status")}


def _released(old: Object, new: Object) -> bool:
    """Whether the last finalizer of an object that is to go has just been taken away."""
    held_before, held_now = old["metadata"].get("finalizers"), new["metadata"].get("finalizers")
    return bool(held_before) and not held_now and not new["metadata"].get("deletionGracePeriodSeconds")
