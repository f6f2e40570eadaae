"""From a Pipeline of the first version to a manifest. Pure.

Known are: a manifest with old names; an object with a `spec`; the spec alone, with `name`, `namespace`, `labels` and
`annotations` beside its fields. What is inside params is never touched.
"""

from collections.abc import Mapping
from typing import Any

from task_pipeline.api.group import API_VERSION, PIPELINE_KIND
from task_pipeline.server.seed import camel

_METADATA = ("name", "namespace", "labels", "annotations")
_HEAD = ("apiVersion", "kind", "metadata", "spec", "status")
Object = dict[str, Any]


class NotConvertible(ValueError):
    """What cannot be a Pipeline; the text says why."""


def convert(content: Any, name: str | None = None) -> Object:
    """The manifest; `name` where the content has none. Raises NotConvertible."""
    if not isinstance(content, Mapping):
        raise NotConvertible("a Pipeline must be an object")
    version, kind = content.get("apiVersion", API_VERSION), content.get("kind", PIPELINE_KIND)
    if version != API_VERSION or kind != PIPELINE_KIND:
        raise NotConvertible(f"this is a {kind} of {version}, not a Pipeline")
    spec = content["spec"] if "spec" in content else _flat(content)
    if not isinstance(spec, Mapping) or "jobs" not in spec:
        raise NotConvertible("there are no `jobs` in it")
    return {
        "apiVersion": API_VERSION,
        "kind": PIPELINE_KIND,
        "metadata": _metadata(content, name),
        "spec": camel({key: value for key, value in spec.items() if value is not None})[0],
    }


def _flat(content: Mapping[str, Any]) -> Object:
    return {key: value for key, value in content.items() if key not in (*_METADATA, *_HEAD)}


def _metadata(content: Mapping[str, Any], name: str | None) -> Object:
    given = content.get("metadata")
    metadata = dict(given) if isinstance(given, Mapping) else {}
    if "spec" not in content or not metadata:
        metadata |= {key: content[key] for key in _METADATA if content.get(key) is not None}
    if "name" not in metadata and "generateName" not in metadata:
        metadata |= {"name": name} if name else {"generateName": "pipeline-"}
    return metadata
