"""A real node: containerd and a kubelet of this cluster alone.

Rule: both keep everything under this cluster's folders, next to a container engine that the machine may
have; sockets, state and mounts lie under a short path in /run, since a socket's path holds 107 characters.
"""

import json
from pathlib import Path
from typing import Any

import yaml

from tests.cluster import images, network, packages
from tests.cluster.client import Client
from tests.cluster.commands import run
from tests.cluster.config import ClusterError
from tests.cluster.paths import ClusterPaths
from tests.cluster.simulated import is_ready
from tests.cluster.state import Network

NODE = "localhost"
_SYS_RESOURCE = 24
_CONTAINERD = """\
version = 2
root = "{root}"
state = "{state}"
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs"]
[grpc]
  address = "{socket}"
[ttrpc]
  address = "{socket}.ttrpc"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  restrict_oom_score_adj = {restricted}
  netns_mounts_under_state_dir = true
  stream_server_address = "127.0.0.1"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{plugins}"
    conf_dir = "{networks}"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "{snapshotter}"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        Root = "{runc}"
        SystemdCgroup = false
"""


class NodeFiles:
    """Where the node keeps what."""

    def __init__(self, paths: ClusterPaths) -> None:
        self.socket = paths.run / "containerd.sock"
        self.containerd_state = paths.run / "containerd"
        self.runc = paths.run / "runc"
        self.kubelet = paths.run / "kubelet"
        self.containerd_root = paths.node / "containerd"
        self.networks = paths.node / "networks"
        self.addresses = paths.node / "addresses"
        self.pod_logs = paths.node / "pods"
        self.images = paths.node / "images"


def containerd(paths: ClusterPaths, net: Network) -> list[str | Path]:
    """Write containerd's configuration and say how to run it."""
    files = NodeFiles(paths)
    for folder in (files.networks, files.images, files.containerd_root, files.kubelet):
        folder.mkdir(parents=True, exist_ok=True)
    paths.run.chmod(0o700)
    networks = files.networks / "10-bridge.conflist"
    networks.write_text(json.dumps(network.conflist(net, files.addresses)))
    text = _CONTAINERD.format(
        root=files.containerd_root,
        state=files.containerd_state,
        socket=files.socket,
        pause=images.PAUSE,
        restricted="false" if _may_raise_limits() else "true",
        plugins=packages.cni_folder(),
        networks=files.networks,
        snapshotter=_snapshotter(paths.node),
        runc=files.runc,
    )
    config = paths.config / "containerd.toml"
    config.write_text(text)
    return ["containerd", "--config", config, "--log-level", "warn"]


def kubelet(binary: Path, paths: ClusterPaths, net: Network, port: int) -> list[str | Path]:
    """Write the kubelet's configuration and say how to run it."""
    files = NodeFiles(paths)
    config = paths.config / "kubelet.yaml"
    config.write_text(yaml.safe_dump(_kubelet_config(files, paths, port)))
    return [
        binary,
        "kubelet",
        f"--config={config}",
        f"--kubeconfig={paths.user_kubeconfig('kubelet')}",
        f"--root-dir={files.kubelet}",
        f"--cert-dir={files.kubelet / 'pki'}",
        f"--hostname-override={NODE}",
        f"--node-ip={net.gateway}",
    ]


def serving(paths: ClusterPaths) -> bool:
    """Whether containerd answers."""
    try:
        ctr(paths, "version", seconds=5)
    except ClusterError:
        return False
    return True


def load_own_images(paths: ClusterPaths) -> None:
    """Make the images of this machine's busybox and give them to containerd."""
    busybox = packages.busybox()
    if busybox is None:
        raise ClusterError("no static busybox here; install the Debian package busybox-static")
    folder = NodeFiles(paths).images
    images.write_busybox(folder / "busybox.tar", busybox)
    images.write_pause(folder / "pause.tar", busybox)
    for name in ("busybox.tar", "pause.tar"):
        load_image(paths, folder / name)


def load_image(paths: ClusterPaths, archive: Path) -> None:
    """Give containerd the images of an archive as `docker save` writes it."""
    ctr(paths, "images", "import", "--snapshotter", _snapshotter(paths.node), str(archive), seconds=120)


def ctr(paths: ClusterPaths, *arguments: str, seconds: float = 30.0) -> str:
    """Standard output of containerd's own client, in the namespace that the kubelet uses."""
    command = ["ctr", "--address", str(NodeFiles(paths).socket), "--namespace", "k8s.io", *arguments]
    return run(command, seconds=seconds)


def ready(client: Client) -> bool:
    """Whether the node is there and takes pods."""
    nodes = client.request("GET", "/api/v1/nodes")["items"]
    return any(item["metadata"]["name"] == NODE and is_ready(item) for item in nodes)


def _kubelet_config(files: NodeFiles, paths: ClusterPaths, port: int) -> dict[str, Any]:
    authentication = {
        "anonymous": {"enabled": False},
        "webhook": {"enabled": False},
        "x509": {"clientCAFile": str(paths.ca_file)},
    }
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": "127.0.0.1",
        "port": port,
        "healthzPort": 0,
        "authentication": authentication,
        "authorization": {"mode": "AlwaysAllow"},
        "containerRuntimeEndpoint": f"unix://{files.socket}",
        "podLogsDir": str(files.pod_logs),
        "failCgroupV1": False,
        "failSwapOn": False,
        "cgroupDriver": "cgroupfs",
        "cgroupsPerQOS": False,
        "enforceNodeAllocatable": [],
        "localStorageCapacityIsolation": False,
        "makeIPTablesUtilChains": False,
        "evictionHard": {"memory.available": "10Mi", "nodefs.available": "0%", "imagefs.available": "0%"},
        "imageGCHighThresholdPercent": 100,
        "clusterDomain": "cluster.local",
        "resolvConf": "",
        "maxPods": 200,
        "registryPullQPS": 0,
        "eventRecordQPS": 0,
        "kubeAPIQPS": 500,
        "kubeAPIBurst": 1000,
        "syncFrequency": "10s",
        "shutdownGracePeriod": "0s",
    }


def _may_raise_limits() -> bool:
    """Whether this process may lower the out-of-memory score of others (CAP_SYS_RESOURCE)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> _SYS_RESOURCE & 1)
    return False


def _snapshotter(folder: Path) -> str:
    """overlayfs where the folder's file system can carry it (an overlay cannot), else plain copies."""
    layers = {name: folder / "overlay" / name for name in ("lowerdir", "upperdir", "workdir", "merged")}
    for layer in layers.values():
        layer.mkdir(parents=True, exist_ok=True)
    options = ",".join(f"{name}={layer}" for name, layer in layers.items() if name != "merged")
    try:
        run(["mount", "-t", "overlay", "overlay", "-o", options, layers["merged"]])
    except ClusterError:
        return "native"
    run(["umount", layers["merged"]])
    return "overlayfs"
