"""Where everything of the local cluster lies.

Rule: what belongs to one cluster lies under its folder, or carries the cluster's id in its name where a
kernel limit or speed forbids that (sockets under /run, etcd's data in memory, the bridge). What all
clusters share, the built programs, lies in the user's cache outside the checkout.
"""

import hashlib
import os
import tempfile
from pathlib import Path

SOURCES = Path(__file__).resolve().parent / "go"
MEMORY = Path("/dev/shm")
CHECKOUT = Path(__file__).resolve().parents[2]


def cache_dir() -> Path:
    """The folder of built programs: TASK_PIPELINE_CACHE, else `task-pipeline` in the user's cache."""
    override = os.environ.get("TASK_PIPELINE_CACHE")
    if override:
        return Path(override).expanduser().resolve()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "task-pipeline"


def _private_base() -> Path:
    """Memory where that can be written, else the folder for temporary files."""
    return MEMORY if os.access(MEMORY, os.W_OK) else Path(tempfile.gettempdir())


class ClusterPaths:
    """The files of one cluster; `id` is 8 hexadecimal digits drawn from its folder."""

    def __init__(self, root: Path) -> None:
        self.root = root.expanduser().resolve()
        self.id = hashlib.sha256(str(self.root).encode()).hexdigest()[:8]
        self.state = self.root / "state.json"
        self.kubeconfig = self.root / "kubeconfig"
        self.audit_log = self.root / "audit.log"
        self.logs = self.root / "log"
        self.pki = self.root / "pki"
        self.config = self.root / "config"
        self.programs = self.root / "bin"
        self.node = self.root / "node"
        self.run = Path("/run") / f"task-pipeline-{self.id}"
        self.bridge = f"tp{self.id}"
        self.private = _private_base() / f"task-pipeline-{self.id}"

    @property
    def ca_file(self) -> Path:
        """The certificate that signs the API server's."""
        return self.pki / "ca.crt"

    @property
    def kubectl(self) -> Path:
        """The kubectl of this cluster, bound to its kubeconfig."""
        return self.programs / "kubectl"

    def user_kubeconfig(self, user: str) -> Path:
        """The kubeconfig of a user other than `admin`."""
        return self.config / f"{user}.kubeconfig"

    def owned(self) -> list[Path]:
        """Everything that `down` removes from the cluster's folder."""
        named = (self.state, self.kubeconfig, self.audit_log)
        return [*named, self.logs, self.pki, self.config, self.programs, self.node, self.root / "etcd"]
