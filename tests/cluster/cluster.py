"""A local cluster: the Python side of `up`, `status` and `down`.

Rule: a folder holds at most one cluster. `up` is idempotent; one command at a time works on a folder.
"""

import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import msgspec

from tests.cluster import commands, controlplane, processes, realnode, simulated
from tests.cluster import state as states
from tests.cluster.client import Client
from tests.cluster.config import ClusterError, ClusterRequest, NodeMode
from tests.cluster.paths import CHECKOUT, ClusterPaths
from tests.cluster.report import Report
from tests.cluster.start import Start
from tests.cluster.state import ClusterState, Process
from tests.cluster.stop import stop, stop_orphans


class ClusterConfig(ClusterRequest, frozen=True, kw_only=True):
    """What `Cluster.up` is asked for: the folder and the request."""

    dir: Path = CHECKOUT / ".cluster"

    def request(self) -> ClusterRequest:
        """The part that the state file keeps."""
        values = {name: getattr(self, name) for name in ClusterRequest.__struct_fields__}
        return ClusterRequest(**values)


class Cluster:
    """A cluster that was started, and how to reach it."""

    def __init__(self, paths: ClusterPaths, state: ClusterState, *, fresh: bool = False) -> None:
        self.paths = paths
        self.state = state
        self.fresh = fresh
        """Whether this call of `up` has started it."""

    @classmethod
    def up(cls, config: ClusterConfig | None = None, report: Report | None = None) -> Self:
        """The cluster of the folder: the one that runs already, else a new one.

        Raises ClusterError when it cannot be started, or runs with another request.
        """
        if sys.platform != "linux":
            raise ClusterError("the local cluster needs Linux; elsewhere set KUBECONFIG to a cluster")
        config, report = config or ClusterConfig(), report or Report()
        paths, request = ClusterPaths(config.dir), config.request()
        with states.locked(paths, report):
            running = _running(paths, request, report)
            if running:
                return cls(paths, running)
            return cls(paths, Start(paths, request, report).run(), fresh=True)

    @classmethod
    def at(cls, folder: Path) -> Self | None:
        """The cluster that `up` has completed in this folder, running or not; None when there is none."""
        paths = ClusterPaths(folder)
        state = states.load(paths)
        return cls(paths, state) if state and state.complete else None

    @property
    def kubeconfig(self) -> Path:
        """Kubeconfig of the user `admin`, who may do everything."""
        return self.paths.kubeconfig

    @property
    def server(self) -> str:
        """URL of the API server."""
        return self.state.server

    @property
    def token(self) -> str:
        """Token of the user `admin`."""
        return self.state.tokens[controlplane.ADMIN]

    @property
    def ca_file(self) -> Path:
        """Certificate with which to verify the API server."""
        return self.paths.ca_file

    @property
    def audit_log(self) -> Path:
        """The API server's audit log, one JSON document per line; empty unless asked for."""
        return self.paths.audit_log

    def audit_events(self, since: int = 0) -> list[dict[str, Any]]:
        """The requests that the audit log holds, one entry per answer (and one per beginning watch).

        `since` leaves out the first bytes of the log: its size when the counting began. An entry may come
        a moment after its answer, so counts are to be polled.
        """
        with self.audit_log.open("rb") as file:
            file.seek(since)
            return [json.loads(line) for line in file if line.endswith(b"\n")]

    @property
    def client(self) -> Client:
        """A small client of the user `admin`."""
        return Client(self.server, self.ca_file, self.token)

    def token_of(self, user: str) -> str:
        """Token of an extra user of the request."""
        return self.state.tokens[user]

    def kubeconfig_of(self, user: str) -> Path:
        """Kubeconfig of an extra user of the request."""
        return self.paths.user_kubeconfig(user)

    def kubectl(self, *arguments: str, seconds: float = 30.0, check: bool = True) -> str:
        """Standard output of this cluster's kubectl; raises ClusterError when it fails."""
        return commands.run([self.paths.kubectl, *arguments], seconds=seconds, check=check)

    def load_image(self, archive: Path) -> None:
        """Give the real node the images of an archive as `docker save` writes it."""
        realnode.load_image(self.paths, archive)

    def ended(self) -> list[Process]:
        """Programs that should run and do not."""
        return [process for process in self.state.processes if not processes.alive(process)]

    def healthy(self) -> bool:
        """Whether all programs run and the API server is ready."""
        return not self.ended() and self.client.ready()

    def nodes_in_words(self) -> str:
        """How many nodes of which sort are ready, for the screen."""
        nodes = self.client.request("GET", "/api/v1/nodes")["items"]
        ready = [node["metadata"]["name"] for node in nodes if simulated.is_ready(node)]
        real = sum(1 for name in ready if not name.startswith(simulated.PREFIX))
        return f"{len(ready)} of {len(nodes)} ready ({real} real, {len(ready) - real} simulated)"

    def down(self, report: Report | None = None) -> None:
        """Stop everything and remove what the cluster has written; no error when nothing runs."""
        down(self.paths.root, report or Report(quiet=True))


def down(folder: Path, report: Report) -> bool:
    """Stop the folder's cluster, complete or not, and remove it; says whether there was one."""
    paths = ClusterPaths(folder)
    if not paths.root.is_dir():
        return stop_orphans(paths)
    with states.locked(paths, report):
        state = states.load(paths)
        if state is not None:
            stop(paths, state)
        found = state is not None or stop_orphans(paths)
        with suppress(OSError):
            paths.root.rmdir()
    return found


def _running(paths: ClusterPaths, request: ClusterRequest, report: Report) -> ClusterState | None:
    state = states.load(paths)
    if state is None:
        if stop_orphans(paths):
            report.say(f"{paths.root}: stopped what still ran for this folder")
        return None
    if not state.complete or not Cluster(paths, state).healthy():
        report.say(f"{paths.root}: removing what an earlier start has left")
        stop(paths, state)
        return None
    if not _serves(state, request):
        raise ClusterError(f"{paths.root}: a cluster of another sort runs here; stop it first with `down`")
    return state


def _serves(state: ClusterState, request: ClusterRequest) -> bool:
    """Whether what runs is what was asked for; an audit log that nobody asked for does no harm."""
    wished = {
        NodeMode.AUTO: True,
        NodeMode.REAL: state.real and not state.simulated,
        NodeMode.SIMULATED: not state.real,
        NodeMode.BOTH: state.real and state.simulated,
    }
    runs = state.request
    same = msgspec.structs.replace(request, nodes=runs.nodes, audit=request.audit or runs.audit) == runs
    return wished[request.nodes] and same
