"""CRDs that are older or newer than what is there, and objects that are larger than an annotation may be.

Field cases B084, B085, B086. What concerns more than one version of an API is tried on a copy of our CRD in a group of
its own, so that nobody else meets it.
"""

import copy
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from task_pipeline.api.crd import crd_for
from task_pipeline.api.group import PIPELINE_KIND
from task_pipeline.entrypoints import client_secret
from tests.cluster import Cluster
from tests.cluster.polling import wait_for
from tests.contract.kubectl import Kubectl, manifest
from tests.operators import OperatorProcess
from tests.real import audit
from tests.real.pipelines import create_all, jobs_of, pods_of, shell, wait_all
from tests.servers import ServerProcess

pytestmark = pytest.mark.cluster

CRD = "crd/pipelines.taskpipeline.dev"
GROUP = "upgrade.example.com"
SPEC = {"stages": ["s"], "jobs": [shell("a")]}


def status_fields(crd: dict[str, Any]) -> dict[str, Any]:
    """The fields of the status in the first version of a CRD."""
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]
    found: dict[str, Any] = schema["properties"]
    return found


@pytest.fixture
def older(kubectl: Kubectl) -> Iterator[str]:
    """The CRD of Pipelines as it was before it had a field; returns the field. Afterwards it is as it was."""
    whole = crd_for(PIPELINE_KIND)
    crd = copy.deepcopy(whole)
    del status_fields(crd)["divided"]
    kubectl.ok("replace", "-f", "-", stdin=crd)
    yield "divided"
    kubectl.ok("replace", "-f", "-", stdin=whole)


def test_b086_an_operator_with_older_crds_says_so_and_does_not_loop(
    installed: Cluster, kubectl: Kubectl, older: str, new_operator: Callable[..., OperatorProcess]
) -> None:
    operator = new_operator()
    operator.start()
    since = audit.mark(installed.audit_log)

    def is_dropped() -> bool:
        """The API server takes over a changed CRD a moment after it was written."""
        kubectl.run("create", "-f", "-", stdin=manifest("Pipeline", "probe", SPEC | {"suspend": True}))
        return "unknown field" in kubectl.try_status("tpl/probe", **{older: 0}).err

    wait_for(is_dropped, "the older CRD to be in force", 30)
    kubectl.ok("delete", "tpl", "probe")
    create_all(kubectl, {"p": {"stages": ["s", "t"], "jobs": [shell("a", seconds=1), shell("b", "t")]}})
    assert wait_all(kubectl) == {"p": "DONE"}
    assert older not in kubectl.get("tpl", "p")["status"]
    assert len(pods_of(kubectl)) == 2
    own = [
        one for one in audit.writes(installed.audit_log, since) if one["objectRef"]["namespace"] == kubectl.namespace
    ]
    assert len(own) < 40
    said = operator.log.read_text()
    assert len(re.findall(rf'unknown field \\*"status.{older}', said)) == 1, said
    assert "the CRDs in the cluster are older than this program" in said


def large() -> dict[str, Any]:
    """A legal spec of about 280 KiB: three jobs with scripts of 90 KiB."""
    jobs = [shell(name) for name in "abc"]
    for job in jobs:
        job["params"]["script"] = f"# {job['name']}\n" + "#" * 90 * 1024 + "\ntrue\n"
    return {"stages": ["s"], "jobs": jobs}


def by_kubectl(kubectl: Kubectl, spec: dict[str, Any], folder: Path, cluster: Cluster) -> None:
    """Create it as a person does."""
    create_all(kubectl, {"bigspec": spec})


def by_rest(kubectl: Kubectl, spec: dict[str, Any], folder: Path, cluster: Cluster) -> None:
    """Create it as a program outside the cluster does."""
    own, client = Kubectl(cluster.paths.kubectl, "task-pipeline"), f"big-{kubectl.namespace}"
    own.ok("create", "-f", "-", stdin=manifest("PipelineClient", client, {"namespaces": [kubectl.namespace]}))
    made = CliRunner().invoke(client_secret.main, ["--kubeconfig", str(cluster.kubeconfig), client])
    log = folder / "server.log"
    log.touch()
    server = ServerProcess(cluster.kubeconfig, log)
    server.start()
    try:
        path, body = (
            f"/api/v1/namespaces/{kubectl.namespace}/pipelines",
            {"metadata": {"name": "bigspec"}, "spec": spec},
        )
        reply = server.request("POST", path, body, user=(client, made.stdout.strip()))
        assert reply.status == 201, reply
    finally:
        server.kill()


@pytest.mark.parametrize("create", [by_kubectl, by_rest])
def test_b084_a_spec_that_is_larger_than_an_annotation_may_be(
    installed: Cluster, kubectl: Kubectl, operator: OperatorProcess, tmp_path: Path, create: Callable[..., None]
) -> None:
    spec = large()
    create(kubectl, spec, tmp_path, installed)
    kubectl.ok("label", "tpl", "bigspec", "team=blue")
    assert wait_all(kubectl) == {"bigspec": "DONE"}
    kubectl.ok("label", "tpl", "bigspec", "team=red", "--overwrite")
    thing = kubectl.get("tpl", "bigspec")
    assert thing["status"]["progress"] == "3/3"
    assert len(json.dumps(thing["metadata"])) < 4096, "no copy of the spec"
    assert "finalizers" not in thing["metadata"]
    assert len(json.dumps(thing["status"])) < 4096
    scripts = {job["params"]["script"] for job in spec["jobs"]}
    assert {pod["spec"]["containers"][0]["command"][-1] for pod in pods_of(kubectl)} == scripts
    kubectl.ok("delete", "tpl", "bigspec", "--timeout=20s")
    wait_for(lambda: not jobs_of(kubectl), "the garbage collection", 60)


@pytest.fixture
def copied(kubectl: Kubectl) -> Iterator[dict[str, Any]]:
    """The CRD of Pipelines in a group of its own, applied, and gone after the test."""
    crd = copy.deepcopy(crd_for(PIPELINE_KIND))
    crd["metadata"]["name"] = f"pipelines.{GROUP}"
    crd["spec"]["group"] = GROUP
    crd["spec"]["names"] = {
        "plural": "pipelines",
        "singular": "pipeline",
        "kind": "Pipeline",
        "listKind": "PipelineList",
    }
    apply(kubectl, crd)
    kubectl.ok("wait", f"crd/pipelines.{GROUP}", "--for=condition=Established", "--timeout=30s")
    yield crd
    kubectl.ok("delete", "crd", f"pipelines.{GROUP}", "--timeout=50s")


def apply(kubectl: Kubectl, crd: dict[str, Any]) -> None:
    """Apply a CRD as Helm does."""
    kubectl.ok("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=crd)


def with_v1(crd: dict[str, Any], *, served: bool) -> dict[str, Any]:
    """The CRD with a second version of the same schema, which is the stored one from now on."""
    (first,) = crd["spec"]["versions"]
    versions = [{**first, "served": served, "storage": False}, {**first, "name": "v1", "storage": True}]
    return {**crd, "spec": {**crd["spec"], "versions": versions}}


def only_v1(crd: dict[str, Any]) -> dict[str, Any]:
    """The CRD without its first version."""
    (first,) = crd["spec"]["versions"]
    return {**crd, "spec": {**crd["spec"], "versions": [{**first, "name": "v1"}]}}


def test_b085_a_stored_version_is_migrated_before_it_is_dropped(kubectl: Kubectl, copied: dict[str, Any]) -> None:
    """The way that docs/installation.md tells, and that the API server refuses any shorter one."""
    plural, old, new = f"pipelines.{GROUP}", f"pipelines.v1alpha1.{GROUP}", f"pipelines.v1.{GROUP}"

    def create(version: str, name: str) -> None:
        body = {"apiVersion": f"{GROUP}/{version}", "kind": "Pipeline", "metadata": {"name": name}, "spec": SPEC}
        kubectl.ok("create", "-f", "-", stdin=body)

    def read(what: str, name: str) -> Any:
        answer = kubectl.run("get", what, name, "-o", "json")
        return json.loads(answer.out) if answer.code == 0 else None

    create("v1alpha1", "stored")
    done = {"state": "IN PROGRESS", "observedGeneration": 1, "message": "history", "run": 1}
    kubectl.ok("patch", old, "stored", "--subresource=status", "--type=merge", "-p", json.dumps({"status": done}))
    before = read(old, "stored")
    apply(kubectl, with_v1(copied, served=True))
    wait_for(lambda: read(new, "stored"), "the new version to be served", 30)
    after = read(new, "stored")
    assert (after["spec"], after["status"], after["metadata"]["uid"]) == (
        before["spec"], before["status"], before["metadata"]["uid"])  # fmt: skip
    create("v1alpha1", "by-an-old-client")
    assert read(new, "by-an-old-client")["spec"] == before["spec"]
    refused = kubectl.refused("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=only_v1(copied))
    assert "status.storedVersions" in refused
    assert "v1alpha1" in refused
    items = kubectl.ok("get", plural, "-o", "json")
    kubectl.ok("replace", "-f", "-", stdin=json.loads(items))
    kubectl.ok("patch", "crd", plural, "--subresource=status", "--type=merge", "-p",
               json.dumps({"status": {"storedVersions": ["v1"]}}))  # fmt: skip
    apply(kubectl, only_v1(copied))
    wait_for(lambda: read(old, "stored") is None, "the old version to be gone", 30)
    now = read(new, "stored")
    assert (now["spec"], now["status"], now["metadata"]["uid"], now["metadata"]["generation"]) == (
        before["spec"], before["status"], before["metadata"]["uid"], 1)  # fmt: skip


def test_b083_a_rollback_hides_what_only_the_newer_crd_knows(kubectl: Kubectl, copied: dict[str, Any]) -> None:
    """What docs/installation.md warns of: hidden while the older CRD is there, and lost with the next write."""
    newer = copy.deepcopy(copied)
    schema = newer["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    schema["properties"]["spec"]["properties"]["note"] = {"type": "string"}
    apply(kubectl, newer)
    body = {"apiVersion": f"{GROUP}/v1alpha1", "kind": "Pipeline", "metadata": {"name": "noted"},
            "spec": SPEC | {"note": "kept"}}  # fmt: skip
    plural = f"pipelines.{GROUP}"

    def note() -> Any:
        return json.loads(kubectl.ok("get", plural, "noted", "-o", "json"))["spec"].get("note")

    def is_known(verb: str, *arguments: str) -> bool:
        """Whether the newer CRD is in force: by a write that is only tried."""
        return "unknown field" not in kubectl.run(verb, "--dry-run=server", *arguments, stdin=body).err

    wait_for(lambda: is_known("create", "-f", "-"), "the newer CRD to be in force", 30)
    kubectl.ok("create", "-f", "-", stdin=body)
    assert note() == "kept"
    apply(kubectl, copied)
    wait_for(lambda: note() is None, "the older CRD to be in force", 30)
    apply(kubectl, newer)
    wait_for(lambda: note() == "kept", "the field to be there again, since nothing was written meanwhile", 30)
    apply(kubectl, copied)
    wait_for(lambda: note() is None, "the older CRD to be in force", 30)
    kubectl.ok("label", plural, "noted", "written=meanwhile")
    apply(kubectl, newer)
    wait_for(lambda: is_known("patch", plural, "noted", "--type=merge", "-p", '{"spec": {"note": "x"}}'), "it", 30)
    assert note() is None
