"""RP01 to RP05 on the real API server: applied from their files by kubectl, run to the ends that the cases state.

Pods are simulated: one ends as the annotations of its job say.
"""

import json
from itertools import pairwise
from typing import Any

import pytest

from tests.contract.kubectl import Kubectl
from tests.real.pipelines import jobs_of, wait_all
from tests.realistic import HERE, NAMES, Manifest, job, load

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("shared_operator")]

EXIT_CODE = "simulate.test/exit-code"


def failing(name: str, *jobs: str, code: int = 1) -> Manifest:
    """The manifest in which these Shell jobs end with an exit code."""
    manifest = load(name)
    for one in jobs:
        job(manifest, one)["params"]["annotations"] = {EXIT_CODE: str(code)}
    return manifest


def jobs_by_name(kubectl: Kubectl, pipeline: str) -> dict[str, dict[str, Any]]:
    return {one["spec"]["name"]: one for one in jobs_of(kubectl) if one["spec"]["pipeline"] == pipeline}


def test_rp01_to_rp05_run_from_their_files_to_their_ends(kubectl: Kubectl) -> None:
    files = [argument for name in NAMES for argument in ("-f", str(HERE / f"{name}.yaml"))]
    kubectl.ok("apply", *files)
    manifests = {load(name)["metadata"]["name"]: load(name) for name in NAMES}
    assert wait_all(kubectl) == dict.fromkeys(manifests, "DONE")
    again = kubectl.ok("apply", *files).splitlines()
    assert len(again) == len(NAMES)
    assert all(line.endswith("unchanged") for line in again)
    for name, manifest in manifests.items():
        found = jobs_by_name(kubectl, name)
        assert set(found) == {one["name"] for one in manifest["spec"]["jobs"]}
        assert {one["status"]["attempt"] for one in found.values()} == {1}
        stages = manifest["spec"]["stages"]
        times = [[found[one["name"]]["status"] for one in manifest["spec"]["jobs"] if one["stage"] == stage]
                 for stage in stages]  # fmt: skip
        for first, second in pairwise(times):
            assert max(one["completionTime"] for one in first) <= min(one["startTime"] for one in second)
    deployments = json.loads(kubectl.ok("get", "deployments", "-o", "json"))["items"]
    assert {one["metadata"]["name"]: one["status"].get("availableReplicas") for one in deployments} == {
        "web-staging": 2, "web": 6, "imgcls-serve": 3, "ledger-dev": 2, "ledger-int": 2, "ledger-prd": 8,
    }  # fmt: skip
    day = jobs_by_name(kubectl, "etl-2031-04-20")["extract-orders"]["spec"]["params"]["env"]["DAY"]
    assert day == "2031-04-20"


def test_rp01_rp05_their_faults_end_them_as_the_cases_state(kubectl: Kubectl) -> None:
    manifests = [
        failing("rp01", "scan_image", "scan_deps", "e2e-firefox"),
        failing("rp02", "gate", code=3),
        failing("rp03", "change-window", code=4),
        failing("rp04", "window-guard", code=75),
        failing("rp05", "clang"),
    ]
    kubectl.ok("create", "-f", "-", stdin={"apiVersion": "v1", "kind": "List", "items": manifests})
    webshop, imgcls, ledger, etl, libcore = (one["metadata"]["name"] for one in manifests)
    ends = {webshop: "DONE", imgcls: "ERROR", ledger: "ERROR", etl: "ERROR", libcore: "ERROR"}
    assert wait_all(kubectl) == ends
    pipelines = {one["metadata"]["name"]: one["status"] for one in
                 json.loads(kubectl.ok("get", "tpl", "-o", "json"))["items"]}  # fmt: skip
    assert pipelines[webshop]["warnings"] == 3
    for pipeline, name, code, attempts in (
        (imgcls, "gate", 3, 1), (ledger, "change-window", 4, 1), (etl, "window-guard", 75, 5), (libcore, "clang", 1, 2),
    ):  # fmt: skip
        status = jobs_by_name(kubectl, pipeline)[name]["status"]
        assert (status["state"], status["attempt"], status["attempts"][-1]["exitCode"]) == ("ERROR", attempts, code)
        assert f"exit code {code}" in status["message"]
        assert pipelines[pipeline]["failedJobs"] == [name]
    kinds = json.loads(kubectl.ok("get", "deployments", "-o", "json"))["items"]
    assert {one["metadata"]["name"] for one in kinds} == {"web-staging", "web", "ledger-dev", "ledger-int"}
    rows = kubectl.ok("get", "tpl").splitlines()
    assert max(len(row) for row in rows) <= 120
    assert {row.split()[0]: row.split()[1] for row in rows[1:]} == ends


def test_rp05_its_eighteen_rows_are_readable(kubectl: Kubectl) -> None:
    kubectl.ok("apply", "-f", str(HERE / "rp05.yaml"))
    assert wait_all(kubectl) == {"libcore-mr-2117": "DONE"}
    rows = kubectl.ok("get", "pjob", "--no-headers").splitlines()
    assert len(rows) == 18
    assert max(len(row) for row in rows) <= 160, max(rows, key=len)
