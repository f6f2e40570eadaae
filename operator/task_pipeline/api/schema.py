"""Lowering of a pydantic JSON schema to the structural schema that a CRD takes.

Rule: what is not known here is refused with `UnsupportedSchema` rather than passed on, so that a
model can never silently mean less in the cluster than it does in Python. What is done: references
are inlined; "X or null" becomes an optional X; const becomes a one-valued enum; titles and null
defaults go; an open object keeps what it does not know; integers say whether 32 bits hold them.
"""

from copy import deepcopy
from typing import Any

from pydantic import BaseModel

Schema = dict[str, Any]

_KEPT = (
    "description",
    "type",
    "format",
    "pattern",
    "enum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "minimum",
    "maximum",
)
_HANDLED = frozenset(
    {*_KEPT, "title", "default", "const", "anyOf", "$ref", "allOf", "items", "properties", "required"}
    | {"additionalProperties", "$defs"}
)
_INT32 = 2**31 - 1


class UnsupportedSchema(ValueError):
    """A model says something that a structural schema cannot; the message holds the path."""


def lower(model: type[BaseModel], *, keep_defaults: bool = True) -> Schema:
    """The structural schema of `model`: plain dicts and lists, no references.

    With `keep_defaults=False` no property has a default: right for a status, whose writer is a
    program. Raises UnsupportedSchema, naming the path, on anything that has no structural form.
    """
    raw = model.model_json_schema(by_alias=True, mode="validation")
    return _Lowering(raw.get("$defs", {}), keep_defaults).node(raw, model.__name__)


class _Lowering:
    def __init__(self, definitions: Schema, keep_defaults: bool) -> None:
        self._definitions = definitions
        self._keep_defaults = keep_defaults
        self._open: tuple[str, ...] = ()

    def node(self, raw: Schema, path: str) -> Schema:
        if "$ref" in raw:
            return self._reference(raw, path)
        if "anyOf" in raw or "allOf" in raw:
            return self.node(_without_null(raw, path), path)
        unknown = [key for key in raw if key not in _HANDLED and not key.startswith("x-kubernetes-")]
        if unknown:
            raise UnsupportedSchema(f"{path}: no structural form for {', '.join(sorted(unknown))}")
        out = {key: deepcopy(raw[key]) for key in _KEPT if key in raw}
        out |= {key: deepcopy(value) for key, value in raw.items() if key.startswith("x-kubernetes-")}
        if "const" in raw:
            out["enum"] = [raw["const"]]
        if self._keep_defaults and raw.get("default") is not None:
            out["default"] = raw["default"]
        return out | self._typed(raw, path)

    def _reference(self, raw: Schema, path: str) -> Schema:
        name = raw["$ref"].removeprefix("#/$defs/")
        if name in self._open:
            raise UnsupportedSchema(f"{path}: {name} contains itself")
        self._open = (*self._open, name)
        beside = {key: value for key, value in raw.items() if key != "$ref"}
        lowered = self.node({**self._definitions[name], **beside}, path)
        self._open = self._open[:-1]
        return lowered

    def _typed(self, raw: Schema, path: str) -> Schema:
        match raw.get("type"):
            case "object":
                return self._object(raw, path)
            case "array":
                if not isinstance(raw.get("items"), dict) or not raw["items"]:
                    raise UnsupportedSchema(f"{path}: a list needs one type for its items")
                return {"items": self.node(raw["items"], f"{path}[]")}
            case "integer":
                return _integer(raw, path)
            case "string" | "boolean":
                return {}
            case other:
                raise UnsupportedSchema(f"{path}: no structural form for type {other!r}")

    def _object(self, raw: Schema, path: str) -> Schema:
        additional = raw.get("additionalProperties")
        if isinstance(additional, dict):
            raise UnsupportedSchema(f"{path}: typed maps are not supported; use an open dict or a model")
        if not raw.get("properties"):
            return {"x-kubernetes-preserve-unknown-fields": True}
        if additional is True:
            raise UnsupportedSchema(f"{path}: a model cannot be open as well")
        out: Schema = {"properties": {k: self.node(v, f"{path}.{k}") for k, v in raw["properties"].items()}}
        if raw.get("required"):
            out["required"] = list(raw["required"])
        return out


def _without_null(raw: Schema, path: str) -> Schema:
    """`raw` with its only alternative besides null in place of anyOf; the outer description wins."""
    choices = [*raw.get("anyOf", ()), *raw.get("allOf", ())]
    real = [choice for choice in choices if choice.get("type") != "null"]
    if len(real) != 1:
        raise UnsupportedSchema(f"{path}: a union of several types has no structural form")
    return {**real[0], **{key: value for key, value in raw.items() if key not in ("anyOf", "allOf")}}


def _integer(raw: Schema, path: str) -> Schema:
    if "minimum" not in raw or "maximum" not in raw:
        raise UnsupportedSchema(f"{path}: an integer needs a minimum and a maximum")
    fits = -_INT32 - 1 <= raw["minimum"] and raw["maximum"] <= _INT32
    return {"format": "int32" if fits else "int64"}
