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
from task_pipeline.kinds import k8s_deployment, k8s_job, shell
from task_pipeline.kinds._errors import ROOT, field_errors, heads

ENTRY_POINT_GROUP = "task_pipeline.kinds"
BUILT_IN: tuple[JobKind, ...] = (shell.KIND, k8s_job.KIND, k8s_deployment.KIND)

_MEMBERS = ("problems", "launch", "workload_name", "observe", "resource", "reads_current", "rights")


class InvalidKind(RuntimeError):
    """A kind that cannot be used; the message names it and what is wrong with it."""


class UnknownKind(LookupError):
    """No such kind or version; `field` is `kind` or `version`, the text lists those that are known."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


def load_kinds(built_in: Iterable[JobKind], plugins: Iterable[EntryPoint]) -> Mapping[str, JobKind]:
    """All kinds by name; raises InvalidKind when one is unusable or a name is taken twice."""
    kinds: dict[str, JobKind] = {}
    sources: dict[str, str] = {}
    found = [(kind, ROOT_SOURCE) for kind in built_in]
    found += [(_load(plugin), f"{plugin.name} = {plugin.value}") for plugin in plugins]
    for kind, source in found:
        _check(kind, source)
        if kind.name in kinds:
            raise InvalidKind(f"kind {kind.name} is given twice: by {sources[kind.name]} and by {source}; remove one")
        kinds[kind.name] = kind
        sources[kind.name] = source
    return MappingProxyType(kinds)


ROOT_SOURCE = "task_pipeline"


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
    missing = [member for member in _MEMBERS if not hasattr(kind, member)]
    if missing:
        raise InvalidKind(f"kind {name} of {source} lacks {', '.join(missing)}")


KINDS: Mapping[str, JobKind] = load_kinds(BUILT_IN, entry_points(group=ENTRY_POINT_GROUP))


def find(kind: str, version: str, kinds: Mapping[str, JobKind] = KINDS) -> tuple[JobKind, type[BaseModel]]:
    """The kind and the params model of that version; raises UnknownKind, which lists what is known."""
    found = kinds.get(kind)
    if found is None:
        near = suggestion(kind, kinds)
        raise UnknownKind("kind", f'unknown kind "{cut(kind)}"{near}; known: {", ".join(sorted(kinds))}')
    model = found.versions.get(version)
    if model is None:
        known = ", ".join(found.versions)
        raise UnknownKind("version", f'kind {kind} has no version "{cut(version)}"; known: {known}')
    return found, model


def parse(kind: str, version: str, params: Mapping[str, Any], kinds: Mapping[str, JobKind] = KINDS) -> BaseModel:
    """`params` as their model. For params that `check_params` found right; raises UnknownKind or ValidationError."""
    _, model = find(kind, version, kinds)
    return model.model_validate(params, by_alias=True, by_name=False)


def check_params(
    kind: str,
    version: str,
    params: Mapping[str, Any],
    defaults: KindDefaults,
    kinds: Mapping[str, JobKind] = KINDS,
) -> tuple[FieldError, ...]:
    """Every fault of `params` at once, with paths such as `params.env.X`, `kind` or `version`; () if right."""
    try:
        job_kind, model = find(kind, version, kinds)
    except UnknownKind as error:
        return (FieldError(error.field, str(error)),)
    if not isinstance(params, Mapping):
        return (FieldError(ROOT, "must be a map"),)
    faults: tuple[FieldError, ...] = ()
    try:
        parsed: BaseModel | None = model.model_validate(params, by_alias=True, by_name=False)
    except ValidationError as error:
        faults = field_errors(error, params, model)
        parsed = _sound_part(model, params, heads(faults))
    if parsed is None:
        return faults
    broken = heads(faults)
    found = (FieldError(f"{ROOT}.{path}", message) for path, message in job_kind.problems(parsed, defaults))
    return (*faults, *(fault for fault in found if not heads([fault]) & broken))


def _sound_part(model: type[BaseModel], params: Mapping[str, Any], broken: frozenset[str]) -> BaseModel | None:
    """`params` without their broken fields, so that the checks between the others run as well; None if impossible."""
    sound = {name: value for name, value in params.items() if name not in broken}
    try:
        return model.model_validate(sound, by_alias=True, by_name=False)
    except ValidationError:
        return None
