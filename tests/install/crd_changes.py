"""What of a CRD has changed so that objects, clients or the operator of the last release would be refused or misread.

Rule: pure; a change is breaking unless it is known not to be. Each is one line that begins with its place. Loosening is
free: new optional fields, more values, wider bounds, fewer rules.
"""

from collections.abc import Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]

_UPPER = ("maximum", "maxLength", "maxItems", "maxProperties")
_LOWER = ("minimum", "minLength", "minItems", "minProperties")
_SAME = (
    "type", "pattern", "format", "multipleOf", "exclusiveMinimum", "exclusiveMaximum", "uniqueItems", "not",
    "x-kubernetes-list-type", "x-kubernetes-list-map-keys", "x-kubernetes-map-type", "default",
)  # fmt: skip
_FREEDOMS = ("nullable", "x-kubernetes-preserve-unknown-fields", "x-kubernetes-int-or-string")
_BRANCHES = ("allOf", "anyOf", "oneOf")


def breaking(old: Schema, new: Schema) -> list[str]:
    """Every breaking change from the CRD `old` to the CRD `new`."""
    return list(_of_crd(old["spec"], new["spec"]))


def _of_crd(old: Schema, new: Schema) -> Iterator[str]:
    for field in ("group", "scope", "names"):
        if old[field] != new[field]:
            yield f"spec.{field}: changed from {old[field]} to {new[field]}"
    versions = {version["name"]: version for version in new["versions"]}
    for version in old["versions"]:
        name = version["name"]
        if name not in versions:
            yield f"{name}: the version is gone"
            continue
        yield from _of_version(name, version, versions[name])


def _of_version(name: str, old: Schema, new: Schema) -> Iterator[str]:
    if old["served"] and not new["served"]:
        yield f"{name}: the version is not served any more"
    if old["storage"] and not new["storage"]:
        yield f"{name}: not the stored version any more, which needs a migration"
    for subresource in set(old.get("subresources", {})) - set(new.get("subresources", {})):
        yield f"{name}: the subresource {subresource} is gone"
    selectable = {field["jsonPath"] for field in new.get("selectableFields", ())}
    for field in old.get("selectableFields", ()):
        if field["jsonPath"] not in selectable:
            yield f"{name}: {field['jsonPath']} cannot be selected any more"
    yield from _of_schema(name, old["schema"]["openAPIV3Schema"], new["schema"]["openAPIV3Schema"])


def _of_schema(path: str, old: Schema, new: Schema) -> Iterator[str]:
    yield from _of_values(path, old, new)
    yield from _of_bounds(path, old, new)
    yield from _of_properties(path, old, new)
    for rule in new.get("x-kubernetes-validations", ()):
        if rule["rule"] not in {known["rule"] for known in old.get("x-kubernetes-validations", ())}:
            yield f"{path}: the rule is new or changed: {rule['rule']}"
    if "items" in old and "items" in new:
        yield from _of_schema(f"{path}[]", old["items"], new["items"])


def _of_values(path: str, old: Schema, new: Schema) -> Iterator[str]:
    for field in _SAME:
        if old.get(field) != new.get(field) and not (field in ("pattern", "format", "not") and field not in new):
            yield f"{path}: {field} changed from {old.get(field)} to {new.get(field)}"
    for field in _FREEDOMS:
        if old.get(field) and not new.get(field):
            yield f"{path}: {field} is gone"
    for branch in _BRANCHES:
        if new.get(branch) not in (None, old.get(branch)):
            yield f"{path}: {branch} is new or changed"
    if "enum" in new:
        for value in old.get("enum", ["any value"]):
            if value not in new["enum"]:
                yield f"{path}: {value} is not allowed any more"


def _of_bounds(path: str, old: Schema, new: Schema) -> Iterator[str]:
    for field in _UPPER:
        if field in new and (field not in old or new[field] < old[field]):
            yield f"{path}: {field} lowered from {old.get(field, 'none')} to {new[field]}"
    for field in _LOWER:
        if field in new and new[field] > old.get(field, 0):
            yield f"{path}: {field} raised from {old.get(field, 'none')} to {new[field]}"


def _of_properties(path: str, old: Schema, new: Schema) -> Iterator[str]:
    before, after = old.get("properties", {}), new.get("properties", {})
    for name in sorted(set(new.get("required", ())) - set(old.get("required", ()))):
        yield f"{path}.{name}: required now"
    rest_before, rest_after = old.get("additionalProperties"), new.get("additionalProperties")
    for name in before:
        if name in after:
            yield from _of_schema(f"{path}.{name}", before[name], after[name])
        elif not new.get("x-kubernetes-preserve-unknown-fields"):
            yield f"{path}.{name}: the field is gone"
    if rest_before and not rest_after and not new.get("x-kubernetes-preserve-unknown-fields"):
        yield f"{path}: other keys are not allowed any more"
    if isinstance(rest_before, Mapping) and isinstance(rest_after, Mapping):
        yield from _of_schema(f"{path}.*", rest_before, rest_after)
