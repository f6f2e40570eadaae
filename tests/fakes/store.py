"""What the fake cluster keeps: objects, one revision counter over all of them, and a history per resource.

Rule: as in etcd, every change takes the next number of one counter, and that number is the object's
resourceVersion. Objects are plain dicts that nobody changes once they are stored: a change is a new dict, which may
share parts with the old one. A write that changes nothing is no change.
"""

from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any

import orjson

from task_pipeline.api.resources import Resource

Object = dict[str, Any]
Key = tuple[str, str]  # namespace ("" for what has none) and name


class ChangeType(StrEnum):
    """What happened to an object, in the words of a watch event."""

    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"


@dataclass(frozen=True)
class Change:
    """One change. `object` is the new state, or the last one of what was deleted; `previous` the state before."""

    revision: int
    type: ChangeType
    resource: Resource
    object: Object
    previous: Object | None
    time: float

    @property
    def key(self) -> Key:
        """Namespace and name."""
        return key_of(self.object)

    @property
    def uid(self) -> str:
        """The object's UID."""
        return str(self.object["metadata"]["uid"])

    @cached_property
    def raw(self) -> bytes:
        """The object as JSON, encoded once for all watchers."""
        return orjson.dumps(self.object)

    @cached_property
    def raw_previous(self) -> bytes:
        """The state before with this change's resourceVersion: what a watcher sees that is no longer meant."""
        assert self.previous is not None
        metadata = self.previous["metadata"] | {"resourceVersion": str(self.revision)}
        return orjson.dumps(self.previous | {"metadata": metadata})


class TooOld(Exception):
    """The history does not reach back to the revision that was asked for."""

    def __init__(self, revision: int, oldest: int) -> None:
        super().__init__(f"too old resource version: {revision} ({oldest})")


class Store:
    """All objects. `keep` is how many changes of each resource can be watched again; `time` stamps them."""

    def __init__(self, time: Callable[[], float], keep: int = 10_000, first: int = 1000) -> None:
        self.revision = first
        self.listeners: list[Callable[[Change], None]] = []
        self._time = time
        self._keep = keep
        self._objects: defaultdict[Resource, dict[Key, Object]] = defaultdict(dict)
        self._history: defaultdict[Resource, deque[Change]] = defaultdict(deque)
        self._floor: defaultdict[Resource, int] = defaultdict(lambda: first)

    def get(self, resource: Resource, namespace: str | None, name: str) -> Object | None:
        """The object as it is now; not to be changed."""
        return self._objects[resource].get((namespace or "", name))

    def items(self, resource: Resource, namespace: str | None = None) -> list[Object]:
        """All objects of the resource, of one namespace or of all, in the order of their keys."""
        objects = self._objects[resource]
        return [objects[key] for key in sorted(objects) if namespace is None or key[0] == namespace]

    def resources(self) -> list[Resource]:
        """Every resource that has objects."""
        return [resource for resource, objects in self._objects.items() if objects]

    def put(self, resource: Resource, new: Object) -> Object:
        """Store `new`; returns it with its resourceVersion, or what is there when nothing differs."""
        key = key_of(new)
        old = self._objects[resource].get(key)
        if old is not None and old | {"metadata": _unversioned(old)} == new | {"metadata": _unversioned(new)}:
            return old
        stored = self._next(new)
        self._objects[resource][key] = stored
        self._tell(ChangeType.ADDED if old is None else ChangeType.MODIFIED, resource, stored, old)
        return stored

    def remove(self, resource: Resource, namespace: str | None, name: str) -> None:
        """Forget the object for good; it must exist."""
        old = self._objects[resource].pop((namespace or "", name))
        self._tell(ChangeType.DELETED, resource, self._next(old), old)

    def since(self, resource: Resource, revision: int) -> list[Change]:
        """The changes after `revision`; raises TooOld when some of them are forgotten."""
        floor = self._floor[resource]
        if revision < floor:
            raise TooOld(revision, floor)
        return [change for change in self._history[resource] if change.revision > revision]

    def compact(self) -> None:
        """Forget all history."""
        for resource in list(self._objects):
            self._history[resource].clear()
            self._floor[resource] = self.revision

    def _next(self, new: Object) -> Object:
        self.revision += 1
        return new | {"metadata": new["metadata"] | {"resourceVersion": str(self.revision)}}

    def _tell(self, kind: ChangeType, resource: Resource, new: Object, old: Object | None) -> None:
        change = Change(self.revision, kind, resource, new, old, self._time())
        history = self._history[resource]
        history.append(change)
        while len(history) > self._keep:
            self._floor[resource] = history.popleft().revision
        for listener in tuple(self.listeners):
            listener(change)


def key_of(thing: Object) -> Key:
    """Namespace and name of an object."""
    return str(thing["metadata"].get("namespace") or ""), str(thing["metadata"]["name"])


def copied(thing: Any) -> Any:
    """A deep copy of plain JSON data; raises TypeError for what is not JSON."""
    return orjson.loads(orjson.dumps(thing))


def _unversioned(thing: Object) -> Object:
    return {name: value for name, value in thing["metadata"].items() if name != "resourceVersion"}
