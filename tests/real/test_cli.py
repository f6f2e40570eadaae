"""The command line as a process on a real API server: a run from submit to delete, exit codes, tables, the plugin."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster import Cluster
from tests.contract.cases import ACCEPTED, REFUSED, UNKNOWN_FIELDS, fresh
from tests.contract.kubectl import Kubectl, manifest
from tests.operators import ROOT, OperatorProcess
from tests.real.pipelines import create_all, shell, wait_all, wait_for_status

pytestmark = pytest.mark.cluster

MODULE = [sys.executable, "-m", "task_pipeline.entrypoints.cli"]
SECONDS = 90


class Tpctl:
    """The program in one namespace of the cluster."""

    def __init__(self, kubeconfig: Path, namespace: str) -> None:
        own = {"KUBECONFIG": str(kubeconfig), "PYTHONPATH": str(ROOT / "operator"), "NO_COLOR": "1"}
        self.environment = {**os.environ, **own}
        self.namespace = namespace

    def __call__(self, *arguments: str, stdin: Any = None) -> subprocess.CompletedProcess[str]:
        """One call; `stdin` is given as YAML."""
        return subprocess.run(
            [*MODULE, "-n", self.namespace, *arguments],
            input=None if stdin is None else yaml.safe_dump(stdin),
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )

    def ok(self, *arguments: str, stdin: Any = None) -> str:
        """The output of a call that must end with code 0."""
        done = self(*arguments, stdin=stdin)
        assert done.returncode == 0, (arguments, done.stdout, done.stderr)
        return done.stdout

    def ends(self, code: int, *arguments: str, stdin: Any = None) -> str:
        """All that is told by a call that must end with `code`."""
        done = self(*arguments, stdin=stdin)
        assert done.returncode == code, (arguments, done.stdout, done.stderr)
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr


@pytest.fixture
def tpctl(installed: Cluster, kubectl: Kubectl) -> Tpctl:
    """The program, in the test's namespace."""
    return Tpctl(installed.kubeconfig, kubectl.namespace)


def pipeline(name: str, *jobs: Any, **fields: Any) -> Any:
    stages = list(dict.fromkeys(job["stage"] for job in jobs))
    return manifest("Pipeline", name, {"stages": stages, "jobs": list(jobs)} | fields)


def test_a_run_from_submit_to_delete(tpctl: Tpctl, operator: OperatorProcess) -> None:
    body = pipeline("web", shell("unit", seconds=1), shell("ship", "t"))
    told = tpctl.ok("submit", "-f", "-", "--watch", stdin=body)
    assert told.startswith("pipeline/web created\n")
    assert "s/unit DONE Succeeded" in told
    assert "pipeline/web DONE Succeeded" in told
    head, row = tpctl.ok("list", "-o", "wide").splitlines()
    assert head.split() == ["NAME", "STATE", "REASON", "STAGE", "PROGRESS", "AGE", "CLIENT", "PRIORITY", "STARTED"]
    assert row.split()[:3] == ["web", "DONE", "Succeeded"]
    assert tpctl.ok("list", "-A", "--no-headers", "--state", "done").split()[:2] == [tpctl.namespace, "web"]
    assert tpctl.ok("get", "@latest").splitlines()[0].split()[1:3] == ["web", "DONE"]
    assert yaml.safe_load(tpctl.ok("get", "web", "-o", "yaml"))["spec"]["jobs"] == body["spec"]["jobs"]
    assert "web runs again (all)" in tpctl.ok("rerun", "web", "--all", "--wait")
    assert tpctl.ok("get", "web").splitlines()[0].split()[1:4] == ["web,", "run", "2"]
    assert tpctl.ok("delete", "web") == "pipeline/web deleted\n"
    assert "there is no Pipeline web" in tpctl.ends(5, "get", "web")


def test_failures_their_logs_and_another_run(tpctl: Tpctl, operator: OperatorProcess) -> None:
    body = pipeline("bad", shell("good"), shell("broken", exit_code=3), shell("never", "t"))
    assert "pipeline/bad ERROR JobFailed" in tpctl.ends(1, "submit", "-f", "-", "--wait", stdin=body)
    assert "ExitCode (broken)" in tpctl.ok("explain", "bad")
    logs = tpctl("logs", "bad", "--failed")  # a simulated node has no logs to give
    assert logs.returncode in (0, 1, 5)
    assert "Traceback" not in logs.stderr
    assert tpctl.ends(1, "rerun", "bad", "--wait").startswith("pipeline/bad runs again (failed)")


def test_waits_cancels_and_reasons(tpctl: Tpctl, operator: OperatorProcess, clients: Callable[..., None]) -> None:
    name = f"narrow-{tpctl.namespace[-8:]}"
    clients(**{name: {"maxRunningJobs": 1}})
    long = pipeline("long", shell("a", seconds=600), clientId=name)
    tpctl.ok("submit", "-f", "-", stdin=long)
    assert "has not ended within 1 s" in tpctl.ends(124, "wait", "long", "--timeout", "1s")
    tpctl.ok("submit", "-f", "-", stdin=pipeline("next", shell("a"), shell("b"), clientId=name, priority=3))
    wait_for_reason(tpctl, "next", "ClientLimit")
    explained = tpctl.ok("explain", "next")
    assert f"client {name} 1/1 running" in explained
    rows = [line.split() for line in tpctl.ok("queue", name, "--no-headers").splitlines() if "next" in line]
    assert [row[3] for row in rows] == ["a", "b"]
    assert rows[0][5] == "10/3/0/10"
    assert tpctl.ok("cancel", "long") == "pipeline/long is being cancelled\n"
    assert "pipeline/long CANCELLED" in tpctl.ends(4, "wait", "long")
    tpctl.ok("wait", "next")


def wait_for_reason(tpctl: Tpctl, name: str, reason: str) -> None:
    deadline = time.monotonic() + 30
    while reason not in tpctl.ok("explain", name):
        assert time.monotonic() < deadline, tpctl.ok("explain", name)


def test_what_the_api_server_refuses_lint_refuses_too(tpctl: Tpctl) -> None:
    wrong = {name: case.spec for name, case in REFUSED.items()} | {
        name: raw for name, (raw, _) in UNKNOWN_FIELDS.items()
    }
    chosen = ["unknown stage", "timeout 0", "in a job", "in the spec"]
    for name in chosen:
        body = manifest("Pipeline", "p", fresh(wrong[name]))
        for where in ("client", "server"):
            assert "<stdin>:" in tpctl.ends(1, "submit", "-f", "-", "--dry-run", where, stdin=body), name
    body = manifest("Pipeline", "p", fresh(ACCEPTED["the other spellings"]))
    assert "valid (server dry run)" in tpctl.ok("submit", "-f", "-", "--dry-run", "server", stdin=body)


def test_ctrl_c_leaves_the_run_going(tpctl: Tpctl, operator: OperatorProcess, kubectl: Kubectl, tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(yaml.safe_dump(pipeline("long", shell("a", seconds=600))))
    process = subprocess.Popen(
        [*MODULE, "-n", tpctl.namespace, "submit", "-f", str(path), "--watch"],
        env=tpctl.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 30
    while kubectl.run("get", "tpl", "long").code and time.monotonic() < deadline:
        time.sleep(0.1)
    wait_for_status(kubectl, "tpl/long", state="IN PROGRESS")
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "pipeline/long goes on; come back with" in told
    tpctl.ok("cancel", "long")
    wait_all(kubectl)


def test_kubectl_finds_the_plugin_and_its_completion(
    tpctl: Tpctl, installed: Cluster, kubectl: Kubectl, tmp_path: Path
) -> None:
    create_all(kubectl, {"web-1": {"stages": ["s"], "jobs": [shell("a")], "suspend": True}})
    for name, function in (("kubectl-taskpipeline", "main"), ("kubectl_complete-taskpipeline", "complete")):
        script = tmp_path / name
        script.write_text(f"#!{sys.executable}\nfrom task_pipeline.entrypoints.cli import {function}\n{function}()\n")
        script.chmod(0o755)
    environment = {**tpctl.environment, "PATH": f"{tmp_path}:{os.environ['PATH']}"}

    def call(*arguments: str) -> str:
        done = subprocess.run(
            [str(installed.paths.kubectl), *arguments], env=environment, capture_output=True, text=True,
            timeout=SECONDS, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "web-1" in call("taskpipeline", "list", "-n", kubectl.namespace)
    assert "explain" in call("__complete", "taskpipeline", "ex")
    assert "web-1" in call("__complete", "taskpipeline", "get", "-n", kubectl.namespace, "web")
