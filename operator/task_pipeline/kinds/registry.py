"""All known kinds, and the check of params against them.

The kinds of this package stand in a list below; other packages add theirs by an entry point of the group
`task_pipeline.kinds` that names a JobKind object. A kind that cannot be used, or two of one name, stop the program
at its start: a pipeline must not fail at night for what could have been known in the morning.
"""

import re
from collections.abc import Iterable, Mapping
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel, ValidationError

from task_pipeline.api.common import KIND_PATTERN, VERSION_PATTERN
from task_pipeline.api.faults import FieldError, cut, suggestion
from task_pipeline.core.workload import JobKind, KindDefaults
from task_pipeline.kinds import http, k8s_deployment, k8s_job, shell, worker
from task_pipeline.kinds._errors import ROOT, field_errors, heads

ENTRY_POINT_GROUP = "task_pipeline.kinds"
BUILT_IN: tuple[JobKind, ...] = (shell.KIND, k8s_job.KIND, k8s_deployment.KIND, worker.KIND, http.KIND)

_BUILT_IN_SOURCE = "task_pipeline itself"
_LAUNCHED = ("problems", "launch", "workload_name", "observe", "resource", "reads_current", "rights")
_CLAIMED = ("problems", "queue", "for_runner", "rights")


class InvalidKind(RuntimeError):
    """A kind that cannot be used; the message names it and what is wrong with it."""


def load_kinds(built_in: Iterable[JobKind], plugins: Iterable[EntryPoint]) -> Mapping[str, JobKind]:
    """All kinds by name; raises InvalidKind when one is unusable or a name is taken twice."""
    kinds: dict[str, JobKind] = {}
    sources: dict[str, str] = {}
    found = [(kind, _BUILT_IN_SOURCE) for kind in built_in]
    found += [(_load(plugin), f"{plugin.name} = {plugin.value}") for plugin in plugins]
    for kind, source in found:
        _check(kind, source)
        if kind.name in kinds:
            raise InvalidKind(f"kind {kind.name} is given twice: by {sources[kind.name]} and by {source}; remove one")
        kinds[kind.name] = kind
        sources[kind.name] = source
    return MappingProxyType(kinds)


def _load(plugin: EntryPoint) -> JobKind:
    try:
        kind: JobKind = plugin.load()
    except Exception as error:
        message = f"kind of the entry point {plugin.name} = {plugin.value} cannot be loaded: {error!r}"
        raise InvalidKind(message) from error
    return kind


def _check(kind: Any, source: str) -> None:
    name, versions = getattr(kind, "name", None), getattr(kind, "versions", None)
    if not isinstance(name, str) or not re.fullmatch(KIND_PATTERN, name):
        raise InvalidKind(f"the kind of {source} has no valid name; it must be like Shell or K8S/Job")
    if not isinstance(versions, Mapping) or not versions:
        raise InvalidKind(f"kind {name} of {source} has no versions")
    for version, model in versions.items():
        if not re.fullmatch(VERSION_PATTERN, str(version)):
            raise InvalidKind(f"kind {name} of {source}: version {version!r} is not like 1.0.0")
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            raise InvalidKind(f"kind {name} of {source}: version {version} has no pydantic model")
    members = _CLAIMED if hasattr(kind, "queue") else _LAUNCHED
    missing = [member for member in members if not hasattr(kind, member)]
    if missing:
        raise InvalidKind(f"kind {name} of {source} lacks {', '.join(missing)}")


KINDS: Mapping[str, JobKind] = load_kinds(BUILT_IN, entry_points(group=ENTRY_POINT_GROUP))


def find(kind: str, version: str, kinds: Mapping[str, JobKind] = KINDS) -> tuple[JobKind, type[BaseModel]] | str:
    """The kind and the params model of that version, or why there is none, with those that are known."""
    found = _find(kind, version, kinds)
    return found.message if isinstance(found, FieldError) else found


def _find(kind: str, version: str, kinds: Mapping[str, JobKind]) -> tuple[JobKind, type[BaseModel]] | FieldError:
    found = kinds.get(kind)
    if found is None:
        message = f'unknown kind "{cut(kind)}"{suggestion(kind, kinds)}; known: {", ".join(sorted(kinds))}'
        return FieldError("kind", message)
    model = found.versions.get(version)
    if model is None:
        message = f'kind {kind} has no version "{cut(version)}"; known: {", ".join(found.versions)}'
        return FieldError("version", message)
    return found, model


def parse(kind: str, version: str, params: Mapping[str, Any], kinds: Mapping[str, JobKind] = KINDS) -> BaseModel:
    """`params` as their model, for params that `check_params` found right.

    Raises LookupError for an unknown kind or version, and pydantic's ValidationError, which repeats no value.
    """
    found = _find(kind, version, kinds)
    if isinstance(found, FieldError):
        raise LookupError(found.message)
    return _validated(found[1], params)


def check_params(
    kind: str,
    version: str,
    params: Mapping[str, Any],
    defaults: KindDefaults,
    kinds: Mapping[str, JobKind] = KINDS,
) -> tuple[FieldError, ...]:
    """Every fault of `params` at once, with paths such as `params.env.X`, `kind` or `version`; () if right."""
    found = _find(kind, version, kinds)
    if isinstance(found, FieldError):
        return (found,)
    if not isinstance(params, Mapping):
        return (FieldError(ROOT, "must be a map"),)
    job_kind, model = found
    faults: tuple[FieldError, ...] = ()
    try:
        parsed: BaseModel | None = _validated(model, params)
    except ValidationError as error:
        faults = field_errors(error, params, model)
        parsed = _sound_part(model, params, heads(faults))
    if parsed is None:
        return faults
    broken = heads(faults)
    between = (FieldError(f"{ROOT}.{path}", message) for path, message in job_kind.problems(parsed, defaults))
    return (*faults, *(fault for fault in between if not heads([fault]) & broken))


def _validated(model: type[BaseModel], params: Mapping[str, Any]) -> BaseModel:
    """`params` as `model`; a field that is null is an absent one, as the API server takes it."""
    plain = {name: value for name, value in params.items() if value is not None}
    return model.model_validate(plain, by_alias=True, by_name=False)


def _sound_part(model: type[BaseModel], params: Mapping[str, Any], broken: frozenset[str]) -> BaseModel | None:
    """`params` with their broken fields given, yet without a value, so that the checks between fields run too.

    None if the model cannot do without them.
    """
    try:
        sound = _validated(model, {name: value for name, value in params.items() if name not in broken})
    except ValidationError:
        return None
    names = {name for name, field in model.model_fields.items() if (field.alias or name) in broken}
    values = {field.alias or name: getattr(sound, name) for name, field in model.model_fields.items()}
    return model.model_construct(sound.model_fields_set | names, **values)
