"""One release of the chart on a cluster: installed, upgraded and asked by the tests."""

import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from tests.cluster import Cluster
from tests.cluster.polling import wait_for
from tests.contract.kubectl import Kubectl
from tests.install.helm import CHART, NAMESPACE, RELEASE, Answer, Document, Helm
from tests.install.test_rights import EVERYWHERE, Right, granted

TEAM = "team-a"
API = "https://10.96.0.1"  # where pods find the API server
SECONDS = 240
ROLLED = 180.0
NEXT = "0.2.0"  # a version that does not exist yet


class Use(NamedTuple):
    """One request of a program: the right that it needs, in which namespace, and the status of the answer."""

    program: str
    right: Right
    namespace: str
    status: int


@dataclass
class Release:
    """The release; `own` is kubectl in its namespace, `team` in one where Pipelines run."""

    cluster: Cluster
    helm: Helm
    values: dict[str, Any]
    name: str = RELEASE
    namespace: str = NAMESPACE
    team_namespace: str = TEAM
    chart: Path = CHART

    @property
    def fullname(self) -> str:
        """What the names of all objects begin with."""
        return self.name if CHART.name in self.name else f"{self.name}-{CHART.name}"

    @property
    def own(self) -> Kubectl:
        """kubectl in the namespace of the release."""
        return Kubectl(self.cluster.paths.kubectl, self.namespace)

    @property
    def team(self) -> Kubectl:
        """kubectl in the namespace of Pipelines."""
        return Kubectl(self.cluster.paths.kubectl, self.team_namespace)

    def call(self, *arguments: str, values: dict[str, Any] | None = None) -> Answer:
        """helm on the cluster; it must succeed."""
        environment = {"KUBECONFIG": str(self.cluster.kubeconfig)}
        command = (*arguments, "--namespace", self.namespace)
        answer = self.helm.run(*command, values=values, environment=environment, seconds=SECONDS)
        assert answer.code == 0, f"helm {' '.join(arguments)}: {answer.out} {answer.err}"
        return answer

    def put(self, verb: str, **values: Any) -> None:
        """Install or upgrade with these values beside those that it has, and wait until all pods are ready."""
        self.values |= values
        self.call(verb, self.name, str(self.chart), "--wait", "--timeout", "200s", values=self.values)

    def pods(self, component: str) -> list[Document]:
        """The pods of a program that are not on their way out."""
        selector = f"app.kubernetes.io/component={component},app.kubernetes.io/instance={self.name}"
        items = json.loads(self.own.ok("get", "pods", "-l", selector, "-o", "json"))["items"]
        return [pod for pod in items if "deletionTimestamp" not in pod["metadata"]]

    def address(self) -> str:
        """Where a pod of the server is reached from this machine and from other pods."""
        return f"http://{self.pods('server')[0]['status']['podIP']}:8090"

    def leader(self) -> str:
        """The pod that holds the Lease."""
        lease = json.loads(self.own.ok("get", "lease", "task-pipeline-operator", "-o", "json"))
        return str(lease["spec"].get("holderIdentity") or "").rpartition("_")[0]

    def settled(self, component: str, count: int) -> None:
        """Wait until exactly so many pods of the program are there."""
        wait_for(lambda: len(self.pods(component)) == count, f"{count} pods of the {component}", ROLLED)

    def client_secret(self, client: str) -> str:
        """A secret for a client that exists."""
        command = [sys.executable, "-m", "task_pipeline.entrypoints.client_secret", client]
        command += ["--namespace", self.namespace, "--kubeconfig", str(self.cluster.kubeconfig)]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.strip()

    def granted(self, program: str) -> set[Right]:
        """The rights of a program's service account, which are for the whole cluster or for its own namespace."""
        everything: list[Document] = []
        for kinds in ("clusterroles,clusterrolebindings", "roles,rolebindings"):
            answer = self.own.ok("get", kinds, "-l", f"app.kubernetes.io/instance={self.name}", "-o", "json")
            everything += json.loads(answer)["items"]
        places = granted(everything, f"{self.fullname}-{program}")
        assert places.keys() <= {EVERYWHERE, self.namespace}
        return set[Right]().union(*places.values())

    def uses(self) -> Iterator[Use]:
        """Every request of a program of the release in the audit log. An apply that creates needs two rights."""
        prefix = f"system:serviceaccount:{self.namespace}:{self.fullname}-"
        with self.cluster.audit_log.open(encoding="utf-8") as lines:
            for line in lines:
                event = json.loads(line)
                user, reference = event["user"].get("username", ""), event.get("objectRef")  # none: an unknown token
                if event["stage"] != "ResponseComplete" or not user.startswith(prefix) or reference is None:
                    continue
                resource = "/".join(filter(None, [reference["resource"], reference.get("subresource")]))
                right = (reference.get("apiGroup", ""), resource, event["verb"], reference.get("name", ""))
                place = reference.get("namespace", EVERYWHERE)
                status = event["responseStatus"]["code"]
                yield Use(user.removeprefix(prefix), right, place, status)
                if (event["verb"], status) == ("patch", 201):
                    yield Use(user.removeprefix(prefix), (*right[:2], "create", ""), place, status)

    def used(self, rights: set[Right], program: str) -> tuple[set[Right], Counter[Right]]:
        """Which of its rights a program has used, and what it was refused."""
        found, refused = set(), Counter[Right]()
        for use in self.uses():
            if use.program != program:
                continue
            if use.status == 403:
                refused[use.right] += 1
            found |= {one for one in ((*use.right[:3], ""), use.right) if one in rights}
        return found, refused


def next_chart(folder: Path) -> Path:
    """A chart of the next version, put into `folder`: other labels on every object, and a CRD with one more field."""
    target = folder / CHART.name
    shutil.copytree(CHART, target)
    about = yaml.safe_load((target / "Chart.yaml").read_text())
    about |= {"version": NEXT, "appVersion": NEXT}
    (target / "Chart.yaml").write_text(yaml.safe_dump(about))
    crd = target / "templates" / "crds" / "pipelines.yaml"
    before, first, after = crd.read_text().partition("              clientId:\n")
    assert first, "where is spec.clientId?"
    added = "              note:\n                type: string\n"
    crd.write_text(before + added + first + after)
    return target
