"""manifests/ is what the chart makes, and kustomize puts the same objects together."""

import subprocess
from pathlib import Path

import pytest
import yaml

from task_pipeline import __version__
from tests.cluster import build
from tests.install import manifests, schemas
from tests.install.checks import containers, of
from tests.install.helm import ROOT, Document, Helm

pytestmark = pytest.mark.chart


def key(document: Document) -> tuple[str, str, str]:
    """What tells objects apart."""
    metadata = document["metadata"]
    return document["kind"], metadata.get("namespace", ""), metadata["name"]


def load(path: Path) -> list[Document]:
    """The objects of a file."""
    return list(yaml.safe_load_all(path.read_text()))


def test_the_manifests_are_up_to_date(helm: Helm) -> None:
    differing = [str(path.relative_to(ROOT)) for path in manifests.differing(helm)]
    assert differing == [], "run `make manifests` and commit the result"


def test_every_object_is_in_one_part(helm: Helm) -> None:
    whole = load(manifests.FOLDER / "install.yaml")
    parts = [document for path in manifests.FOLDER.rglob("objects.yaml") for document in load(path)]
    assert sorted(map(key, parts)) == sorted(map(key, whole))
    assert len({key(document) for document in whole}) == len(whole)


def test_the_manifests_fit_the_schemas_and_have_nothing_of_helm() -> None:
    whole = load(manifests.FOLDER / "install.yaml")
    assert [fault for document in whole for fault in schemas.faults(document)] == []
    assert "helm.sh" not in yaml.safe_dump_all(whole)
    assert "Helm" not in yaml.safe_dump_all(whole)


def test_the_crds_are_those_that_the_code_makes() -> None:
    ours = {document["metadata"]["name"]: document["spec"] for document in load(manifests.FOLDER / "crds.yaml")}
    made = [yaml.safe_load(path.read_text()) for path in (ROOT / "crds").glob("*.yaml")]
    assert ours == {document["metadata"]["name"]: document["spec"] for document in made}


def test_the_policies_are_those_of_the_other_file(default: list[Document]) -> None:
    theirs = {key(document): document for document in load(manifests.FOLDER / "policies.yaml")}
    ours = {key(document): document for document in default if key(document) in theirs}
    assert ours.keys() == theirs.keys()
    for found, document in theirs.items():
        assert ours[found].get("spec", ours[found].get("rules")) == document.get("spec", document.get("rules"))


def test_images_have_no_registry() -> None:
    whole = load(manifests.FOLDER / "install.yaml")
    images = {container["image"] for _, container, _ in containers(whole)}
    assert images == {f"task-pipeline/operator:{__version__}"}


def test_the_namespace_takes_our_pods_only() -> None:
    (namespace,) = of(load(manifests.FOLDER / "install.yaml"), "Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_kustomize_builds_the_same(helm: Helm) -> None:
    program = build.KUBERNETES.path()
    if not program.exists():
        pytest.skip("there is no kubectl: `make binaries` builds it")
    overlay = manifests.FOLDER / "overlays" / "cluster"
    command = [str(program), "kubectl", "kustomize", str(overlay)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    built = {key(document): document for document in yaml.safe_load_all(done.stdout)}
    assert built == {key(document): document for document in load(manifests.FOLDER / "install.yaml")}
