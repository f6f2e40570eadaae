"""What a local cluster is asked to be.

Rule: the values are plain and frozen, so that the folder's state file can hold the whole request and
`up` can tell whether the cluster that runs already is the one that was asked for.
"""

from enum import StrEnum

import msgspec

KUBERNETES_VERSION = "1.37.2"
GO_VERSION = (1, 26)


class NodeMode(StrEnum):
    """Which nodes run the pods."""

    AUTO = "auto"
    """A real node where this machine can run one, otherwise simulated nodes."""
    REAL = "real"
    """One node with real containers; an error where this machine cannot run one."""
    SIMULATED = "simulated"
    """Nodes whose pods end as their annotations say, without any container."""
    BOTH = "both"
    """A real node, and simulated nodes for pods that tolerate the taint `simulate.test/node`."""


class ClusterError(Exception):
    """The cluster could not be brought up or asked; the text names the place and the way out."""


class User(msgspec.Struct, frozen=True):
    """A user of the API server next to `admin`, for tests of roles; gets a token of its own."""

    name: str
    groups: tuple[str, ...] = ()


class ClusterRequest(msgspec.Struct, frozen=True):
    """What was asked for, apart from the folder."""

    nodes: NodeMode = NodeMode.AUTO
    simulated_nodes: int = 10
    pods_per_node: int = 5000
    audit: bool = False
    users: tuple[User, ...] = ()
