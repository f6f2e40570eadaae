"""`make demo`: a release, from `kubectl apply` to a served page, on a cluster of its own or on KUBECONFIG's.

Nothing is left running, whatever happens; KEEP=1 keeps the cluster and the operator's work to look at.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from tests.cluster import Cluster, ClusterConfig, ClusterError, NodeMode
from tests.demo.progress import follow
from tests.operators import ROOT, OperatorProcess, install
from tests.programs import ProgramError

FOLDER = ROOT / ".demo"
NAMESPACE = "task-pipeline-demo"
MANIFEST = ROOT / "examples" / "release.yaml"
PATIENCE = 300.0

console = Console(highlight=False, soft_wrap=True)


class DemoError(Exception):
    """The demo did not come to its end; the text says where and why."""


def main() -> int:
    """Exit code 0 when the release is DONE and served, 1 otherwise, 130 after Ctrl-C."""
    signal.signal(signal.SIGTERM, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
    began = time.monotonic()
    try:
        with _cluster() as (kubeconfig, kubectl), _operator(kubeconfig) as operator:
            _show(Kubectl(kubectl, kubeconfig), operator)
    except KeyboardInterrupt:
        console.print("[bold]stopped[/]")
        return 130
    except (DemoError, ClusterError, ProgramError, TimeoutError) as error:
        console.print(f"[bold red]the demo failed:[/] {error}", markup=True)
        return 1
    console.print(f"[bold green]the demo is over[/] after {time.monotonic() - began:.0f} s")
    return 0


class Kubectl:
    """kubectl, bound to the demo's namespace."""

    def __init__(self, program: str, kubeconfig: Path) -> None:
        self._program = program
        self._environment = {**os.environ, "KUBECONFIG": str(kubeconfig)}

    def __call__(self, *arguments: str) -> str:
        """The output of a call; raises DemoError with kubectl's own words when it fails."""
        done = subprocess.run(
            [self._program, "-n", NAMESPACE, *arguments],
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if done.returncode:
            raise DemoError(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def show(self, *arguments: str) -> str:
        """Call it as a user would, on the screen."""
        console.print(f"\n[bold]$ kubectl {' '.join(arguments)}[/]")
        output = self(*arguments)
        console.print(output.rstrip(), markup=False)
        return output


@contextmanager
def _cluster() -> Iterator[tuple[Path, str]]:
    given = os.environ.get("KUBECONFIG")
    if given:
        program = shutil.which("kubectl")
        if program is None:
            raise DemoError("KUBECONFIG is given, but there is no kubectl on the PATH: install it, or unset KUBECONFIG")
        console.print(f"using the cluster of KUBECONFIG={given}")
        yield Path(given).resolve(), program
        return
    cluster = Cluster.up(ClusterConfig(dir=FOLDER / "cluster", nodes=NodeMode.AUTO))
    try:
        yield cluster.kubeconfig, str(cluster.paths.kubectl)
    finally:
        if os.environ.get("KEEP"):
            console.print(f"kept: export KUBECONFIG={cluster.kubeconfig}")
            console.print("stop it with: make cluster-down CLUSTER_DIR=.demo/cluster")
        else:
            cluster.down()
            shutil.rmtree(FOLDER, ignore_errors=True)


@contextmanager
def _operator(kubeconfig: Path) -> Iterator[OperatorProcess]:
    install(kubeconfig)
    FOLDER.mkdir(exist_ok=True)
    operator = OperatorProcess(kubeconfig, FOLDER / "operator.log", {"TASK_PIPELINE_RETRY_BACKOFF": "2"})
    try:
        operator.start()
        yield operator
    finally:
        if operator.running:
            operator.stop()


def _show(kubectl: Kubectl, operator: OperatorProcess) -> None:
    console.print(f"\nthe operator runs, its log is {operator.log.relative_to(ROOT)}")
    _fresh_namespace(kubectl)
    try:
        _release(kubectl)
    finally:
        if not os.environ.get("KEEP"):
            kubectl("delete", "namespace", NAMESPACE, "--wait=false")


def _fresh_namespace(kubectl: Kubectl) -> None:
    kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=50s")
    kubectl("create", "namespace", NAMESPACE)


def _release(kubectl: Kubectl) -> None:
    kubectl.show("apply", "-f", str(MANIFEST.relative_to(ROOT)))
    state = follow(kubectl, "release", lambda line: console.print(f"  {line}", markup=False), seconds=PATIENCE)
    kubectl.show("get", "tpl,pjob")
    if state != "DONE":
        raise DemoError(f"the release ended {state}")
    _logs_and_page(kubectl)
    before = kubectl("get", "pods,jobs,pjob", "-o", "name")
    again = kubectl.show("apply", "-f", str(MANIFEST.relative_to(ROOT)))
    time.sleep(2)  # long enough for an operator that would launch something
    if "unchanged" not in again or kubectl("get", "pods,jobs,pjob", "-o", "name") != before:
        raise DemoError("applying the same file again changed something")
    console.print("applied again: nothing was launched")


def _logs_and_page(kubectl: Kubectl) -> None:
    if "type=kwok" in kubectl("get", "nodes", "--show-labels"):
        console.print("\nthe nodes are simulated: there are no logs and no page to show")
        return
    pod = kubectl("get", "pjob", "-o", "jsonpath={.items[?(@.spec.name=='integration')].status.workload.name}")
    kubectl.show("logs", pod)
    page = _pod_of("web", kubectl)
    kubectl.show("get", "--raw", f"/api/v1/namespaces/{NAMESPACE}/pods/{page}:8080/proxy/")


def _pod_of(deployment: str, kubectl: Kubectl) -> str:
    names = kubectl("get", "pods", "-o", "name").split()
    return next(name.removeprefix("pod/") for name in names if name.startswith(f"pod/{deployment}-"))


if __name__ == "__main__":
    sys.exit(main())
