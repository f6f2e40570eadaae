"""What a real node leaves in the machine, and taking it away.

Rule: everything here works without containerd and the kubelet, which may have been killed, and touches only
what lies under this cluster's folders or carries its name.
"""

import re
import socket
from contextlib import suppress
from pathlib import Path

from tests.cluster import kernel, network, packages
from tests.cluster.commands import run
from tests.cluster.config import ClusterError
from tests.cluster.paths import ClusterPaths
from tests.cluster.realnode import NodeFiles

_RESULTS = Path("/var/lib/cni/results")
_LINKS = Path("/var/log/containers")
_KUBELET = (Path("/var/lib/kubelet/device-plugins"), Path("/var/lib/kubelet"))
_SHIMS = (Path("/run/containerd/s"), Path("/run/containerd"))


def kill_containers(paths: ClusterPaths) -> None:
    """End all containers of the node and remove their control groups."""
    root = NodeFiles(paths).runc / "k8s.io"
    if root.is_dir():
        for container in sorted(root.iterdir()):
            run(["runc", "--root", root, "delete", "--force", container.name], check=False)


def remove(paths: ClusterPaths) -> None:
    """Take away mounts, links, rules and settings; to be called when all programs have ended.

    Raises ClusterError when a mount or the bridge cannot be removed.
    """
    _unmount(paths)
    network.remove(paths.bridge)
    _remove_network_results(paths)
    _remove_log_links(paths)
    _remove_dead_socket(_KUBELET[0] / "kubelet.sock")
    for folder in _shared_folders():
        with suppress(OSError):
            folder.rmdir()
    kernel.give_back(paths.id)


def _unmount(paths: ClusterPaths) -> None:
    for point in reversed(_mounts(paths)):
        run(["umount", "--lazy", point], check=False)
    if remaining := _mounts(paths):
        raise ClusterError(f"could not unmount {remaining[0]}; see `fuser -vm`, then run `down` again")


def _mounts(paths: ClusterPaths) -> list[str]:
    """Mount points under the cluster's folders, in the order in which they were mounted."""
    points = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        point = re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), line.split()[4])
        if any(Path(point).is_relative_to(folder) for folder in (paths.run, paths.node)):
            points.append(point)
    return points


def _remove_network_results(paths: ClusterPaths) -> None:
    """What the network plugins remember of pods that were killed."""
    sandboxes = NodeFiles(paths).containerd_root / "io.containerd.grpc.v1.cri" / "sandboxes"
    names = {sandbox.name for sandbox in sandboxes.glob("*")}
    names |= {result.name.rsplit("-", 2)[1] for result in _RESULTS.glob(f"{paths.bridge}-*-*")}
    for result in _RESULTS.glob("*-*-*"):
        if result.name.rsplit("-", 2)[1] in names:
            result.unlink(missing_ok=True)


def _remove_dead_socket(path: Path) -> None:
    """The kubelet has one place for devices on all machines; another kubelet may listen there by now."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
        except OSError:
            return


def _remove_log_links(paths: ClusterPaths) -> None:
    logs = NodeFiles(paths).pod_logs
    for link in _LINKS.glob("*.log"):
        if link.is_symlink() and link.readlink().is_relative_to(logs):
            link.unlink(missing_ok=True)


def _shared_folders() -> list[Path]:
    """Folders that go when they are empty: another cluster or a container engine may use them too."""
    groups = [*packages.CGROUPS.glob("*/k8s.io"), packages.CGROUPS / "k8s.io"]
    return [_RESULTS, _RESULTS.parent, _LINKS, *groups, *_KUBELET, *_SHIMS]
