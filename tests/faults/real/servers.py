"""etcd and the API server are killed under load, and started again at once; nothing that was acknowledged is lost.

etcd keeps its data on the disk here and waits for it (fsync). A SIGKILL leaves the machine running, so this shows that
nothing is acknowledged before it is handed to the kernel; it is no test of a power cut.
"""

import contextlib
import os
import random
import shutil
import signal
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from tests.cluster import Cluster, build, controlplane, processes
from tests.cluster.controlplane import Endpoints
from tests.cluster.polling import wait_for
from tests.cluster.state import Process
from tests.faults.history import History
from tests.faults.real import checking
from tests.faults.real.load import Load, after, lost
from tests.faults.real.place import Place, Site, place
from tests.faults.report import Entry
from tests.faults.rules import Violation
from tests.faults.scene import hash_of, status_of

READY_SECONDS = 90.0
# After a restart the API server may not tell every version: what goes by each step is not judged then.
JUDGED = frozenset({"S1", "S8", "S9", "S11", "S13", "L1", "L2", "L3", "P3"})


class Servers:
    """The processes of a cluster's etcd and API server, which can be killed and started again."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._running = {process.name: process for process in cluster.state.processes}
        state = cluster.state
        self._commands: dict[str, Sequence[str | Path]] = {}
        binary = build.KUBERNETES.path()
        address = urlsplit(state.server)
        endpoints = Endpoints(address=address.hostname or "", api=address.port or 0, kubelet=0)
        self._commands["kube-apiserver"] = controlplane.api_server(binary, cluster.paths, endpoints, state)
        self._etcd = controlplane.etcd(binary, state)
        self._commands["etcd"] = self._etcd

    def to_disk(self) -> None:
        """Move etcd's data to the cluster's folder, and have etcd wait for the disk from now on."""
        self.kill("etcd", signal.SIGTERM)
        data = self._cluster.paths.root / "etcd"
        shutil.move(self._cluster.state.data, data)
        state = msgspec.structs.replace(self._cluster.state, data=str(data))
        command = controlplane.etcd(build.KUBERNETES.path(), state)
        self._commands["etcd"] = [part for part in command if part != "--unsafe-no-fsync"]
        self.start("etcd")
        wait_for(self._cluster.client.ready, "the API server", READY_SECONDS)

    def kill(self, name: str, number: int = signal.SIGKILL) -> None:
        """End one of the two, by its process id."""
        process = self._running[name]
        if processes.alive(process):
            os.kill(process.pid, number)
        wait_for(lambda: not processes.alive(process), f"the end of {name}", 20)

    def start(self, name: str) -> Process:
        """Start it again."""
        log = self._cluster.paths.logs / f"{name}.log"
        self._running[name] = processes.start(name, self._commands[name], log, self._cluster.state.marker)
        return self._running[name]

    def alive(self, name: str) -> bool:
        """Whether it runs."""
        return processes.alive(self._running[name])


def kills(site: Site, count: int, *, seed: int, operators: int = 2) -> Entry:
    """So many kills of etcd or the API server in turn, at random moments, while Pipelines run."""
    entry = Entry("etcd and API server killed under load", "real", seed=seed)
    rng, began = random.Random(seed), time.monotonic()
    servers = Servers(site.cluster)
    servers.to_disk()
    with _loaded(site, operators) as (at, load):
        for number in range(count):
            name = ("etcd", "kube-apiserver")[number % 2]
            load.until("a moment", after(rng.uniform(0.5, 3.0)), 10)
            servers.kill(name)
            servers.start(name)
            load.until(f"{name} again", lambda: _serves(site, servers), READY_SECONDS)
            load.until("a launch", Launches(at), READY_SECONDS)
            entry.cases += 1
        found = _drained(load)
        found += [Violation("log", 0, line) for line in at.faults()]
        assert at.proxy is not None
        acks = load.acks + checking.acks(at.proxy, "operator")
        history = site.recorder.forget(at.namespace)
    found += [one for one in checking.broken(history, checking.rules(None, None)) if one.id in JUDGED]
    found += [Violation("S10", 0, f"lost: {text}") for text in lost(history, acks)]
    found += [Violation("S1", 0, text) for text in miscounted(history)]
    if found:
        history.save(site.folder / f"{at.namespace}.jsonl")
    entry.violations += [{"case": "all kills", "id": one.id, "text": one.text} for one in found]
    entry.seconds = round(time.monotonic() - began, 1)
    entry.numbers = {"acknowledged writes": float(len(acks)), "Pipelines": float(len(load.acks))}
    return entry


def miscounted(history: History) -> list[str]:
    """Jobs that have not as many pods as attempts at the end, where nobody removes pods."""
    alive = history.final()
    pods = Counter(hash_of(one.object) for one in alive if one.resource == "pods")
    return [
        f"{one.name} has {pods[hash_of(one.object)]} pods for {status_of(one.object).get('attempt', 0)} attempts"
        for one in alive
        if one.resource == "pipelinejobs" and pods[hash_of(one.object)] != status_of(one.object).get("attempt", 0)
    ]


@contextlib.contextmanager
def _loaded(site: Site, operators: int) -> Iterator[tuple[Place, Load]]:
    with place(site, {"MAX_RUNNING_JOBS": "8", "TASK_PIPELINE_RETRY_BACKOFF": "0.2"}) as at:
        for number in range(operators):
            at.operator(POD_NAME=f"r{number}").launch()
        load = Load(at)
        load.until("a launch", Launches(at), READY_SECONDS)
        yield at, load


class Launches:
    """Whether there is a pod more than when this was made; operators that have ended are started again."""

    def __init__(self, at: Place) -> None:
        self._at = at
        self._before = self._count()

    def __call__(self) -> bool:
        for operator in self._at.operators:
            if not operator.running:
                operator.launch()
        return self._count() > self._before

    def _count(self) -> int:
        return sum(one.resource == "pods" and one.verb == "ADDED" for one in list(self._at.view.history.versions))


def _serves(site: Site, servers: Servers) -> bool:
    for name in ("etcd", "kube-apiserver"):
        if not servers.alive(name):
            servers.start(name)
    return site.cluster.client.ready()


def _drained(load: Load) -> list[Violation]:
    try:
        load.drain(180)
    except TimeoutError as error:
        return [Violation("L1", 0, str(error))]
    return []
