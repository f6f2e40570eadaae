"""Free ports for a cluster.

Rule: ports come from below the range from which the kernel takes ports of outgoing connections, so that a
port found free stays free; where the search begins depends on the folder, so that a cluster keeps its
ports from one `up` to the next where it can.
"""

import socket

from tests.cluster.config import ClusterError

FIRST, LAST = 20000, 29999


def free(count: int, seed: int, address: str = "127.0.0.1") -> list[int]:
    """`count` ports on which nobody listens at `address`, searched from a place that `seed` decides."""
    found: list[int] = []
    span = LAST - FIRST + 1
    for offset in range(span):
        port = FIRST + (seed + offset) % span
        if _is_free(port, address):
            found.append(port)
        if len(found) == count:
            return found
    raise ClusterError(f"no {count} free ports between {FIRST} and {LAST}; stop what listens there")


def _is_free(port: int, address: str) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return False
    return True
