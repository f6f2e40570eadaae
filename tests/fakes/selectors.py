"""Label selectors: `k`, `!k`, `k=v`, `k==v`, `k!=v`, `k in (a, b)`, `k notin (a, b)`, joined by commas.

Rule: as on the API server a missing label satisfies `!=` and `notin`, and a selector that cannot be read is refused.
Field selectors know `=`, `==` and `!=`, and the fields that the CRD names besides name and namespace; an absent one is
the empty text.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from task_pipeline.api.crd import selectable_fields
from task_pipeline.api.resources import Resource
from tests.fakes.refusals import bad_request

Labels = Mapping[str, str]
Matcher = Callable[[Labels], bool]

_PARTS = re.compile(r",(?![^(]*\))")
_SET = re.compile(r"(?P<key>\S+)\s+(?P<word>in|notin)\s*\((?P<values>[^)]*)\)")
_EQUAL = re.compile(r"(?P<key>[^\s=!]+)\s*(?P<word>==|=|!=)\s*(?P<value>[^\s=!]*)")
_FIELD = re.compile(r"(?P<path>[^=!]+)(?P<word>==|=|!=)(?P<value>.*)")
_EXISTS = re.compile(r"(?P<word>!?)\s*(?P<key>[^\s=!,()]+)")


class Choice(NamedTuple):
    """What of a collection is asked for: a label selector and a field selector."""

    labels: str | None = None
    fields: str | None = None


def matcher(selector: str | None) -> Matcher:
    """A function that says whether labels match; raises Invalid (400) for a broken selector."""
    parts = [_part(part.strip(), selector) for part in _PARTS.split(selector)] if selector else []
    return lambda labels: all(part(labels) for part in parts)


def _part(text: str, selector: str | None) -> Matcher:
    if found := _SET.fullmatch(text):
        values = frozenset(value.strip() for value in found["values"].split(","))
        return _one_of(found["key"], values, wanted=found["word"] == "in")
    if found := _EQUAL.fullmatch(text):
        return _one_of(found["key"], frozenset({found["value"]}), wanted=found["word"] != "!=")
    if found := _EXISTS.fullmatch(text):
        key, wanted = found["key"], not found["word"]
        return lambda labels: (key in labels) is wanted
    raise bad_request(f"unable to parse requirement: {text!r} in the label selector {selector!r}")


def _one_of(key: str, values: frozenset[str], *, wanted: bool) -> Matcher:
    return lambda labels: (labels.get(key) in values) is wanted


def field_matcher(resource: Resource, selector: str | None) -> Callable[[Mapping[str, Any]], bool]:
    """A function that says whether an object matches; raises Invalid (400) for a field that cannot be selected by."""
    parts = [_field_part(resource, text.strip(), selector) for text in selector.split(",")] if selector else []
    return lambda thing: all(part(thing) for part in parts)


def _field_part(resource: Resource, text: str, selector: str | None) -> Callable[[Mapping[str, Any]], bool]:
    found = _FIELD.fullmatch(text)
    if found is None:
        raise bad_request(f"invalid selector: {selector!r}; can't understand {text!r}")
    path, value, wanted = found["path"], found["value"], found["word"] != "!="
    if path not in ("metadata.name", "metadata.namespace", *selectable_fields(resource.kind)):
        raise bad_request(f"field label not supported: {path}")
    return lambda thing: (_value(thing, path) == value) is wanted


def _value(thing: Any, path: str) -> str:
    for name in path.split("."):
        thing = thing.get(name, {}) if isinstance(thing, Mapping) else {}
    return "" if thing == {} else str(thing)
