"""The objects that the chart makes, whatever it is told, are valid and safe."""

import copy
from collections.abc import Callable, Iterable

import pytest

from tests.install import schemas
from tests.install.checks import CHECKS, Documents, containers, of
from tests.install.helm import CHART, Document, Helm
from tests.install.values import SETS

pytestmark = pytest.mark.chart


@pytest.mark.parametrize("values", sorted(SETS))
def test_lint_finds_nothing(helm: Helm, values: str) -> None:
    answer = helm.run("lint", "--strict", str(CHART), values=SETS[values])
    assert answer.code == 0, answer.out + answer.err
    assert "[WARNING]" not in answer.out


def test_a_second_rendering_is_the_same(helm: Helm, default: list[Document]) -> None:
    """No random value and no look into the cluster: a GitOps tool renders again and again, and must see no change."""
    assert helm.documents() == default


def test_every_object_fits_the_schemas_of_kubernetes(rendered: list[Document]) -> None:
    assert [fault for document in rendered for fault in schemas.faults(document)] == []


def test_every_rendering_passes_all_checks(rendered: list[Document]) -> None:
    assert [fault for check in CHECKS for fault in check(rendered)] == []


def test_a_wrong_field_does_not_fit_the_schemas(default: list[Document]) -> None:
    broken = copy.deepcopy(of(default, "Deployment")[0])
    broken["spec"]["template"]["spec"]["containers"][0]["imagePolicy"] = "Always"
    assert any("imagePolicy" in fault for fault in schemas.faults(broken))


def _set(path: str, value: object) -> Callable[[Documents], None]:
    """Breaks the first container or its pod; a value None takes the field away."""

    def change(documents: Documents) -> None:
        _, container, spec = next(found for found in containers(documents) if found[1]["name"] == "operator")
        where = spec if path.startswith("pod.") else container
        *parents, last = path.removeprefix("pod.").split(".")
        for parent in parents:
            where = where[parent]
        if value is None:
            del where[last]
        else:
            where[last] = value

    return change


def _drop(kind: str) -> Callable[[Documents], None]:
    def change(documents: Documents) -> None:
        documents.remove(of(documents, kind)[0])

    return change


def _rule(**rule: list[str]) -> Callable[[Documents], None]:
    def change(documents: Documents) -> None:
        of(documents, "Role")[0]["rules"].append({"apiGroups": [""], **rule})

    return change


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (_set("image", "task-pipeline/operator:latest"), "names no version"),
        (_set("resources.requests", {}), "no requests cpu"),
        (_set("securityContext.readOnlyRootFilesystem", False), "write to its root"),
        (_set("securityContext.capabilities", {"add": ["NET_ADMIN"]}), "capabilities"),
        (_set("pod.securityContext.runAsNonRoot", None), "as root"),
        (_set("pod.hostNetwork", True), "hostNetwork"),
        (_set("livenessProbe", None), "no livenessProbe"),
        (_set("env", [{"name": "API_TOKEN", "value": "x"}]), "looks like a secret"),
        (_set("pod.serviceAccountName", "default"), "not of this installation"),
        (_set("pod.topologySpreadConstraints", []), "not spread"),
        (_set("pod.volumes", []), "mounts"),
        (_drop("PodDisruptionBudget"), "budgets"),
        (_drop("NetworkPolicy"), "network policies"),
        (_drop("ServiceAccount"), "not of this installation"),
        (_drop("ClusterRoleBinding"), "bound to nobody"),
        (_rule(resources=["pods"], verbs=["*"]), "wildcard"),
        (_rule(resources=["secrets"], verbs=["list"]), "too much of Secrets"),
    ],
)  # fmt: skip
def test_the_checks_find_what_they_are_for(helm: Helm, change: Callable[[Documents], None], fault: str) -> None:
    documents = helm.documents()
    change(documents)
    found: Iterable[str] = [line for check in CHECKS for line in check(documents)]
    assert any(fault in line for line in found), found
