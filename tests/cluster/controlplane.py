"""The command lines of the control plane: etcd, API server, controller manager, scheduler.

Rule: everything listens on loopback, or on the private bridge of a real node, and nothing holds back the
tests: limits on request rates are far above what two cores can do.
"""

import secrets
from pathlib import Path
from typing import Any

import msgspec
import yaml

from tests.cluster import kubeconfig
from tests.cluster.config import ClusterRequest
from tests.cluster.paths import ClusterPaths
from tests.cluster.state import ClusterState

SERVICE_RANGE = "10.96.0.0/16"
SERVICE_ADDRESS = "10.96.0.1"
ADMIN = "admin"
MASTERS = "system:masters"
INTERNAL = ("kube-controller-manager", "kube-scheduler", "kubelet", "kwok")
UNLIMITED = ["--kube-api-qps=5000", "--kube-api-burst=10000"]
# No node of a test dies silently; rare heartbeats leave the audit log and the processor to the test.
NODE_GRACE = "20m"


class Endpoints(msgspec.Struct, frozen=True):
    """Where the API server (`api`) and the kubelet of a real node listen."""

    address: str
    api: int
    kubelet: int

    @property
    def server(self) -> str:
        """URL of the API server."""
        return f"https://{self.address}:{self.api}"


def new_tokens(request: ClusterRequest) -> dict[str, str]:
    """A fresh token for every user of the cluster."""
    return {name: secrets.token_urlsafe(24) for name in _groups(request)}


def write_users(paths: ClusterPaths, state: ClusterState) -> None:
    """Write the API server's list of tokens, and a kubeconfig for every user."""
    groups, tokens = _groups(state.request), state.tokens
    table = paths.pki / "tokens.csv"
    table.touch(mode=0o600)
    lines = [f'{tokens[name]},{name},{name},"{",".join(groups[name])}"' for name in groups]
    table.write_text("\n".join(lines) + "\n")
    for name in groups:
        target = paths.kubeconfig if name == ADMIN else paths.user_kubeconfig(name)
        kubeconfig.write(target, kubeconfig.document(state.server, paths.ca_file, name, tokens[name]))


def etcd(binary: Path, state: ClusterState) -> list[str | Path]:
    """etcd for tests: no waiting for the disk, since the data dies with the cluster.

    It asks nobody who he is, so it listens on sockets in a folder that only this user can enter.
    """
    client, peer = _etcd_url(state), f"unix://{state.private}/peer"
    return [
        binary,
        "etcd",
        "--name=local",
        f"--data-dir={state.data}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=local={peer}",
        "--quota-backend-bytes=8589934592",
        "--unsafe-no-fsync",
        "--log-level=warn",
    ]


def api_server(binary: Path, paths: ClusterPaths, endpoints: Endpoints, state: ClusterState) -> list[str | Path]:
    """The API server with tokens, RBAC and service accounts."""
    pki = paths.pki
    return [
        binary,
        "kube-apiserver",
        f"--etcd-servers={_etcd_url(state)}",
        f"--bind-address={endpoints.address}",
        f"--advertise-address={endpoints.address}",
        f"--secure-port={endpoints.api}",
        "--endpoint-reconciler-type=none",
        f"--cert-dir={pki}",
        f"--tls-cert-file={pki / 'server.crt'}",
        f"--tls-private-key-file={pki / 'server.key'}",
        f"--token-auth-file={pki / 'tokens.csv'}",
        "--anonymous-auth=false",
        "--authorization-mode=RBAC",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={pki / 'sa.pub'}",
        f"--service-account-signing-key-file={pki / 'sa.key'}",
        f"--service-cluster-ip-range={SERVICE_RANGE}",
        "--kubelet-preferred-address-types=Hostname",
        f"--kubelet-client-certificate={pki / 'client.crt'}",
        f"--kubelet-client-key={pki / 'client.key'}",
        "--allow-privileged",
        "--max-requests-inflight=3000",
        "--max-mutating-requests-inflight=2000",
        *_audit(paths, state.request),
    ]


def controller_manager(binary: Path, paths: ClusterPaths) -> list[str | Path]:
    """The controllers; they do not serve, so that they need no port."""
    return [
        binary,
        "kube-controller-manager",
        f"--kubeconfig={paths.user_kubeconfig('kube-controller-manager')}",
        f"--service-account-private-key-file={paths.pki / 'sa.key'}",
        f"--root-ca-file={paths.ca_file}",
        "--secure-port=0",
        "--leader-elect=false",
        *UNLIMITED,
        "--concurrent-job-syncs=50",
        "--terminated-pod-gc-threshold=0",
        f"--node-monitor-grace-period={NODE_GRACE}",
        "--node-monitor-period=5s",
    ]


def scheduler(binary: Path, paths: ClusterPaths) -> list[str | Path]:
    """The scheduler; like the controllers it serves nothing."""
    return [
        binary,
        "kube-scheduler",
        f"--kubeconfig={paths.user_kubeconfig('kube-scheduler')}",
        "--secure-port=0",
        "--leader-elect=false",
        *UNLIMITED,
    ]


def _etcd_url(state: ClusterState) -> str:
    return f"unix://{state.private}/client"


def _groups(request: ClusterRequest) -> dict[str, tuple[str, ...]]:
    groups: dict[str, tuple[str, ...]] = {user.name: user.groups for user in request.users}
    return {**groups, **dict.fromkeys((ADMIN, *INTERNAL), (MASTERS,))}


def _audit(paths: ClusterPaths, request: ClusterRequest) -> list[str]:
    if not request.audit:
        return []
    policy: dict[str, Any] = {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "omitManagedFields": True,
        "rules": [{"level": "Metadata"}],
    }
    file = paths.config / "audit.yaml"
    file.write_text(yaml.safe_dump(policy))
    paths.audit_log.touch(mode=0o600)
    return [f"--audit-policy-file={file}", f"--audit-log-path={paths.audit_log}", "--audit-log-maxsize=0"]
