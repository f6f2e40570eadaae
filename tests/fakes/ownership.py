"""Server-side apply: who owns which field, what an apply changes, and where it is refused.

Rule: as on the API server, a manager is a name together with how it wrote (an apply or anything else). A write other
than an apply takes the fields that it changes; an apply owns what it names, shares what has the same value already,
is refused where another manager owns another value (unless forced), and removes what it named last time, names no
more and nobody else owns. Ownership is worked out only when something is applied.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson

from tests.fakes.refusals import owned_fields
from tests.fakes.store import Object

# Lists that are maps, by the field that names an entry; of all other lists the whole is one value.
LIST_KEYS: dict[str, tuple[str, ...]] = {
    "containers": ("name",),
    "initContainers": ("name",),
    "env": ("name",),
    "volumes": ("name",),
    "imagePullSecrets": ("name",),
    "volumeMounts": ("mountPath",),
    "ports": ("containerPort", "protocol"),
}
META_LIST_KEYS: dict[str, tuple[str, ...]] = {"ownerReferences": ("uid",), "conditions": ("type",)}
_SKIPPED = frozenset({"apiVersion", "kind", "status"})
_UNOWNED = frozenset(
    {"name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp"}
)

Path = tuple[str, ...]


class Manager(NamedTuple):
    """Who wrote, and how; `version` is the apiVersion of the write."""

    name: str
    applied: bool
    version: str = ""

    def __str__(self) -> str:
        return f'"{self.name}"' if self.applied else f'"{self.name}" using {self.version}'


@dataclass
class _Fields:
    """The fields of one object: writes that are not worked out yet, and owners."""

    pending: list[tuple[Manager, Object, Object]] = field(default_factory=list)
    owners: defaultdict[Manager, set[Path]] = field(default_factory=lambda: defaultdict(set))


class Ownership:
    """The field managers of all objects, by UID."""

    def __init__(self) -> None:
        self._objects: defaultdict[str, _Fields] = defaultdict(_Fields)

    def wrote(self, manager: Manager, old: Object | None, new: Object) -> None:
        """Take note of a write that was not an apply; `old` None for a create."""
        self._objects[new["metadata"]["uid"]].pending.append((manager, old or {}, new))

    def forget(self, uid: str) -> None:
        """The object is gone."""
        self._objects.pop(uid, None)

    def conflicts(self, live: Object, config: Object, manager: Manager) -> dict[Manager, list[Path]]:
        """The fields of `config` that other managers own with another value."""
        owners, keys = self._owners(live["metadata"]["uid"]), keys_for(live)
        found: defaultdict[Manager, list[Path]] = defaultdict(list)
        have, want = dict(leaves(_owned(live), keys)), dict(leaves(_owned(config), keys))
        for path, value in want.items():
            if path in have and have[path] == value:
                continue
            for other, fields in owners.items():
                if other != manager and path in fields:
                    found[other].append(path)
        return found

    def merged(self, live: Object, config: Object, manager: Manager, force: bool) -> Object:
        """`live` after `manager` applied `config`; raises Conflict naming the managers and fields in its way."""
        clashes = self.conflicts(live, config, manager)
        if clashes and not force:
            raise owned_fields([_clash(other, paths) for other, paths in clashes.items()])
        keys = keys_for(live)
        owners = self._owners(live["metadata"]["uid"])
        for other, paths in clashes.items():
            owners[other].difference_update(paths)
        wanted = {path for path, _ in leaves(_owned(config), keys)}
        dropped = owners[manager] - wanted
        owners[manager] = wanted
        kept = set().union(*owners.values())
        result: Object = merge(live, config, keys)
        for path in _removable(dropped - kept, kept):
            result = without(result, path, keys)
        return result

    def created(self, new: Object, config: Object, manager: Manager) -> None:
        """Take note of an object that an apply of `config` made."""
        wanted = {path for path, _ in leaves(_owned(config), keys_for(new))}
        self._objects[new["metadata"]["uid"]].owners[manager] = wanted

    def _owners(self, uid: str) -> defaultdict[Manager, set[Path]]:
        entry = self._objects[uid]
        for manager, old, new in entry.pending:
            keys = keys_for(new)
            before, after = dict(leaves(_owned(old), keys)), dict(leaves(_owned(new), keys))
            changed = {path for path, value in after.items() if path not in before or before[path] != value}
            gone = before.keys() - after.keys()
            for other in entry.owners:
                entry.owners[other] -= gone
                if other != manager:
                    entry.owners[other] -= changed
            entry.owners[manager] |= changed
        entry.pending.clear()
        return entry.owners


Keys = dict[str, tuple[str, ...]]


def keys_for(thing: Object) -> Keys:
    """Which lists of this object are maps: in our own kinds only those that their CRDs declare."""
    return META_LIST_KEYS if thing["apiVersion"].startswith("taskpipeline.dev/") else META_LIST_KEYS | LIST_KEYS


def leaves(value: Any, keys: Keys, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every field that can be owned, with its value; an entry of a map list is one too, with the value None."""
    if isinstance(value, dict) and value:
        for name, child in value.items():
            yield from leaves(child, keys, (*path, f".{name}"))
    elif (entries := _entries(value, keys, path)) is not None:
        for key, item in entries.items():
            yield (*path, key), None
            yield from leaves(item, keys, (*path, key))
    else:
        yield path, value


def merge(live: Any, config: Any, keys: Keys, path: Path = ()) -> Any:
    """`live` with everything that `config` names."""
    if isinstance(live, dict) and isinstance(config, dict):
        result = dict(live)
        for name, value in config.items():
            result[name] = merge(live.get(name), value, keys, (*path, f".{name}"))
        return result
    have, want = _entries(live, keys, path), _entries(config, keys, path)
    if have is None or want is None:
        return config
    return [merge(item, want.pop(key, item), keys) for key, item in have.items()] + list(want.values())


def without(value: Any, path: Path, keys: Keys, at: Path = ()) -> Any:
    """`value` without the field, or the entry of a map list, at `path`; the same when it is not there."""
    head, rest = path[0], path[1:]
    if isinstance(value, dict):
        name = head.removeprefix(".")
        if name not in value:
            return value
        if rest:
            return value | {name: without(value[name], rest, keys, (*at, head))}
        return {key: item for key, item in value.items() if key != name}
    entries = _entries(value, keys, at)
    if entries is None or head not in entries:
        return value
    if rest:
        entries[head] = without(entries[head], rest, keys, (*at, head))
        return list(entries.values())
    return [item for key, item in entries.items() if key != head]


def _removable(paths: set[Path], kept: set[Path]) -> list[Path]:
    """Those of `paths` that may go, outer ones first: an entry of a map list in which somebody owns a field stays."""
    used = {path[:size] for path in kept for size in range(len(path))}
    stays = {path for path in paths if path in used}
    keys = {path for path in paths for entry in stays if path[:-1] == entry and _is_key(path)}
    return sorted(paths - stays - keys, key=len)


def _is_key(path: Path) -> bool:
    """Whether the field is one of those that name its entry."""
    return f"{path[-1].removeprefix('.')}=" in path[-2]


def _entries(value: Any, keys: Keys, path: Path) -> dict[str, Any] | None:
    """The entries of a list that is a map, by their keys; None for everything else."""
    names = keys.get(path[-1].removeprefix(".")) if path else None
    if names is None or not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        return None
    return {_key(item, names): item for item in value}


def _key(item: Object, names: tuple[str, ...]) -> str:
    values = {name: item.get(name, "TCP" if name == "protocol" else "") for name in names}
    return f"[{','.join(f'{name}={orjson.dumps(value).decode()}' for name, value in values.items())}]"


def _owned(thing: Object) -> Object:
    result = {name: value for name, value in thing.items() if name not in _SKIPPED}
    if "metadata" in result:
        result["metadata"] = {k: v for k, v in result["metadata"].items() if k not in _UNOWNED}
    return {name: value for name, value in result.items() if value != {}}


def _clash(other: Manager, paths: list[Path]) -> str:
    texts = ["".join(path) for path in sorted(paths)]
    if len(texts) == 1:
        return f"conflict with {other}: {texts[0]}"
    return f"conflicts with {other}:" + "".join(f"\n- {text}" for text in texts)
