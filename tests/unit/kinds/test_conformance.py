"""What every kind promises, tried on all that are registered."""

import json
import re
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import pytest
from pydantic import BaseModel

from task_pipeline.api.common import KIND_PATTERN, VERSION_PATTERN
from task_pipeline.core.workload import (
    JobKind,
    KindDefaults,
    Launch,
    Manifest,
    Params,
    RemoteKind,
    WorkloadKind,
    is_remote_kind,
)
from task_pipeline.kinds.registry import KINDS, check_params, parse
from tests.unit.kinds.builders import ATTEMPT, DEFAULTS

NATIVE = {
    "selector": {"matchLabels": {"a": "b"}},
    "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "m", "image": "i"}]}},
}
JOB = {"template": {"spec": {"containers": [{"name": "m", "image": "i"}]}}}
SAMPLES: Mapping[str, list[dict[str, Any]]] = {
    "Shell": [
        {"image": "i", "script": "echo"},
        {"image": "i", "script": "x" * 200_000, "labels": {"a": "b"}},
        {"image": "i", "command": ["ls"], "env": {"A": 1, "B": {"secretKeyRef": {"name": "n", "key": "k"}}}},
    ],
    "K8S/Job": [{"image": "i", "parallelism": 2, "labels": {"a": "b"}}, {"spec": JOB}],
    "K8S/Deployment": [{"name": "web", "image": "i", "onDelete": "Remove"}, {"name": "web", "spec": NATIVE}],
    "HTTP": [
        {"url": "https://example.com/work"},
        {"url": "http://a.svc:8080/", "body": {"a": [1]}, "headers": {"A": "b"}, "expect": [200, "300-399"]},
        {
            "url": "https://example.com/",
            "mode": "Callback",
            "headers": {"A": {"secretKeyRef": {"name": "n", "key": "k"}}},
        },
    ],
    "Worker": [{"queue": "render"}, {"queue": "render", "payload": {"run_date": "2031-04-20", "scenes": [1, None]}}],
}
EVERY = [(KINDS[name], params) for name, samples in SAMPLES.items() for params in samples]
LAUNCHED = [(kind, params) for kind, params in EVERY if not is_remote_kind(kind)]
REMOTE = [(kind, params) for kind, params in EVERY if is_remote_kind(kind)]
MODELS = [(name, model) for name, kind in KINDS.items() for model in kind.versions.values()]


def launched(kind: WorkloadKind, params: dict[str, Any]) -> Launch:
    answer = kind.launch(parse(kind.name, "1.0.0", params), ATTEMPT, DEFAULTS, None)
    assert isinstance(answer, Launch)
    return answer


def objects(kind: WorkloadKind, params: dict[str, Any]) -> list[Manifest]:
    answer = launched(kind, params)
    return [answer.manifest, *answer.companions]


def test_every_kind_has_samples() -> None:
    assert set(SAMPLES) == set(KINDS)


@pytest.mark.parametrize(("name", "kind"), KINDS.items())
def test_names_versions_and_rights(name: str, kind: JobKind) -> None:
    assert name == kind.name
    assert re.fullmatch(KIND_PATTERN, name)
    assert all(re.fullmatch(VERSION_PATTERN, version) for version in kind.versions)
    if is_remote_kind(kind):
        assert kind.rights == ()
    else:
        assert kind.resource in [right.resource for right in kind.rights]
    assert all(right.verbs == tuple(sorted(set(right.verbs))) and "*" not in right.verbs for right in kind.rights)


def models_below(model: type[BaseModel]) -> list[dict[str, Any]]:
    schema = model.model_json_schema()
    return [schema, *schema.get("$defs", {}).values()]


@pytest.mark.parametrize(("name", "model"), MODELS)
def test_every_field_is_described_and_nothing_else_is_taken(name: str, model: type[BaseModel]) -> None:
    assert issubclass(model, Params)
    for schema in models_below(model):
        assert schema["additionalProperties"] is False, schema["title"]
        for field, property_ in schema["properties"].items():
            assert property_.get("description"), f"{schema['title']}.{field} of {name}"
            assert re.fullmatch("[a-z][A-Za-z]*", field)


@pytest.mark.parametrize(("kind", "params"), EVERY)
def test_the_samples_are_right(kind: JobKind, params: dict[str, Any]) -> None:
    assert check_params(kind.name, "1.0.0", params, DEFAULTS) == ()


@pytest.mark.parametrize(("kind", "params"), LAUNCHED)
def test_the_same_question_has_the_same_answer(kind: WorkloadKind, params: dict[str, Any]) -> None:
    before = deepcopy(params)
    first = launched(kind, params)
    first_text = json.dumps([first.manifest, *first.companions])
    assert json.loads(first_text) == objects(kind, params), "not plain JSON, or not the same again"
    first.manifest["spec"].clear()
    assert json.dumps(objects(kind, params)) == first_text
    assert params == before


def test_parsed_params_are_not_touched_by_a_launch() -> None:
    """The caller may keep them: neither a launch nor a change of its manifest reaches back into them."""
    for kind, params in LAUNCHED:
        parsed = parse(kind.name, "1.0.0", params)
        before = parsed.model_dump_json()
        answer = kind.launch(parsed, ATTEMPT, DEFAULTS, None)
        assert isinstance(answer, Launch)
        spoil(answer.manifest)
        assert parsed.model_dump_json() == before


def spoil(value: Any) -> None:
    if isinstance(value, dict):
        for inner in value.values():
            spoil(inner)
        value["spoiled"] = True
    elif isinstance(value, list):
        for inner in value:
            spoil(inner)
        value.append("spoiled")


@pytest.mark.parametrize(("kind", "params"), LAUNCHED)
def test_what_is_launched_can_be_found_and_is_owned(kind: WorkloadKind, params: dict[str, Any]) -> None:
    answer = launched(kind, params)
    assert answer.resource == kind.resource
    assert (answer.manifest["apiVersion"], answer.manifest["kind"]) == (kind.resource.api_version, kind.resource.kind)
    assert answer.manifest["metadata"]["name"] == kind.workload_name(parse(kind.name, "1.0.0", params), ATTEMPT)
    for manifest in objects(kind, params):
        metadata = manifest["metadata"]
        assert metadata["namespace"] == ATTEMPT.namespace
        assert metadata["labels"]["taskpipeline.dev/job-hash"] == ATTEMPT.job_hash
        assert metadata["annotations"]["taskpipeline.dev/attempt"] == str(ATTEMPT.attempt)
        assert len(metadata["name"]) <= 63
        owners = metadata.get("ownerReferences", [])
        if answer.apply:
            assert "app.kubernetes.io/managed-by" not in metadata["labels"]
            assert not any(owner.get("controller") for owner in owners)
        else:
            assert metadata["labels"]["app.kubernetes.io/managed-by"] == "task-pipeline"
            assert [(owner["uid"], owner["controller"]) for owner in owners] == [(ATTEMPT.job_uid, True)]


@pytest.mark.parametrize(("kind", "params"), LAUNCHED)
def test_attempts_do_not_share_a_name_unless_they_apply(kind: WorkloadKind, params: dict[str, Any]) -> None:
    answer = launched(kind, params)
    names = [manifest["metadata"]["name"] for manifest in (answer.manifest, *answer.companions)]
    assert answer.apply or set(names) == {ATTEMPT.workload}


@pytest.mark.parametrize(("kind", "params"), LAUNCHED)
def test_no_field_is_empty(kind: WorkloadKind, params: dict[str, Any]) -> None:
    def empties(value: Any, path: str) -> list[str]:
        if isinstance(value, dict):
            return [path] * (not value) + [p for k, v in value.items() for p in empties(v, f"{path}.{k}")]
        if isinstance(value, list):
            return [path] * (not value) + [p for v in value for p in empties(v, path)]
        return [path] if value is None else []

    assert [path for manifest in objects(kind, params) for path in empties(manifest, "")] == []


@pytest.mark.parametrize(("kind", "params"), REMOTE)
def test_what_is_claimed_has_a_queue_and_keeps_its_params(kind: RemoteKind, params: dict[str, Any]) -> None:
    before = deepcopy(params)
    parsed = parse(kind.name, "1.0.0", params)
    assert re.fullmatch("[A-Za-z0-9._-]{1,63}", kind.queue(parsed))
    assert kind.queue(parsed) == kind.queue(parse(kind.name, "1.0.0", deepcopy(params)))
    assert params == before


def test_unknown_params_are_refused_by_all() -> None:
    for name, model in MODELS:
        (version,) = [v for v, m in KINDS[name].versions.items() if m is model]
        faults = check_params(name, version, {"noSuchParam": 1}, KindDefaults(shell_image="i"))
        assert "params.noSuchParam" in [fault.path for fault in faults]
