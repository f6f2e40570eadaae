"""Garbage collection and the end of namespaces.

Rule: an object goes when it names owners and none of them exists, a moment after the last went; with Foreground the
owner waits for its dependents, with Orphan they lose the reference.
"""

from collections import defaultdict
from collections.abc import Callable
from functools import partial

from task_pipeline.api.resources import NAMESPACES
from tests.fakes.registry import FOREGROUND, ORPHAN, Registry, Target
from tests.fakes.store import Change, ChangeType, Object
from tests.fakes.timers import Timers


class GarbageCollector:
    """Collects what its owners leave behind. `delay` is the time from the cause to the deletion, in seconds."""

    def __init__(self, registry: Registry, timers: Timers) -> None:
        self.delay = 0.5
        self.enabled = True
        self._registry = registry
        self._timers = timers
        self._alive: dict[str, Target] = {}
        self._dependents: defaultdict[str, set[str]] = defaultdict(set)
        registry.store.listeners.append(self._changed)

    def _changed(self, change: Change) -> None:
        owners, uid = _owners(change.object), change.uid
        if change.type is ChangeType.DELETED:
            self._alive.pop(uid, None)
            for owner in owners:
                self._dependents[owner].discard(uid)
                self._later(self._release, owner)
            for dependent in self._dependents.pop(uid, ()):
                self._later(self._collect, dependent)
            self._empty_namespace(change.key[0])
            return
        namespace, name = change.key
        self._alive[uid] = Target(change.resource, namespace or None, name)
        for owner in owners:
            self._dependents[owner].add(uid)
        if change.type is ChangeType.ADDED and owners:
            self._later(self._collect, uid)
        if "deletionTimestamp" in change.object["metadata"]:
            if _marks(change.object):
                self._later(self._finalize, uid)
            if change.resource == NAMESPACES:
                self._timers.after(self.delay, partial(self._clear_namespace, name))

    def _later(self, act: Callable[[str], None], uid: str) -> None:
        self._timers.after(self.delay, partial(act, uid))

    def _collect(self, uid: str) -> None:
        found = self._find(uid)
        owners = _owners(found) if found else []
        if self.enabled and owners and not any(owner in self._alive for owner in owners):
            self._registry.delete(self._alive[uid], uid=uid)

    def _finalize(self, uid: str) -> None:
        """Carry out what the collector's finalizer of an object asks for."""
        found = self._find(uid)
        if found is None or not _marks(found):
            return
        foreground = FOREGROUND in _marks(found)
        for dependent in tuple(self._dependents[uid]):
            if foreground:
                self._registry.delete(self._alive[dependent], uid=dependent, propagation="Foreground")
            else:
                self._disown(dependent, uid)
        self._release(uid)

    def _release(self, uid: str) -> None:
        """Take the collector's finalizer from an owner that is to go and waits for nobody any more."""
        found = self._find(uid)
        if found is None or not _marks(found) or self._dependents.get(uid):
            return
        kept = [name for name in found["metadata"]["finalizers"] if name not in (FOREGROUND, ORPHAN)]
        self._registry.update(self._alive[uid], lambda old: _with_metadata(old, finalizers=kept))

    def _disown(self, dependent: str, owner: str) -> None:
        def edit(old: Object) -> Object:
            references = [one for one in old["metadata"]["ownerReferences"] if one["uid"] != owner]
            return _with_metadata(old, ownerReferences=references)

        self._registry.update(self._alive[dependent], edit)
        self._dependents[owner].discard(dependent)

    def _clear_namespace(self, name: str) -> None:
        store = self._registry.store
        for resource in store.resources():
            for thing in store.items(resource, name):
                if store.get(resource, name, thing["metadata"]["name"]) is not None:
                    self._registry.delete(Target(resource, name, thing["metadata"]["name"]))
        self._empty_namespace(name)

    def _empty_namespace(self, name: str) -> None:
        """Remove a namespace that is to go once nothing is left in it."""
        store = self._registry.store
        found = store.get(NAMESPACES, None, name) if name else None
        if found is None or "deletionTimestamp" not in found["metadata"]:
            return
        if not any(store.items(resource, name) for resource in store.resources()):
            store.remove(NAMESPACES, None, name)

    def _find(self, uid: str) -> Object | None:
        target = self._alive.get(uid)
        return self._registry.store.get(target.resource, target.namespace, target.name) if target else None


def _owners(thing: Object) -> list[str]:
    return [owner["uid"] for owner in thing["metadata"].get("ownerReferences", ())]


def _marks(thing: Object) -> list[str]:
    """The collector's own finalizers of an object that is to go."""
    metadata = thing["metadata"]
    if "deletionTimestamp" not in metadata:
        return []
    return [name for name in metadata.get("finalizers", ()) if name in (FOREGROUND, ORPHAN)]


def _with_metadata(thing: Object, **fields: object) -> Object:
    return {**thing, "metadata": {**thing["metadata"], **fields}}
