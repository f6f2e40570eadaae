"""The CustomResourceDefinitions, made from the models.

Rule: pure; entrypoints/generate.py writes the files. Names, columns and selectable fields are
those of the contract; list types and rules are put onto the lowered schemas here, so that the
models stay free of Kubernetes' extensions.
"""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

from task_pipeline.api import rules
from task_pipeline.api.group import (
    CATEGORY,
    GROUP,
    KINDS,
    PIPELINE_KIND,
    PIPELINECLIENT_KIND,
    PIPELINEJOB_KIND,
    VERSION,
)
from task_pipeline.api.pipeline import PipelineSpec, PipelineStatus
from task_pipeline.api.pipelineclient import PipelineClientSpec, PipelineClientStatus
from task_pipeline.api.pipelinejob import PipelineJobSpec, PipelineJobStatus
from task_pipeline.api.reasons import Reason
from task_pipeline.api.schema import Schema, lower
from task_pipeline.api.states import State

JOB_EDITABLE = frozenset({"pipelinePriority", "priority", "cancel"})
ALIASES = {"retryAttempt": "retry_attempt", "allowFailure": "allow_failure"}
_VALIDATIONS = "x-kubernetes-validations"
_MAP_TYPE = "x-kubernetes-map-type"  # atomic: one entry in managedFields, which are decoded and merged at each write


def crd_for(kind: str) -> dict[str, Any]:
    """The CustomResourceDefinition of `kind`, as plain data; raises KeyError for an unknown kind."""
    names, build = KINDS[kind], _BUILDERS[kind]
    version = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": build()},
        "subresources": {"status": {}},
        "selectableFields": [{"jsonPath": f".{path}"} for path in selectable_fields(kind)],
        "additionalPrinterColumns": [_column(*row) for row in _COLUMNS[kind]],
    }
    if not version["selectableFields"]:
        del version["selectableFields"]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{names.plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": names.kind,
                "listKind": f"{names.kind}List",
                "plural": names.plural,
                "singular": names.singular,
                "shortNames": [names.short],
                "categories": [CATEGORY],
            },
            "versions": [version],
        },
    }


def selectable_fields(kind: str) -> tuple[str, ...]:
    """The fields of `kind` that a field selector may name, such as status.state; besides name and namespace."""
    return tuple(path.removeprefix(".") for path in _SELECTABLE.get(kind, ()))


def _pipeline() -> Schema:
    spec = lower(PipelineSpec)
    _list(spec, "stages", "atomic")
    _list(spec, "jobs", "atomic")
    job = spec["properties"]["jobs"]["items"]
    for name, alias in ALIASES.items():
        job["properties"][alias] = deepcopy(job["properties"][name])
        job["properties"][alias]["description"] = f"Another spelling of {name}; only one of them may be given."
    _explain_patterns(spec)
    job[_VALIDATIONS] = rules.job_item_rules()
    spec["properties"]["stages"][_VALIDATIONS] = rules.stages_rules()
    spec["properties"]["jobs"][_VALIDATIONS] = rules.jobs_rules()
    status = _status(lower(PipelineStatus, keep_defaults=False), {"observedGeneration": -1, "state": State.READY})
    _list(status, "stages", "atomic")
    _list(status, "failedJobs", "atomic")
    _list(status["properties"]["kept"], "jobs", "atomic")
    status[_VALIDATIONS] = rules.pipeline_status_rules()
    root = _root("One run of one process: ordered stages, each with jobs.", spec, status)
    root[_VALIDATIONS] = rules.pipeline_root_rules()
    return root


def _pipelinejob() -> Schema:
    spec = lower(PipelineJobSpec)
    spec[_MAP_TYPE] = "atomic"
    status = _status(lower(PipelineJobStatus, keep_defaults=False), {"state": State.READY, "reason": Reason.QUEUED})
    _list(status, "attempts", "atomic")
    status["properties"]["state"][_VALIDATIONS] = rules.job_state_rules()
    root = _root("One job of one run of a Pipeline, made by the operator when its stage opens.", spec, status)
    root[_VALIDATIONS] = rules.job_root_rules(spec["properties"], spec["required"], JOB_EDITABLE)
    return root


def _pipelineclient() -> Schema:
    spec = lower(PipelineClientSpec)
    _list(spec, "namespaces", "set")
    _list(spec, "allowedKinds", "set")
    _list(spec, "credentials", "atomic")
    _explain_patterns(spec)
    status = _status(lower(PipelineClientStatus, keep_defaults=False), {})
    return _root("Rights, limits and rank of one client; its name is the clientId.", spec, status)


def _root(description: str, spec: Schema, status: Schema) -> Schema:
    return {
        "description": description,
        "type": "object",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"description": f"Always {GROUP}/{VERSION}.", "type": "string"},
            "kind": {"description": "The kind of the object.", "type": "string"},
            "metadata": {"type": "object"},
            "spec": spec,
            "status": status,
        },
    }


def _status(schema: Schema, default: dict[str, Any]) -> Schema:
    """`schema` with its conditions a map by type, and `default` for the whole and for the state."""
    conditions = schema["properties"]["conditions"]
    conditions["x-kubernetes-list-type"] = "map"
    conditions["x-kubernetes-list-map-keys"] = ["type"]
    schema.pop("required", None)
    schema[_MAP_TYPE] = "atomic"
    if default:
        plain = {key: str(value) if isinstance(value, str) else value for key, value in default.items()}
        schema["default"] = plain
        schema["properties"]["state"]["default"] = plain["state"]
    return schema


def _explain_patterns(schema: Schema) -> None:
    """Turns every pattern below `schema` into a rule, whose message is words and not an expression."""
    if "pattern" in schema:
        schema[_VALIDATIONS] = [rules.pattern_rule(schema.pop("pattern"))]
    for child in schema.get("properties", {}).values():
        _explain_patterns(child)
    if "items" in schema:
        _explain_patterns(schema["items"])


def _list(schema: Schema, name: str, kind: str) -> None:
    schema["properties"][name]["x-kubernetes-list-type"] = kind


def _column(name: str, kind: str, path: str, description: str, priority: int = 0) -> dict[str, Any]:
    column: dict[str, Any] = {"name": name, "type": kind, "jsonPath": path, "description": description}
    return column | {"priority": priority} if priority else column


_AGE = ("Age", "date", ".metadata.creationTimestamp", "Time since it was created.")

_COLUMNS: dict[str, tuple[tuple[Any, ...], ...]] = {
    PIPELINE_KIND: (
        ("State", "string", ".status.state", "READY, IN PROGRESS, DONE, ERROR or CANCELLED."),
        ("Reason", "string", ".status.reason", "Why it is in that state."),
        ("Stage", "string", ".status.stage", "The open stage."),
        ("Progress", "string", ".status.progress", "Finished jobs out of all jobs."),
        _AGE,
        ("Client", "string", ".spec.clientId", "The client it is accounted to.", 1),
        ("Priority", "integer", ".spec.priority", "Smaller runs first.", 1),
        ("Started", "date", ".status.startTime", "Time since the first launch of this run.", 1),
    ),
    PIPELINEJOB_KIND: (
        ("Pipeline", "string", ".spec.pipeline", "The Pipeline that owns it."),
        ("Stage", "string", ".spec.stage", "Its stage."),
        ("Kind", "string", ".spec.kind", "Its job kind."),
        ("State", "string", ".status.state", "READY, IN PROGRESS, DONE, ERROR or CANCELLED."),
        ("Reason", "string", ".status.reason", "Why it is in that state."),
        ("Attempt", "integer", ".status.attempt", "Number of the latest attempt."),
        _AGE,
    ),
    PIPELINECLIENT_KIND: (
        ("Priority", "integer", ".spec.priority", "Smaller runs first."),
        ("Running", "integer", ".status.running", "Jobs in progress."),
        ("Max", "integer", ".spec.maxRunningJobs", "How many may be in progress; empty is unlimited."),
        ("Queued", "integer", ".status.queued", "Jobs enqueued."),
        ("Size", "integer", ".spec.queueSize", "How many may be enqueued; empty is unlimited."),
        _AGE,
    ),
}

_SELECTABLE: dict[str, tuple[str, ...]] = {
    PIPELINE_KIND: (".status.state", ".spec.clientId"),
    PIPELINEJOB_KIND: (".status.state", ".spec.clientId", ".spec.stage", ".spec.pipeline"),
    PIPELINECLIENT_KIND: (),
}

_BUILDERS: dict[str, Callable[[], Schema]] = {
    PIPELINE_KIND: _pipeline,
    PIPELINEJOB_KIND: _pipelinejob,
    PIPELINECLIENT_KIND: _pipelineclient,
}

ALL_CRDS: tuple[dict[str, Any], ...] = tuple(crd_for(kind) for kind in KINDS)
