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
        return [_item(value, json.loads(name[2:]), fields[name]) for name in names if name.startswith("k:")]
    if not isinstance(value, Mapping):
        return value
    return {name[2:]: _extract(value[name[2:]], fields[name]) for name in names if name[2:] in value}


def _item(items: Sequence[Any], keys: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """The owned part of the list item with these `keys`; the keys alone if it is gone."""
    matches = (item for item in items if all(item.get(key) == value for key, value in keys.items()))
    found: Mapping[str, Any] = next(matches, {})
    inner = {name: part for name, part in fields.items() if name != "."}
    return {**keys, **(_extract(found, inner) if inner else {})}


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
