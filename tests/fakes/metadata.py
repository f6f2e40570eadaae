"""Metadata rules that all kinds share: names, labels, and what only the server writes."""

import re
from collections.abc import Iterator

from tests.fakes.store import Object

SERVER_HELD = (
    "name",
    "namespace",
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generation",
)
ANNOTATION_BYTES = 256 * 1024

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_WORD = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)")


def metadata_faults(metadata: Object) -> Iterator[str]:
    """What every kind refuses: a name, a label or annotations that no object may have."""
    name = metadata.get("name", "")
    if len(name) > 253 or not _NAME.fullmatch(name):
        yield f'metadata.name: Invalid value: "{name}": a lowercase RFC 1123 subdomain must consist of lower case ...'
    for key, value in metadata.get("labels", {}).items():
        if not _is_key(key):
            yield f'metadata.labels: Invalid value: "{key}": name part must consist of alphanumeric characters'
        if not isinstance(value, str) or len(value) > 63 or (value and not _WORD.fullmatch(value)):
            yield f'metadata.labels: Invalid value: "{value}": a valid label must be at most 63 characters'
    annotations = metadata.get("annotations", {})
    if sum(len(key.encode()) + len(str(value).encode()) for key, value in annotations.items()) > ANNOTATION_BYTES:
        yield f"metadata.annotations: Too long: may not be more than {ANNOTATION_BYTES} bytes"


def _is_key(key: str) -> bool:
    prefix, slash, name = key.rpartition("/")
    return len(name) <= 63 and bool(_WORD.fullmatch(name)) and (not slash or bool(_NAME.fullmatch(prefix)))


def held(new: Object, old: Object) -> Object:
    """The metadata `new` with what only the server writes taken from `old`, and without what is null."""
    result = {name: value for name, value in new.items() if value is not None and name not in SERVER_HELD}
    result |= {name: old[name] for name in SERVER_HELD if name in old}
    result["resourceVersion"] = old["resourceVersion"]
    for name in ("labels", "annotations"):
        if name in result:
            result[name] = {key: value for key, value in result[name].items() if value is not None}
    return {name: value for name, value in result.items() if value not in ({}, [])}
