"""The schemas and rules of our own kinds, as the API server applies them.

Rule: the structural part (defaults, unknown fields dropped, types and limits) is read from the very CRDs that are
installed; the rules in CEL are judged by the tables and the decoder that they are made from. The contract suite
holds both against a real API server.
"""

from collections.abc import Iterator
from functools import cache
from typing import Any

from task_pipeline.api import rules
from task_pipeline.api.crd import JOB_EDITABLE, crd_for
from task_pipeline.api.decode import InvalidObject, decode_pipeline_spec
from task_pipeline.api.group import PIPELINE_KIND, PIPELINEJOB_KIND
from task_pipeline.api.states import State, job_may_move, pipeline_may_move
from tests.fakes.store import Object, copied

Schema = dict[str, Any]
_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "boolean": (bool,),
    "number": (int, float),
}


@cache
def schema_of(kind: str) -> Schema:
    """The openAPIV3Schema of one of our kinds."""
    schema: Schema = crd_for(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


def completed(kind: str, new: Object, old: Object | None) -> Object:
    """`new` with defaults filled in and unknown fields dropped; parts equal to those of `old` are taken over."""
    properties = schema_of(kind)["properties"]
    result = {name: value for name, value in new.items() if name in properties and value is not None}
    for part in ("spec", "status"):
        if old is not None and part in old and result.get(part) == old[part]:
            result[part] = old[part]
            continue
        if part not in result and "default" in properties[part]:
            result[part] = copied(properties[part]["default"])
        if part in result:
            result[part] = _completed(properties[part], result[part])
    return result


def faults_of(kind: str, new: Object, old: Object | None) -> list[str]:
    """Everything that the API server would refuse in `new` as the successor of `old`, each with its path."""
    schema = schema_of(kind)
    faults = [f"{name}: Required value" for name in schema["required"] if name not in new]
    for part in ("spec", "status"):
        if part in new and (old is None or new[part] is not old.get(part)):
            faults += _shape_faults(schema["properties"][part], new[part], part)
    return faults or list(_RULES.get(kind, _no_rules)(new, old))


def _completed(schema: Schema, value: Any) -> Any:
    if isinstance(value, dict) and schema.get("type") == "object" and "properties" in schema:
        result: Object = {}
        for name, child in schema["properties"].items():
            if value.get(name) is not None:
                result[name] = _completed(child, value[name])
            elif "default" in child:
                result[name] = _completed(child, copied(child["default"]))
        return result
    if isinstance(value, list) and schema.get("type") == "array":
        return [_completed(schema["items"], item) for item in value]
    return value


def _shape_faults(schema: Schema, value: Any, path: str) -> Iterator[str]:
    kind = schema.get("type")
    fits = kind is None or isinstance(value, _TYPES[kind])
    if not fits or (isinstance(value, bool) and kind != "boolean"):
        if kind is not None:
            yield f"{path}: Invalid value: must be of type {kind}"
        return
    yield from _value_faults(schema, value, path)
    if isinstance(value, dict):
        yield from (f"{path}.{name}: Required value" for name in schema.get("required", ()) if name not in value)
        for name, child in schema.get("properties", {}).items():
            if name in value:
                yield from _shape_faults(child, value[name], f"{path}.{name}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _shape_faults(schema["items"], item, f"{path}[{index}]")


def _value_faults(schema: Schema, value: Any, path: str) -> Iterator[str]:
    if "enum" in schema and value not in schema["enum"]:
        yield f'{path}: Unsupported value: "{value}": supported values: {schema["enum"]}'
    for word, bound, size in (
        ("at least", schema.get("minimum"), value),
        ("at least", schema.get("minLength", schema.get("minItems")), value),
    ):
        if bound is not None and _size(size) < bound:
            yield f"{path}: Invalid value: should be {word} {bound}"
    bound = schema.get("maximum", schema.get("maxLength", schema.get("maxItems")))
    if bound is not None and _size(value) > bound:
        yield f"{path}: Too many or too long: should be at most {bound}"


def _size(value: Any) -> int:
    return value if isinstance(value, int) else len(value)


def _pipeline_rules(new: Object, old: Object | None) -> Iterator[str]:
    if old is None or new["spec"] is not old["spec"]:
        try:
            decode_pipeline_spec(new["spec"])
        except InvalidObject as error:
            yield from (f"{fault.path}: Invalid value: {fault.message}" for fault in error.errors)
    if old is None:
        return
    before, after = old["status"], new["status"]
    run, next_run = before.get("run", 1), after.get("run", 1)
    started = "startTime" in before or run > 1
    for field in ("stages", "jobs", "clientId"):
        if started and new["spec"].get(field) != old["spec"].get(field):
            yield f"spec.{field}: Invalid value: spec.{field} cannot be changed after the start: {rules.WAYS_OUT}"
    states = State(before["state"]), State(after["state"])
    if not pipeline_may_move(*states, run_increased=next_run > run, started=started):
        yield f"status.state: Invalid value: {rules.pipeline_status_rules()[0]['message']}"
    if next_run < run:
        yield f"status.run: Invalid value: {rules.pipeline_status_rules()[1]['message']}"


def _job_rules(new: Object, old: Object | None) -> Iterator[str]:
    if old is None:
        return
    kept = [
        name for name in schema_of(PIPELINEJOB_KIND)["properties"]["spec"]["properties"] if name not in JOB_EDITABLE
    ]
    changed = next((name for name in kept if new["spec"].get(name) != old["spec"].get(name)), None)
    if changed is not None:
        yield f"spec: Invalid value: {rules.immutable_message(changed, JOB_EDITABLE)}"
    if not job_may_move(State(old["status"]["state"]), State(new["status"]["state"])):
        yield f"status.state: Invalid value: {rules.job_state_rules()[0]['message']}"


def _no_rules(new: Object, old: Object | None) -> Iterator[str]:
    return iter(())


_RULES = {PIPELINE_KIND: _pipeline_rules, PIPELINEJOB_KIND: _job_rules}
