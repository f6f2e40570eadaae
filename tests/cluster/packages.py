"""What a real node needs of this machine, and getting what is missing.

Rule: only a program that is missing leads to its package, so that a container engine that is installed
already is never replaced; where something cannot be had, the reason is text for the screen.
"""

import os
import shutil
from pathlib import Path

from tests.cluster.commands import run
from tests.cluster.config import ClusterError
from tests.cluster.report import Report

CNI_FOLDERS = (Path("/usr/lib/cni"), Path("/opt/cni/bin"))
CNI_PLUGINS = ("bridge", "host-local", "loopback")
CGROUPS = Path("/sys/fs/cgroup")
INSTALL_SECONDS = 600
_PROGRAMS = {
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "iptables": "iptables",
    "ip": "iproute2",
}


def obstacle(report: Report) -> str | None:
    """Why this machine cannot run a real node; None when it can. Installs missing packages when root."""
    if os.geteuid() != 0:
        return "it needs root"
    if not os.access(CGROUPS, os.W_OK) or not any(CGROUPS.iterdir()):
        return f"no control groups at {CGROUPS}"
    try:
        run(["unshare", "--mount", "--net", "true"])
    except ClusterError as error:
        return f"no rights to create namespaces ({error})"
    wanted = missing()
    if not wanted:
        return None
    try:
        with report.step(f"installed the Debian packages {' '.join(wanted)}"):
            _install(wanted)
    except ClusterError as error:
        return f"the Debian packages {' '.join(wanted)} are missing and could not be installed ({error})"
    return f"still missing after installing: {' '.join(missing())}" if missing() else None


def missing() -> list[str]:
    """The Debian packages of what is not here."""
    found = {package for program, package in _PROGRAMS.items() if shutil.which(program) is None}
    if cni_folder() is None:
        found.add("containernetworking-plugins")
    if busybox() is None:
        found.add("busybox-static")
    return sorted(found)


def cni_folder() -> Path | None:
    """The folder that holds the network plugins."""
    for folder in CNI_FOLDERS:
        if all((folder / plugin).exists() for plugin in CNI_PLUGINS):
            return folder
    return None


def busybox() -> Path | None:
    """A busybox that needs no library; the head of a dynamic one names the loader."""
    found = shutil.which("busybox")
    if found is None:
        return None
    with Path(found).open("rb") as file:
        return None if b"/ld-" in file.read(4096) else Path(found)


def _install(names: list[str]) -> None:
    if shutil.which("apt-get") is None:
        raise ClusterError("no apt-get here")
    environment = {"DEBIAN_FRONTEND": "noninteractive"}
    command = ["apt-get", "-o", "DPkg::Lock::Timeout=120", "-qq"]
    install = [*command, "install", "--yes", "--no-install-recommends", *names]
    try:
        run(install, seconds=INSTALL_SECONDS, env=environment)
    except ClusterError:
        run([*command, "update"], seconds=INSTALL_SECONDS, env=environment)
        run(install, seconds=INSTALL_SECONDS, env=environment)
