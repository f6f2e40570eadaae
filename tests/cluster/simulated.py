"""Simulated nodes: KWOK plays the kubelet of nodes that do not exist.

Rule: a pod ends by itself, whoever owns it: at once with exit code 0, or as its annotations
`simulate.test/seconds` and `simulate.test/exit-code` say. Only the pods of a ReplicaSet keep running and
are ready. The stages are in stages.yaml; none of KWOK's own are used.
"""

from pathlib import Path
from typing import Any

import yaml

from tests.cluster.client import Client
from tests.cluster.config import ClusterRequest
from tests.cluster.paths import ClusterPaths

LABEL = "simulate.test/node"
PREFIX = "simulated-"
STAGES = Path(__file__).with_name("stages.yaml")
# Renewed every quarter of it; see the controller manager's grace for nodes.
LEASE_SECONDS = 600


def kwok(binary: Path, paths: ClusterPaths) -> list[str | Path]:
    """KWOK with the stages of this folder; it serves nothing, so that it needs no port."""
    options = {
        "apiVersion": "config.kwok.x-k8s.io/v1alpha1",
        "kind": "KwokConfiguration",
        "options": {
            "manageNodesWithLabelSelector": LABEL,
            "nodeLeaseDurationSeconds": LEASE_SECONDS,
            "nodeLeaseParallelism": 1,
            "nodePlayStageParallelism": 1,
            "podPlayStageParallelism": 16,
            "podsOnNodeSyncParallelism": 1,
            "enablePodsOnNodeSyncListPager": True,
            "cidr": "10.0.0.0/24",
            "enableProfilingHandler": False,
        },
    }
    config = paths.config / "kwok.yaml"
    config.write_text(yaml.safe_dump(options) + "---\n" + STAGES.read_text())
    return [binary, f"--kubeconfig={paths.user_kubeconfig('kwok')}", f"--config={config}", "--v=WARN"]


def create_nodes(client: Client, request: ClusterRequest, *, tainted: bool) -> None:
    """Create the nodes; they are ready a moment later.

    With `tainted` only pods that tolerate the taint `simulate.test/node` go there.
    """
    for number in range(request.simulated_nodes):
        client.request("POST", "/api/v1/nodes", node(number, request.pods_per_node, tainted=tainted))


def ready_nodes(client: Client, selector: str = LABEL) -> int:
    """How many nodes with the label are ready and take pods."""
    nodes = client.request("GET", f"/api/v1/nodes?labelSelector={selector}")["items"]
    return sum(1 for item in nodes if is_ready(item))


def is_ready(item: dict[str, Any]) -> bool:
    """Whether a node is ready and free of the taint that keeps pods away until it is."""
    conditions = item.get("status", {}).get("conditions", [])
    taints = [taint["key"] for taint in item["spec"].get("taints", [])]
    ready = any(entry["type"] == "Ready" and entry["status"] == "True" for entry in conditions)
    return ready and "node.kubernetes.io/not-ready" not in taints


def node(number: int, pods: int, *, tainted: bool) -> dict[str, Any]:
    """A simulated node with room for `pods` pods of any size."""
    room = {"cpu": "100k", "memory": "1Pi", "ephemeral-storage": "1Pi", "pods": str(pods)}
    name = f"{PREFIX}{number}"
    taints = [{"key": LABEL, "effect": "NoSchedule"}] if tainted else []
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {LABEL: "true", "kubernetes.io/hostname": name}},
        "spec": {"taints": taints},
        "status": {"capacity": room, "allocatable": room},
    }
