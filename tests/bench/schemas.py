"""Our CRDs in other forms, each under a group of its own, so that one API server serves them side by side."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

from task_pipeline.api.group import VERSION

Schema = dict[str, Any]
_OPEN: Schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


def _nodes(schema: Schema) -> Iterator[Schema]:
    yield schema
    for child in schema.get("properties", {}).values():
        yield from _nodes(child)
    if "items" in schema:
        yield from _nodes(schema["items"])


def _without(word: str) -> Callable[[Schema], None]:
    """The change that takes a keyword away everywhere in the schema."""

    def change(version: Schema) -> None:
        for node in _nodes(version["schema"]["openAPIV3Schema"]):
            if isinstance(node.get(word), str | list):
                del node[word]

    return change


def _without_field(name: str) -> Callable[[Schema], None]:
    return lambda version: version.pop(name, None)


def _open(version: Schema) -> None:
    """No schema below spec and status: what the object costs by itself."""
    properties = version["schema"]["openAPIV3Schema"]["properties"]
    _without("x-kubernetes-validations")(version)
    properties["spec"], properties["status"] = _OPEN, _OPEN
    version.pop("selectableFields", None)


CHANGES: dict[str, Callable[[Schema], None]] = {
    "as it is": lambda version: None,
    "no rules": _without("x-kubernetes-validations"),
    "granular": _without("x-kubernetes-map-type"),
    "no descriptions": _without("description"),
    "no patterns": _without("pattern"),
    "no selectable fields": _without_field("selectableFields"),
    "no printer columns": _without_field("additionalPrinterColumns"),
    "open": _open,
}


def group_of(name: str) -> str:
    """The API group of the form called `name`."""
    return f"{name.replace(' ', '-')}.bench.test"


def form(crd: Schema, name: str, change: Callable[[Schema], None] | None = None) -> Schema:
    """`crd` with `change` made to its only version, in the group of `name`."""
    copy = deepcopy(crd)
    spec = copy["spec"]
    spec["group"] = group_of(name)
    copy["metadata"]["name"] = f"{spec['names']['plural']}.{spec['group']}"
    for words in ("shortNames", "categories"):
        spec["names"].pop(words, None)
    if change is not None:
        change(spec["versions"][0])
    return copy


def path_of(crd: Schema) -> str:
    """Where the objects of a CRD are, in the namespace `default`."""
    spec = crd["spec"]
    return f"/apis/{spec['group']}/{VERSION}/namespaces/default/{spec['names']['plural']}"
