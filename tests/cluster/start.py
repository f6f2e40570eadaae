"""Start a cluster.

Rule: what is about to be started is on disk before it starts; a start that does not come to its end (an
error, Ctrl-C) stops everything again and keeps only the logs.
"""

import secrets
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from tests.cluster import (
    build,
    controlplane,
    kernel,
    kubeconfig,
    network,
    packages,
    pki,
    ports,
    processes,
    realnode,
    simulated,
    stop,
)
from tests.cluster import state as states
from tests.cluster.client import ApiError, Client
from tests.cluster.config import ClusterError, ClusterRequest, NodeMode
from tests.cluster.controlplane import Endpoints
from tests.cluster.paths import MEMORY, ClusterPaths
from tests.cluster.report import Report
from tests.cluster.state import ClusterState, Network

START_SECONDS = 90.0
DATA_BYTES = 2 << 30


class Start:
    """One start of a cluster in its folder; `run` may be called once."""

    def __init__(self, paths: ClusterPaths, request: ClusterRequest, report: Report) -> None:
        self._paths = paths
        self._request = request
        self._report = report
        self._kubernetes = build.built(build.KUBERNETES, report)
        self._state, self._endpoints = self._plan()
        self._kwok = build.built(build.KWOK, report) if self._state.simulated else None
        self._client: Client | None = None

    def run(self) -> ClusterState:
        """Start everything and wait until it serves; returns the completed state.

        Raises ClusterError with the log of the program that failed.
        """
        try:
            self._files()
            self._control_plane()
            if self._state.network:
                self._real_node(self._state.network)
            if self._kwok:
                self._simulated_nodes(self._kwok)
            self._until("the default service account", self._service_account)
            self._record(msgspec.structs.replace(self._state, complete=True))
        except BaseException:
            with processes.uninterrupted():
                self._report.say("stopping what was started")
                stop.stop(self._paths, self._state, keep_logs=True)
            raise
        return self._state

    def _plan(self) -> tuple[ClusterState, Endpoints]:
        wish = self._request.nodes
        reason = None if wish is NodeMode.SIMULATED else self._reason_against_real_node()
        real = wish is not NodeMode.SIMULATED and reason is None
        api, kubelet = ports.free(2, int(self._paths.id, 16))
        net = network.plan(self._paths, api) if real else None
        address = net.gateway if net else "127.0.0.1"
        endpoints = Endpoints(address=address, api=api, kubelet=kubelet)
        state = ClusterState(
            request=self._request,
            marker=f"{self._paths.id}-{secrets.token_hex(8)}",
            server=endpoints.server,
            tokens=controlplane.new_tokens(self._request),
            private=str(self._paths.private),
            data=str(_data_folder(self._paths)),
            real=real,
            simulated=not real or wish is NodeMode.BOTH,
            note=f"no real node here, pods are simulated without containers: {reason}" if reason else "",
            network=net,
        )
        return state, endpoints

    def _reason_against_real_node(self) -> str | None:
        """Why there will be no real node; raises ClusterError where one was demanded."""
        obstacle = packages.obstacle(self._report)
        if obstacle is None or self._request.nodes is NodeMode.AUTO:
            return obstacle
        raise ClusterError(f"no real node on this machine: {obstacle}; --nodes simulated needs nothing")

    def _files(self) -> None:
        paths = self._paths
        shutil.rmtree(paths.logs, ignore_errors=True)
        states.save(paths, self._state)
        for folder in (self._state.private, self._state.data):
            Path(folder).mkdir(mode=0o700)
        addresses = ["127.0.0.1", controlplane.SERVICE_ADDRESS, self._endpoints.address]
        pki.create(paths, sorted(set(addresses)))
        controlplane.write_users(paths, self._state)
        kubeconfig.write_kubectl(paths, self._kubernetes)

    def _control_plane(self) -> None:
        binary, paths, endpoints = self._kubernetes, self._paths, self._endpoints
        with self._report.step("API server is ready"):
            if self._state.network:
                kernel.keep(paths.id)
                network.create(self._state.network)
                self._spawn("containerd", realnode.containerd(paths, self._state.network))
            self._spawn("etcd", controlplane.etcd(binary, self._state))
            api_server = controlplane.api_server(binary, paths, endpoints, self._state)
            self._spawn("kube-apiserver", api_server)
            self._until("the API server", self.client.ready)
        self._spawn("kube-controller-manager", controlplane.controller_manager(binary, paths))
        self._spawn("kube-scheduler", controlplane.scheduler(binary, paths))

    def _real_node(self, net: Network) -> None:
        paths = self._paths
        with self._report.step("a real node is ready"):
            self._until("containerd", lambda: realnode.serving(paths))
            realnode.load_own_images(paths)
            port = self._endpoints.kubelet
            self._spawn("kubelet", realnode.kubelet(self._kubernetes, paths, net, port))
            self._until("the real node", lambda: realnode.ready(self.client))

    def _simulated_nodes(self, kwok: Path) -> None:
        count = self._request.simulated_nodes
        with self._report.step(f"{count} simulated nodes are ready"):
            self._spawn("kwok", simulated.kwok(kwok, self._paths))
            simulated.create_nodes(self.client, self._request, tainted=self._state.real)
            self._until("simulated nodes", lambda: simulated.ready_nodes(self.client) >= count)

    @property
    def client(self) -> Client:
        """The user `admin`; not to be used before the certificates are there."""
        if self._client is None:
            admin = self._state.tokens[controlplane.ADMIN]
            self._client = Client(self._state.server, self._paths.ca_file, admin)
        return self._client

    def _service_account(self) -> bool:
        try:
            self.client.request("GET", "/api/v1/namespaces/default/serviceaccounts/default")
        except ApiError as error:
            if error.status == 404:
                return False
            raise
        return True

    def _spawn(self, name: str, command: Sequence[str | Path]) -> None:
        with processes.uninterrupted():
            log = self._paths.logs / f"{name}.log"
            process = processes.start(name, command, log, self._state.marker)
            started = (*self._state.processes, process)
            self._record(msgspec.structs.replace(self._state, processes=started))

    def _record(self, state: ClusterState) -> None:
        self._state = state
        states.save(self._paths, state)

    def _until(self, what: str, check: Callable[[], bool]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not check():
            for process in self._state.processes:
                if not processes.alive(process):
                    raise ClusterError(processes.dead_report(process))
            if time.monotonic() > deadline:
                raise ClusterError(f"{what}: not ready after {START_SECONDS:.0f} s; the logs are in {self._paths.logs}")
            time.sleep(0.05)


def _data_folder(paths: ClusterPaths) -> Path:
    """In memory where there is room for etcd's data, else in the cluster's folder."""
    in_memory = paths.private.is_relative_to(MEMORY) and shutil.disk_usage(MEMORY).free >= DATA_BYTES
    return paths.private / "etcd" if in_memory else paths.root / "etcd"
