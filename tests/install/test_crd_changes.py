"""The CRDs take everything that those of the last release took; released/ holds these, `make released` writes them."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.install.crd_changes import breaking
from tests.install.helm import ROOT

RELEASED = Path(__file__).parent / "released"
CRDS = sorted(path.name for path in RELEASED.glob("*.yaml"))
Change = Callable[[dict[str, Any]], object]


def load(folder: Path, name: str) -> dict[str, Any]:
    crd: dict[str, Any] = yaml.safe_load((folder / name).read_text())
    return crd


def test_every_released_crd_is_still_there() -> None:
    assert len(CRDS) == 3
    assert {*CRDS} <= {path.name for path in (ROOT / "crds").glob("*.yaml")}


@pytest.mark.parametrize("name", CRDS)
def test_nothing_that_was_released_breaks(name: str) -> None:
    """Before the first release `make released` takes over what has changed; after it, only an addition is allowed."""
    assert breaking(load(RELEASED, name), load(ROOT / "crds", name)) == []


def _version(crd: dict[str, Any]) -> dict[str, Any]:
    return crd["spec"]["versions"][0]  # type: ignore[no-any-return]


def _spec(crd: dict[str, Any]) -> dict[str, Any]:
    return _version(crd)["schema"]["openAPIV3Schema"]["properties"]["spec"]  # type: ignore[no-any-return]


def _field(crd: dict[str, Any], name: str) -> dict[str, Any]:
    return _spec(crd)["properties"][name]  # type: ignore[no-any-return]


BREAKING: dict[str, tuple[Change, str]] = {
    "removed version": (lambda crd: crd["spec"].update(versions=[{**_version(crd), "name": "v1"}]), "version is gone"),
    "version not served": (lambda crd: _version(crd).update(served=False), "not served"),
    "removed status": (lambda crd: _version(crd).pop("subresources"), "subresource status is gone"),
    "removed selectable field": (lambda crd: _version(crd)["selectableFields"].pop(), "selected"),
    "changed scope": (lambda crd: crd["spec"].update(scope="Cluster"), "spec.scope"),
    "removed field": (lambda crd: _spec(crd)["properties"].pop("priority"), "spec.priority: the field is gone"),
    "required field": (lambda crd: _spec(crd)["required"].append("priority"), "spec.priority: required now"),
    "new required field": (
        lambda crd: (_spec(crd)["properties"].update(new={"type": "string"}), _spec(crd)["required"].append("new")),
        "spec.new: required now",
    ),
    "changed type": (lambda crd: _field(crd, "suspend").update(type="string"), "spec.suspend: type changed"),
    "lower maximum": (lambda crd: _field(crd, "priority").update(maximum=1), "spec.priority: maximum lowered"),
    "higher minimum": (lambda crd: _field(crd, "stages").update(minItems=2), "spec.stages: minItems raised"),
    "new pattern": (lambda crd: _field(crd, "stages")["items"].update(pattern="^x$"), "spec.stages[]: pattern"),
    "new rule": (
        lambda crd: _spec(crd).setdefault("x-kubernetes-validations", []).append({"rule": "false"}),
        "spec: the rule is new",
    ),
    "changed default": (lambda crd: _field(crd, "suspend").update(default=True), "spec.suspend: default"),
    "new enum": (lambda crd: _field(crd, "clientId").update(enum=["a"]), "spec.clientId: any value"),
    "changed list type": (
        lambda crd: _field(crd, "jobs").update({"x-kubernetes-list-type": "set"}),
        "spec.jobs: x-kubernetes-list-type",
    ),
}


@pytest.mark.parametrize("what", sorted(BREAKING))
def test_a_breaking_change_is_found(what: str) -> None:
    change, expected = BREAKING[what]
    old = load(ROOT / "crds", "pipelines.yaml")
    new = copy.deepcopy(old)
    change(new)
    found = breaking(old, new)
    assert any(expected in line for line in found), found


HARMLESS: dict[str, Change] = {
    "new field": lambda crd: _spec(crd)["properties"].update(new={"type": "string"}),
    "wider bound": lambda crd: _field(crd, "stages").update(maxItems=100_000),
    "less required": lambda crd: _spec(crd)["required"].remove("jobs"),
    "new version": lambda crd: crd["spec"]["versions"].append({**_version(crd), "name": "v1", "storage": False}),
    "new description": lambda crd: _field(crd, "priority").update(description="Words."),
    "rule dropped": lambda crd: _spec(crd).pop("x-kubernetes-validations", None),
    "pattern dropped": lambda crd: _field(crd, "stages")["items"].pop("pattern", None),
}


@pytest.mark.parametrize("what", sorted(HARMLESS))
def test_a_harmless_change_is_let_pass(what: str) -> None:
    old = load(ROOT / "crds", "pipelines.yaml")
    new = copy.deepcopy(old)
    HARMLESS[what](new)
    assert breaking(old, new) == []
