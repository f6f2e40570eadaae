"""The private network of a real node: a bridge, and the way from pods to the API server.

Rule: every link and every rule carries the name of this cluster's bridge, so that taking them away touches
nobody else's. Packets are not forwarded to other networks; pods reach each other and the API server.
"""

from pathlib import Path

from tests.cluster.commands import run
from tests.cluster.config import ClusterError
from tests.cluster.controlplane import SERVICE_ADDRESS
from tests.cluster.paths import ClusterPaths
from tests.cluster.state import Network


def plan(paths: ClusterPaths, api_port: int) -> Network:
    """A subnet that no address or route of this machine touches."""
    used = run(["ip", "-4", "route", "show", "table", "all"]) + run(["ip", "-4", "address"])
    seed = int(paths.id, 16)
    for offset in range(256):
        prefix = f"10.244.{(seed + offset) % 256}"
        if f"{prefix}." not in used:
            gateway = f"{prefix}.1"
            return Network(paths.bridge, f"{prefix}.0/24", gateway, api_port)
    raise ClusterError("all of 10.244.0.0/16 is in use; stop other clusters (`down`)")


def create(network: Network) -> None:
    """Make the bridge with its address, and the rules."""
    run(["ip", "link", "add", network.bridge, "type", "bridge"])
    run(["ip", "address", "add", f"{network.gateway}/24", "dev", network.bridge])
    run(["ip", "link", "set", network.bridge, "up"])
    for table, chain, rule in _rules(network):
        run(["iptables", "-w", "-t", table, "-I", chain, *rule])


def remove(bridge: str) -> None:
    """Take away a bridge and the rules that name it; what is not there is no error.

    Raises ClusterError when the bridge is still there afterwards.
    """
    for table in ("nat", "filter"):
        for line in run(["iptables", "-w", "-t", table, "-S"], check=False).splitlines():
            rule = line.split()
            if bridge in rule and rule[0] == "-A":
                run(["iptables", "-w", "-t", table, "-D", *rule[1:]])
    run(["ip", "link", "delete", bridge], check=False)
    if exists(bridge):
        raise ClusterError(f"could not remove the bridge; try `ip link delete {bridge}`")


def exists(bridge: str) -> bool:
    """Whether there is a network device of this name."""
    return Path("/sys/class/net", bridge).exists()


def conflist(network: Network, data: Path) -> dict[str, object]:
    """The network configuration that containerd hands to the plugins."""
    ipam = {
        "type": "host-local",
        "dataDir": str(data),
        "ranges": [[{"subnet": network.subnet, "gateway": network.gateway}]],
        "routes": [{"dst": "0.0.0.0/0", "gw": network.gateway}],
    }
    bridge = {"type": "bridge", "bridge": network.bridge, "hairpinMode": True, "ipam": ipam}
    return {"cniVersion": "0.4.0", "name": network.bridge, "plugins": [bridge]}


def _rules(network: Network) -> list[tuple[str, str, list[str]]]:
    """Pods call the API server by its service address; a firewall of the machine must not refuse them."""
    bridge, target = network.bridge, f"{network.gateway}:{network.api_port}"
    service = ["-i", bridge, "-d", f"{SERVICE_ADDRESS}/32", "-p", "tcp", "--dport", "443"]
    return [
        ("nat", "PREROUTING", [*service, "-j", "DNAT", "--to-destination", target]),
        ("filter", "INPUT", ["-i", bridge, "-j", "ACCEPT"]),
        ("filter", "FORWARD", ["-i", bridge, "-o", bridge, "-j", "ACCEPT"]),
    ]
