"""What the documentation shows, on a real API server: manifests are taken, runs end as the pages say, commands work.

Nodes are simulated, so scripts do not run: `tests.pages` tells how a page says what a script would have done.
"""

import json
import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from task_pipeline.entrypoints import client_secret
from tests.cluster import Cluster
from tests.contract.kubectl import Kubectl, manifest
from tests.operators import OperatorProcess
from tests.pages import PAGES, ROOT, Block, blocks, simulate
from tests.real.pipelines import FINAL
from tests.servers import ServerProcess
from tests.tutorial import PAGE, Reader

pytestmark = pytest.mark.cluster

BLOCKS = [block for page in PAGES for block in blocks(page)]
FOREIGN = ("argoproj.io", "tekton.dev", "fluxcd.io", "kustomize.config.k8s.io", "monitoring.coreos.com")
PATIENCE = 90.0


def objects(block: Block) -> Iterator[dict[str, Any]]:
    """The whole objects of a block whose group the API server knows."""
    for document in block.documents():
        if isinstance(document, dict) and {"apiVersion", "kind", "metadata"} <= set(document):
            if not document["apiVersion"].split("/")[0].endswith(FOREIGN):
                yield document


def test_every_manifest_is_taken_by_the_api_server(installed: Cluster, kubectl: Kubectl) -> None:
    """Also the Roles, claims and CronJobs beside the Pipelines; the mistakes of the tutorial are refused."""
    shown = [(block, thing) for block in BLOCKS for thing in objects(block)]
    assert len(shown) > 60
    known = set(kubectl.ok("get", "namespaces", "-o", "jsonpath={.items[*].metadata.name}").split())
    for name in {thing["metadata"].get("namespace") for _, thing in shown} - known - {None}:
        kubectl.ok("create", "namespace", str(name))
    for block, thing in shown:
        api = Kubectl(installed.paths.kubectl, thing["metadata"].get("namespace", kubectl.namespace))
        verb = ("apply", "--server-side", "--force-conflicts") if "name" in thing["metadata"] else ("create",)
        answer = api.run(*verb, "--dry-run=server", "--validate=strict", "-f", "-", stdin=thing)
        assert (answer.code != 0) == block.broken, f"{block.place}: {answer.out}{answer.err}"


def test_pipelines_end_as_their_pages_say(installed: Cluster, kubectl: Kubectl, operator: OperatorProcess) -> None:
    shown = [block for block in BLOCKS if block.end and block.page != PAGE]
    assert len(shown) > 8
    program = installed.paths.kubectl
    homes = {block: Kubectl(program, f"{kubectl.namespace}-{number}") for number, block in enumerate(shown)}
    for block, home in homes.items():
        home.ok("create", "namespace", home.namespace)
        for one in block.manifests():
            one = simulate(one, block)
            one["metadata"].pop("namespace", None)
            home.ok("create", "-f", "-", stdin=one)
    deadline = time.monotonic() + PATIENCE
    for block, home in homes.items():
        assert ends(home, deadline) == {block.end}, f"{block.place}: {home.ok('get', 'tpl,pjob')}"
        home.ok("delete", "namespace", home.namespace, "--wait=false")


def ends(kubectl: Kubectl, deadline: float) -> set[tuple[str, str]]:
    """State and reason of each Pipeline of the namespace, once all are final or the time is over."""
    while True:
        items = json.loads(kubectl.ok("get", "tpl", "-o", "json"))["items"]
        now = {(item["status"]["state"], item["status"].get("reason", "")) for item in items}
        if all(state in FINAL for state, _ in now) or time.monotonic() > deadline:
            return now
        time.sleep(0.2)


def test_the_tutorial_can_be_followed_to_its_end(operator: OperatorProcess, installed: Cluster, tmp_path: Path) -> None:
    """Every command of the tutorial after the installation, as it stands there; what it shows is compared."""
    reader = Reader(installed, tmp_path)
    try:
        assert reader.follow(simulated=True) > 35
    finally:
        reader.leave()


@pytest.fixture
def rest(installed: Cluster, kubectl: Kubectl, tmp_path: Path) -> Iterator[dict[str, str]]:
    """A REST server and a client of the namespace, as the environment of the script for CI."""
    own, name, log = (
        Kubectl(installed.paths.kubectl, "task-pipeline"),
        f"ci-{secrets.token_hex(4)}",
        tmp_path / "server.log",
    )
    own.ok("create", "-f", "-", stdin=manifest("PipelineClient", name, {"namespaces": [kubectl.namespace]}))
    made = CliRunner().invoke(client_secret.main, ["--kubeconfig", str(installed.kubeconfig), name])
    log.touch()
    server = ServerProcess(installed.kubeconfig, log)
    server.start()
    secret = made.stdout.strip()
    yield os.environ | {
        "SERVER": f"http://127.0.0.1:{server.port}", "NAMESPACE": kubectl.namespace, "CLIENT": name, "SECRET": secret,
    }  # fmt: skip
    server.kill()
    own.ok("delete", "pclient", name)


@pytest.mark.skipif(shutil.which("jq") is None or shutil.which("curl") is None, reason="no curl or no jq here")
def test_the_script_for_ci_ends_as_the_run_does(
    rest: dict[str, str], operator: OperatorProcess, tmp_path: Path
) -> None:
    found = {block.title: block for block in blocks(ROOT / "docs" / "how-to" / "from-ci.md")}
    script, body = found["run-pipeline.sh"].text, json.loads(found["pipeline.json"].text)
    answers = []
    for key, code in (("first", "0"), ("first", "0"), ("second", "3")):
        body["spec"]["jobs"][0]["params"]["annotations"] = {"simulate.test/exit-code": code}
        (tmp_path / "pipeline.json").write_text(json.dumps(body))
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=tmp_path,
            env=rest | {"KEY": key},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        answers.append(done)
    assert [done.returncode for done in answers] == [0, 0, 1], answers
    assert "DONE Succeeded" in answers[0].stdout
    assert "--- unit: ExitCode" in answers[2].stdout
