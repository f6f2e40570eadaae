"""manifests/ as far as it is made from the chart: install.yaml, crds.yaml, and a kustomize base with components.
Beside it the ConfigMap for Argo CD, which is made from the scripts in gitops/.

Rule: every object comes from one rendering with default values, so that Helm, kubectl and kustomize install the
same. The labels say what belongs where. Hooks are Helm's only; the client that one of them makes is a file of its own,
to be applied when the CRDs are there.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from task_pipeline.api.group import API_VERSION, PIPELINECLIENT_KIND
from task_pipeline.entrypoints.readable import readable
from tests.gitops import shipped
from tests.install.checks import HOOKS, of
from tests.install.helm import NAMESPACE, ROOT, Document, Helm

FOLDER = ROOT / "manifests"
COMPONENT = "app.kubernetes.io/component"
_HEAD = "# Rendered from helm/task-pipeline by `make manifests`; do not edit.\n"
_HELM_ONLY = ("helm.sh/chart", "app.kubernetes.io/managed-by")
_POLICIES = ("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding")
_OPERATE = "task-pipeline-operate"
_PROGRAMS = ("server", "http-runner")
_CLIENT_NOTE = "# The client of Pipelines that name none: apply it when the CRDs are there, unless you have one.\n"


def objects(helm: Helm) -> list[Document]:
    """All that an installation consists of, the namespace first."""
    return [namespace(), *(_plain(document) for document in helm.documents() if _component(document) not in HOOKS)]


def default_client(helm: Helm) -> Document:
    """The PipelineClient that the chart's hook makes."""
    (job,) = of(helm.documents(), "Job")
    env = {one["name"]: one["value"] for one in job["spec"]["template"]["spec"]["containers"][0]["env"]}
    metadata = {"name": "default", "namespace": env["OWN_NAMESPACE"]}
    return {"apiVersion": API_VERSION, "kind": PIPELINECLIENT_KIND, "metadata": metadata,
            "spec": json.loads(env["CLIENT_SPEC"])}  # fmt: skip


def namespace() -> Document:
    """The operator's own namespace: nothing runs in it but our pods, and they fit the strictest standard."""
    standard = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "audit", "warn")}
    labels = {"app.kubernetes.io/name": "task-pipeline", **standard}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}}


def files(helm: Helm) -> Mapping[Path, str]:
    """Every file with its text."""
    everything = objects(helm)
    crds = [one for one in everything if one["kind"] == "CustomResourceDefinition"]
    parts = {part: [one for one in everything if part_of(one) == part] for part in _parts(everything)}
    made = {FOLDER / "install.yaml": _text(everything), FOLDER / "crds.yaml": _text(crds)}
    made[FOLDER / "default-client.yaml"] = _HEAD + _CLIENT_NOTE + readable(default_client(helm))
    made[shipped.CONFIG] = shipped.config_map()
    for part, documents in parts.items():
        folder = FOLDER / "base" if part == "base" else FOLDER / "components" / part
        made[folder / "objects.yaml"] = _text(documents)
        made[folder / "kustomization.yaml"] = _kustomization(part)
    made[FOLDER / "overlays" / "cluster" / "kustomization.yaml"] = _overlay(set(parts) - {"base"})
    return made


def part_of(document: Document) -> str:
    """The base or the component to which an object belongs."""
    component = _component(document)
    if document["kind"] == "NetworkPolicy":
        return "network-policies"
    if document["kind"] in _POLICIES or (document["kind"], document["metadata"]["name"]) == ("ClusterRole", _OPERATE):
        return "policies"
    return component if component in _PROGRAMS else "base"


def _component(document: Document) -> str:
    return str(document["metadata"].get("labels", {}).get(COMPONENT, ""))


def differing(helm: Helm) -> dict[Path, str]:
    """The files that are not as they should be, with the text that they should have."""
    wanted = files(helm)
    return {path: text for path, text in wanted.items() if not path.is_file() or path.read_text() != text}


def _parts(everything: Iterable[Document]) -> list[str]:
    return sorted({part_of(document) for document in everything})


def _plain(document: Document) -> Document:
    """Without what only Helm needs; selectors stay as they are, so that no Deployment has to be made anew."""

    def clean(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: clean(inner) for key, inner in value.items() if key not in _HELM_ONLY}
        return [clean(inner) for inner in value] if isinstance(value, list) else value

    found: Document = clean(document)
    annotations = found["metadata"].get("annotations", {})
    annotations.pop("helm.sh/resource-policy", None)
    if not annotations:
        found["metadata"].pop("annotations", None)
    return found


def _text(documents: Iterable[Document]) -> str:
    return _HEAD + readable(*documents)


def _kustomization(part: str) -> str:
    version, kind = ("v1beta1", "Kustomization") if part == "base" else ("v1alpha1", "Component")
    body = {"apiVersion": f"kustomize.config.k8s.io/{version}", "kind": kind, "resources": ["objects.yaml"]}
    return _HEAD + yaml.safe_dump(body, sort_keys=False)


def _overlay(components: Iterable[str]) -> str:
    body = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": ["../../base"],
        "components": [f"../../components/{component}" for component in sorted(components)],
    }
    return _HEAD + yaml.safe_dump(body, sort_keys=False)
