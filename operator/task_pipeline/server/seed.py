"""The snake_case names of the first version of the interface, still taken.

Rule: a name is turned into camelCase unless both are given; then both stay, and the check of the spec refuses one.
What is inside params is the kind's own and is never touched. Whoever uses an old name is told so in a header.
"""

from collections.abc import Mapping
from typing import Any

from task_pipeline.api.pipeline import JobSpec, PipelineSpec

DEPRECATED: Mapping[str, str] = {"Deprecation": "@1767225600"}  # RFC 9745: since 2026-01-01


def _names(model: type[PipelineSpec | JobSpec]) -> Mapping[str, str]:
    aliases = {name: field.serialization_alias or name for name, field in model.model_fields.items()}
    return {name: alias for name, alias in aliases.items() if name != alias}


_SPEC, _JOB = _names(PipelineSpec), _names(JobSpec)


def camel(spec: Any) -> tuple[Any, Mapping[str, str]]:
    """`spec` in camelCase, and the headers that the answer needs for it."""
    if not isinstance(spec, Mapping):
        return spec, {}
    renamed, old = _renamed(spec, _SPEC)
    if isinstance(renamed.get("jobs"), list):
        pairs = [_renamed(job, _JOB) if isinstance(job, Mapping) else (job, False) for job in renamed["jobs"]]
        renamed["jobs"] = [job for job, _ in pairs]
        old = old or any(of_job for _, of_job in pairs)
    return renamed, DEPRECATED if old else {}


def _renamed(raw: Mapping[str, Any], names: Mapping[str, str]) -> tuple[dict[str, Any], bool]:
    old = [name for name in names if name in raw and names[name] not in raw]
    return {names[name] if name in old else name: value for name, value in raw.items()}, bool(old)
