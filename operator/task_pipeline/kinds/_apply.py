"""Server-side apply of a part of an object, without losing the part applied before.

The API server removes what a field manager applied earlier and leaves out now. So whoever wants to change one
field only must repeat the rest of its own: `owned_fields` takes that from the live object by its managedFields,
and `overlay` puts the change on top. Format: FieldsV1 of Kubernetes, `f:<field>`, `k:<keys of a list item>`, `.`.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

# Lists of a pod template that are maps by these keys, as the schema of apps/v1 merges them.
_KEYS: Mapping[str, tuple[str, ...]] = {
    "containers": ("name",),
    "env": ("name",),
    "ports": ("containerPort", "protocol"),
    "volumeMounts": ("mountPath",),
    "volumes": ("name",),
    "imagePullSecrets": ("name",),
}
# Maps that are merged field by field; any other is one value, such as a probe.
_MERGED = frozenset(
    {
        "template",
        "metadata",
        "labels",
        "spec",
        "resources",
        "requests",
        "limits",
        "nodeSelector",
        "securityContext",
    }
)


def owned_fields(live: Mapping[str, Any], manager: str, field: str = "spec") -> dict[str, Any]:
    """What `manager` has applied of `field` of the object `live`, as it is now; {} if nothing."""
    for entry in live.get("metadata", {}).get("managedFields", ()):
        applied = entry.get("operation") == "Apply" and not entry.get("subresource")
        if entry.get("manager") == manager and applied:
            fields = entry.get("fieldsV1", {}).get(f"f:{field}")
            return dict(_extract(live[field], fields)) if fields and field in live else {}
    return {}


def _extract(value: Any, fields: Mapping[str, Any]) -> Any:
    names = [name for name in fields if name != "."]
    if not names:
        return value
    if isinstance(value, list):
        return _items(value, {name: fields[name] for name in names if name.startswith("k:")})
    if not isinstance(value, Mapping):
        return value
    return {name[2:]: _extract(value[name[2:]], fields[name]) for name in names if name[2:] in value}


def _items(live: Sequence[Any], owned: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The owned parts of a list's items, in the live order: another order would be another template.

    An item that is gone is named by its keys alone, so that it is not taken for one that is given up.
    """
    keys = {name: json.loads(name[2:]) for name in owned}
    places = {name: _place(live, keys[name]) for name in owned}
    found = []
    for name in sorted(owned, key=lambda one: places[one]):
        item = live[places[name]] if places[name] < len(live) else {}
        inner = {field: part for field, part in owned[name].items() if field != "."}
        found.append({**keys[name], **(_extract(item, inner) if inner else {})})
    return found


def _place(live: Sequence[Any], keys: Mapping[str, Any]) -> int:
    matches = (i for i, item in enumerate(live) if all(item.get(key) == value for key, value in keys.items()))
    return next(matches, len(live))


def overlay(base: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with the fields of `change` in place of its own, lists with keys merged item by item."""
    merged = dict(base)
    for name, value in change.items():
        old = merged.get(name)
        if name in _MERGED and isinstance(old, Mapping) and isinstance(value, Mapping):
            merged[name] = overlay(old, value)
        elif name in _KEYS and isinstance(old, list) and isinstance(value, list):
            merged[name] = _merge_items(old, value, name)
        else:
            merged[name] = value
    return merged


def _merge_items(old: Sequence[Any], new: Sequence[Any], name: str) -> list[Any]:
    items = {tuple(item.get(key) for key in _KEYS[name]): item for item in old}
    for item in new:
        identity = tuple(item.get(key) for key in _KEYS[name])
        known = items.get(identity, {})
        items[identity] = overlay(known, item) if name == "containers" else item
    return list(items.values())
