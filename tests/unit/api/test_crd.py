"""The CRDs as data: names, columns, descriptions, limits, and the rules made from the state tables."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from task_pipeline.api.crd import ALL_CRDS, crd_for
from task_pipeline.api.group import KINDS
from task_pipeline.api.states import State

CRDS = {crd["spec"]["names"]["kind"]: crd for crd in ALL_CRDS}


def version(kind: str) -> dict[str, Any]:
    [only] = CRDS[kind]["spec"]["versions"]
    return dict(only)


def properties(node: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    for name, child in node.get("properties", {}).items():
        yield f"{path}.{name}", child
        yield from properties(child, f"{path}.{name}")
    if "items" in node:
        yield f"{path}[]", node["items"]
        yield from properties(node["items"], f"{path}[]")


ALL_PROPERTIES = {
    f"{kind}{path}": node
    for kind in CRDS
    for path, node in properties(version(kind)["schema"]["openAPIV3Schema"])
    if path != ".metadata"
}


ROOTS = {kind: version(kind)["schema"]["openAPIV3Schema"] for kind in CRDS}


def test_names() -> None:
    assert {crd["metadata"]["name"] for crd in ALL_CRDS} == {
        "pipelines.taskpipeline.dev",
        "pipelinejobs.taskpipeline.dev",
        "pipelineclients.taskpipeline.dev",
    }
    assert {kind: names.short for kind, names in KINDS.items()} == {
        "Pipeline": "tpl",
        "PipelineJob": "pjob",
        "PipelineClient": "pclient",
    }
    for crd in ALL_CRDS:
        assert crd["spec"]["names"]["categories"] == ["taskpipeline"]
        assert crd["spec"]["scope"] == "Namespaced"
        assert "jobs" not in (crd["spec"]["names"]["plural"], *crd["spec"]["names"]["shortNames"])


@pytest.mark.parametrize(
    ("kind", "shown", "wide"),
    [
        ("Pipeline", "STATE REASON STAGE PROGRESS AGE", "CLIENT PRIORITY STARTED"),
        ("PipelineJob", "PIPELINE STAGE KIND STATE REASON ATTEMPT AGE", ""),
        ("PipelineClient", "PRIORITY RUNNING MAX QUEUED SIZE AGE", ""),
    ],
)
def test_columns(kind: str, shown: str, wide: str) -> None:
    columns = version(kind)["additionalPrinterColumns"]
    names = [(column["name"].upper(), column.get("priority", 0)) for column in columns]
    assert names == [(name, 0) for name in shown.split()] + [(name, 1) for name in wide.split()]


def test_columns_and_selectable_fields_exist_in_the_schema() -> None:
    for kind in CRDS:
        paths = [column["jsonPath"] for column in version(kind)["additionalPrinterColumns"]]
        paths += [field["jsonPath"] for field in version(kind).get("selectableFields", [])]
        for path in paths:
            assert path.startswith(".metadata.") or kind + path in ALL_PROPERTIES, path


def test_selectable_fields() -> None:
    fields = {kind: [field["jsonPath"] for field in version(kind).get("selectableFields", [])] for kind in CRDS}
    assert fields == {
        "Pipeline": [".status.state", ".spec.clientId"],
        "PipelineJob": [".status.state", ".spec.clientId", ".spec.stage", ".spec.pipeline"],
        "PipelineClient": [],
    }


@pytest.mark.parametrize("path", [path for path in ALL_PROPERTIES if not path.endswith("[]")])
def test_every_property_is_described_in_a_sentence(path: str) -> None:
    description = ALL_PROPERTIES[path].get("description", "")
    assert len(description) > 10
    assert description[-1] in ".-1"


@pytest.mark.parametrize("path", ALL_PROPERTIES)
def test_every_text_list_and_number_is_bounded(path: str) -> None:
    node = ALL_PROPERTIES[path]
    if path.endswith((".apiVersion", ".kind")) and ".spec" not in path and ".status" not in path:
        return
    match node["type"]:
        case "string":
            assert "maxLength" in node or "enum" in node
        case "array":
            assert "maxItems" in node
        case "integer":
            assert {"minimum", "maximum", "format"} <= set(node)


def test_no_default_stands_inside_the_jobs() -> None:
    assert not [path for path, node in ALL_PROPERTIES.items() if "Pipeline.spec.jobs[]" in path and "default" in node]


def test_status_defaults() -> None:
    assert ALL_PROPERTIES["Pipeline.status"]["default"] == {"observedGeneration": -1, "state": "READY"}
    assert ALL_PROPERTIES["PipelineJob.status"]["default"] == {"state": "READY", "reason": "Queued"}
    assert "default" not in ALL_PROPERTIES["PipelineClient.status"]


def test_list_types() -> None:
    kinds = {path: node.get("x-kubernetes-list-type") for path, node in ALL_PROPERTIES.items()}
    assert kinds["Pipeline.spec.jobs"] == kinds["Pipeline.spec.stages"] == "atomic"
    assert kinds["Pipeline.status.stages"] == kinds["PipelineJob.status.attempts"] == "atomic"
    for kind in CRDS:
        assert kinds[f"{kind}.status.conditions"] == "map"
        assert ALL_PROPERTIES[f"{kind}.status.conditions"]["x-kubernetes-list-map-keys"] == ["type"]
    missing = [path for path, node in ALL_PROPERTIES.items() if node["type"] == "array" and not kinds[path]]
    assert not missing


def test_rules_have_messages_and_none_over_jobs_is_an_expression() -> None:
    rules = [
        rule
        for crd in ALL_CRDS
        for node in [crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"], *ALL_PROPERTIES.values()]
        for rule in node.get("x-kubernetes-validations", [])
    ]
    assert len(rules) > 20
    for rule in rules:
        assert len(rule["message"]) > 20
        assert ".jobs" not in rule.get("messageExpression", "")


def test_state_rules_name_every_edge_of_the_tables() -> None:
    rule = ALL_PROPERTIES["PipelineJob.status.state"]["x-kubernetes-validations"][0]["rule"]
    assert "(oldSelf == 'READY' && self in ['IN PROGRESS', 'CANCELLED'])" in rule
    assert "(oldSelf == 'IN PROGRESS' && self in ['READY', 'DONE', 'ERROR'])" in rule
    assert not any(f"oldSelf == '{state}'" in rule for state in (State.DONE, State.ERROR, State.CANCELLED))


def test_everything_in_a_pipelinejob_spec_but_three_fields_is_immutable() -> None:
    (rule,) = ROOTS["PipelineJob"]["x-kubernetes-validations"]
    names = set(ALL_PROPERTIES["PipelineJob.spec"]["properties"])
    for text in (rule["rule"], rule["messageExpression"]):
        guarded = set(re.findall(r"\[self\.spec\.\??(\w+)\] == \[oldSelf\.spec\.", text))
        assert names - guarded == {"pipelinePriority", "priority", "cancel"}


def test_rules_on_whole_objects_end_at_once_when_the_status_is_written() -> None:
    for kind in ("Pipeline", "PipelineJob"):
        for rule in ROOTS[kind]["x-kubernetes-validations"]:
            assert re.match(
                r"(\(oldSelf.hasValue\(\) && \()?self.status.state != oldSelf.*?.status.state \|\| ", rule["rule"]
            )
        spec = ALL_PROPERTIES[f"{kind}.spec"]
        assert "x-kubernetes-validations" not in spec
        assert ALL_PROPERTIES[f"{kind}.status"]["x-kubernetes-map-type"] == "atomic"


def test_an_unknown_kind_is_an_error() -> None:
    with pytest.raises(KeyError):
        crd_for("CronPipeline")
