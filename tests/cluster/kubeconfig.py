"""The kubeconfig files of a cluster, and its kubectl.

Rule: a kubeconfig names one user with one token, holds the certificate itself (it can be copied anywhere),
and is readable by its owner only.
"""

import base64
import os
import shlex
from pathlib import Path
from typing import Any

import yaml

from tests.cluster.paths import ClusterPaths

NAME = "task-pipeline"


def document(server: str, ca_file: Path, user: str, token: str) -> dict[str, Any]:
    """A kubeconfig with one cluster, one user and one context."""
    ca = base64.b64encode(ca_file.read_bytes()).decode()
    context = {"cluster": NAME, "user": user}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": NAME,
        "clusters": [{"name": NAME, "cluster": {"server": server, "certificate-authority-data": ca}}],
        "users": [{"name": user, "user": {"token": token}}],
        "contexts": [{"name": NAME, "context": context}],
    }


def write(path: Path, content: dict[str, Any]) -> None:
    """Write a kubeconfig, readable by its owner only."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        yaml.safe_dump(content, file)


def write_kubectl(paths: ClusterPaths, binary: Path) -> None:
    """Write the wrapper `bin/kubectl` that always talks to this cluster."""
    paths.programs.mkdir(parents=True, exist_ok=True)
    exports = f"export KUBECONFIG={shlex.quote(str(paths.kubeconfig))}"
    paths.kubectl.write_text(f'#!/bin/sh\n{exports}\nexec {shlex.quote(str(binary))} kubectl "$@"\n')
    paths.kubectl.chmod(0o755)
