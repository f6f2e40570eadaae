"""The pages on GitOps: every YAML block is one that the tool takes, and tells what the tests judge by.

That the Pipelines in them are accepted by the operator is checked with all other examples, in tests/drift.
"""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.gitops.contract import TABLE
from tests.gitops.shipped import CONFIG, FLUX, ROOT, actions
from tests.gitops.tools import SPECS, HealthCheckExpr, Kustomization, annotation_faults
from tests.install import schemas

DOCS = ROOT / "docs"
PAGES = {name: (DOCS / f"{name}.md").read_text() for name in ("argocd", "flux", "gitops")}
BLOCK = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)
OURS = "taskpipeline.dev/v1alpha1"


def blocks(page: str) -> list[Any]:
    """All YAML documents of a page."""
    return [document for text in BLOCK.findall(PAGES[page]) for document in yaml.safe_load_all(text)]


def objects(page: str) -> list[Any]:
    """Those that are whole objects."""
    return [document for document in blocks(page) if "kind" in document]


def annotated(name: str) -> list[Any]:
    """The objects of the page on Argo CD that have an annotation."""
    return [one for one in objects("argocd") if name in one["metadata"].get("annotations", {})]


def rows(page: str) -> Iterator[list[str]]:
    """The cells of the page's first table about Pipelines, without its head."""
    table = re.search(r"^\| Pipeline \|.*?\n\n", PAGES[page], re.MULTILINE | re.DOTALL)
    assert table is not None
    for line in table[0].splitlines()[2:]:
        if line.startswith("|"):
            yield [cell.strip().strip("`") for cell in line.strip("|").split("|")]


@pytest.mark.parametrize("page", PAGES)
def test_every_object_is_one_that_its_tool_takes(page: str) -> None:
    for thing in objects(page):
        key = thing["apiVersion"], thing["kind"]
        if key in SPECS:
            assert thing.keys() == {"apiVersion", "kind", "metadata", "spec"}
            SPECS[key].model_validate(thing["spec"])
        elif thing["apiVersion"] != OURS:
            named = {**thing, "metadata": {**thing["metadata"]}}
            assert schemas.faults(named) == []


@pytest.mark.parametrize("page", PAGES)
def test_every_annotation_is_one_that_a_tool_knows(page: str) -> None:
    metadata = [thing["metadata"] for thing in blocks(page) if "metadata" in thing]
    assert [fault for one in metadata for fault in annotation_faults(one)] == []


def test_the_checks_of_the_examples_find_what_they_are_for() -> None:
    hook = {"annotations": {"argocd.argoproj.io/hook-delete-policy": "HookSucceeded"}}
    assert list(annotation_faults(hook)) == ["a delete policy without a hook"]
    assert list(annotation_faults({"annotations": {"argocd.argoproj.io/sync-wave": 1}}))
    assert list(annotation_faults({"annotations": {"argocd.argoproj.io/hook": "Presync"}}))
    (kustomization, _, *_rest) = [one for one in objects("flux") if one["kind"] == "Kustomization"]
    with pytest.raises(ValueError, match="dependOn"):
        Kustomization.model_validate({**kustomization["spec"], "dependOn": []})


def test_the_examples_are_waves_hooks_and_dependencies() -> None:
    waves = annotated("argocd.argoproj.io/sync-wave")
    assert [one["kind"] for one in waves] == ["Pipeline", "Deployment"]
    first, second = (int(one["metadata"]["annotations"]["argocd.argoproj.io/sync-wave"]) for one in waves)
    assert first < second
    hooks = annotated("argocd.argoproj.io/hook")
    assert {one["kind"] for one in hooks} == {"Pipeline"}
    before, after = (one for one in objects("flux") if one["kind"] == "Kustomization")
    assert before["spec"]["wait"]
    assert [one["name"] for one in after["spec"]["dependsOn"]] == [before["metadata"]["name"]]


def test_the_expressions_are_those_that_are_shipped() -> None:
    (block,) = (one["spec"] for one in blocks("flux") if "kind" not in one and "spec" in one)
    assert block["healthCheckExprs"] == yaml.safe_load(FLUX.read_text())
    for entry in block["healthCheckExprs"]:
        HealthCheckExpr.model_validate(entry)
    assert str(FLUX.relative_to(ROOT)) in PAGES["flux"]


def test_the_tables_say_what_the_contract_wants() -> None:
    assert [row[1] for row in rows("argocd")] == [row.argo for row in TABLE.values()]
    assert [row[2].partition(",")[0].strip("`") for row in rows("flux")] == [row.kstatus for row in TABLE.values()]
    assert [row[3].replace("in progress", "inProgress") for row in rows("flux")] == [row.flux for row in TABLE.values()]
    wanted = [(row.argo, row.kstatus, *(row.conditions.get(name, "") for name in ("Finished", "Succeeded")))
              for row in TABLE.values()]  # fmt: skip
    assert [tuple(row[1:5]) for row in rows("gitops")] == wanted


def test_the_page_names_every_action_and_the_file() -> None:
    table = PAGES["argocd"].split("## Actions\n", 1)[1].split("\n## ", 1)[0]
    cells = re.findall(r"^\| (`[^|]+) \|", table, re.MULTILINE)
    assert sorted(name for cell in cells for name in re.findall(r"`([a-z-]+)`", cell)) == actions()
    assert str(CONFIG.relative_to(ROOT)) in PAGES["argocd"]


def test_b056_the_page_warns_of_the_loop() -> None:
    warning = PAGES["gitops"][PAGES["gitops"].index("## Never with Git: `ttlPolicy: Delete`") :]
    assert "**it runs again, for ever**" in warning
