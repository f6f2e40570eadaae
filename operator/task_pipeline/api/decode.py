"""From a plain dict, as JSON or YAML gives it, to a model, or to the list of every fault in it.

Rule: this judges as the CRD's schema and CEL rules judge, in nearly the same words, so that an
offline lint, the REST server and the operator say the same as the API server; and it never stops
at the first fault, but at `MAX_FAULTS`. As the API server does, it takes a field that is null for an absent one.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from task_pipeline.api import rules
from task_pipeline.api.common import MAX_JOBS, MAX_STAGES
from task_pipeline.api.faults import (
    MAX_FAULTS,
    FieldError,
    InvalidObject,
    Location,
    cut,
    message_for,
    path_of,
    shown,
    suggestion,
)
from task_pipeline.api.pipeline import JobSpec, PipelineSpec
from task_pipeline.api.pipelineclient import PipelineClientSpec
from task_pipeline.api.pipelinejob import PipelineJobSpec

_LONGEST = {"stages": MAX_STAGES, "jobs": MAX_JOBS}
_SPELLINGS = {"retry_attempt": rules.BOTH_RETRY, "allow_failure": rules.BOTH_ALLOW}

__all__ = [
    "FieldError",
    "InvalidObject",
    "decode_client_spec",
    "decode_pipeline_spec",
    "decode_pipelinejob_spec",
]

ModelT = TypeVar("ModelT", bound=BaseModel)


def decode_pipeline_spec(raw: Mapping[str, Any]) -> PipelineSpec:
    """The spec of a Pipeline from its JSON form; raises InvalidObject with every fault."""
    return _decode(PipelineSpec, raw, _pipeline_faults)


def decode_client_spec(raw: Mapping[str, Any]) -> PipelineClientSpec:
    """The spec of a PipelineClient from its JSON form; raises InvalidObject with every fault."""
    return _decode(PipelineClientSpec, raw, _client_faults)


def decode_pipelinejob_spec(raw: Mapping[str, Any]) -> PipelineJobSpec:
    """The spec of a PipelineJob from its JSON form; raises InvalidObject with every fault."""
    return _decode(PipelineJobSpec, raw, lambda _: ())


def _decode(
    model: type[ModelT],
    raw: Mapping[str, Any],
    cross_faults: Callable[[dict[str, Any]], Iterable[FieldError]],
) -> ModelT:
    if not isinstance(raw, Mapping):
        raise InvalidObject([FieldError("spec", f"must be an object, got {shown(raw)}")])
    plain = _without_nulls(raw)
    errors = _shortened(plain) if model is PipelineSpec else []
    decoded = None
    try:
        decoded = model.model_validate(plain, by_alias=True, by_name=False)
    except ValidationError as error:
        faults = error.errors(include_url=False)
        told = islice((fault for fault in faults if not _is_echo(fault)), MAX_FAULTS)
        errors += [_field_error(fault, plain, model) for fault in told]
    errors += islice(cross_faults(plain), max(0, MAX_FAULTS - len(errors)))
    if errors or decoded is None:
        raise InvalidObject(errors)
    return decoded


def _without_nulls(raw: Mapping[str, Any]) -> dict[str, Any]:
    """`raw` without the null fields of the spec and of its jobs; what is inside params stays."""
    plain = {key: value for key, value in raw.items() if value is not None}
    if isinstance(plain.get("jobs"), list | tuple):
        plain["jobs"] = [
            {k: v for k, v in job.items() if v is not None} if isinstance(job, Mapping) else job
            for job in plain["jobs"]
        ]
    return plain


def _shortened(plain: dict[str, Any]) -> list[FieldError]:
    """The faults of lists that are too long; these are cut in `plain`, since what is beyond is not worth its price."""
    found = []
    for field, most in _LONGEST.items():
        value = plain.get(field)
        if isinstance(value, list | tuple) and len(value) > most:
            found.append(FieldError(f"spec.{field}", f"must have at most {most} item(s), got {len(value)}"))
            plain[field] = value[:most]
    return found


def _pipeline_faults(raw: dict[str, Any]) -> Iterator[FieldError]:
    """The faults that no single field shows; careful with values of any type."""
    stages = raw.get("stages")
    known = [name for name in stages if isinstance(name, str)] if isinstance(stages, list | tuple) else []
    for index, first, name in _repeated(stages):
        yield FieldError(f"spec.stages[{index}]", _twice(name, f"spec.stages[{first}]", rules.DUPLICATE_STAGE))
    jobs = raw.get("jobs")
    jobs = jobs if isinstance(jobs, list | tuple) else []
    for index, first, name in _repeated([job.get("name") if isinstance(job, dict) else None for job in jobs]):
        message = _twice(name, f"spec.jobs[{first}]", rules.DUPLICATE_JOB)
        yield FieldError(f"spec.jobs[{index}].name", message, cut(name))
    if not known:
        return
    for index, job in enumerate(jobs):
        stage = job.get("stage") if isinstance(job, dict) else None
        if isinstance(stage, str) and stage not in known:
            message = f'"{cut(stage)}" {rules.UNKNOWN_STAGE}'
            yield FieldError(f"spec.jobs[{index}].stage", message + suggestion(stage, known), _job_name(job))


def _client_faults(raw: dict[str, Any]) -> Iterator[FieldError]:
    for field in ("namespaces", "allowedKinds"):
        for index, first, name in _repeated(raw.get(field)):
            yield FieldError(f"spec.{field}[{index}]", _twice(name, f"spec.{field}[{first}]", "remove one of them"))


def _repeated(names: object) -> Iterator[tuple[int, int, str]]:
    """Index, first index and name of every text that has stood in the list before."""
    first: dict[str, int] = {}
    for index, name in enumerate(names if isinstance(names, list | tuple) else ()):
        if isinstance(name, str) and first.setdefault(name, index) != index:
            yield index, first[name], name


def _twice(name: str, where: str, advice: str) -> str:
    return f'"{cut(name)}" stands at {where} already; {advice}'


def _field_error(fault: Any, raw: dict[str, Any], model: type[BaseModel]) -> FieldError:
    location: Location = tuple(fault["loc"])
    in_job = model is PipelineSpec and len(location) > 1 and location[0] == "jobs"
    job = _job_name(raw["jobs"][location[1]]) if in_job else None
    if fault["type"] != "extra_forbidden":
        return FieldError(path_of(location), message_for(fault), job)
    name = str(location[-1])
    if in_job and name in _SPELLINGS:
        return FieldError(path_of(location[:-1]), _SPELLINGS[name], job)
    owner = JobSpec if in_job else model
    fields = [field.serialization_alias or key for key, field in owner.model_fields.items()]
    message = "unknown field; remove it or correct its name" + suggestion(name, fields)
    return FieldError(path_of(location), message, job)


def _is_echo(fault: Any) -> bool:
    """Whether a list is only called too short because none of its entries is valid."""
    return bool(fault["type"] == "too_short") and len(fault["input"]) >= fault["ctx"]["min_length"]


def _job_name(job: Any) -> str | None:
    name = job.get("name") if isinstance(job, dict) else None
    return cut(name) if isinstance(name, str) and name else None
