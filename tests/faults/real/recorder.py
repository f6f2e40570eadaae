"""Records every version of every object from watches of its own, one history for each namespace.

It asks the API server directly, never through a proxy, and goes on where it was when the API server comes back.
"""

import asyncio
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from task_pipeline.api.resources import Resource
from task_pipeline.kube.client import HttpCluster
from task_pipeline.kube.config import connect
from task_pipeline.kube.errors import Gone, KubeError
from tests.background import Background
from tests.cluster.polling import wait_for
from tests.faults.history import LEASES, RECORDED, History
from tests.onlooker import stop_watching

LEASE = Resource("coordination.k8s.io", "v1", LEASES, "Lease")
SECONDS = 60.0  # to start, on a machine that is busy
Object = dict[str, Any]


class View:
    """One namespace: its history, and what exists there now as resource -> name -> object."""

    def __init__(self) -> None:
        self.history = History()
        self.now: defaultdict[str, dict[str, Object]] = defaultdict(dict)
        self.changed = time.monotonic()
        """When something was last heard, in monotonic seconds."""

    def objects(self, resource: str) -> list[Object]:
        """What exists of a resource."""
        return list(self.now[resource].values())

    def states(self, resource: str) -> dict[str, str]:
        """The state of every object of a resource, by name."""
        return {name: state(thing) for name, thing in list(self.now[resource].items())}

    def see(self, resource: str, event: Object) -> None:
        """Take an event over."""
        self.history.see(resource, event, time.time())
        thing = event["object"]
        if event["type"] == "DELETED":
            self.now[resource].pop(thing["metadata"]["name"], None)
        else:
            self.now[resource][thing["metadata"]["name"]] = thing
        self.changed = time.monotonic()


class Recorder(Background):
    """A context manager; it records from `with` on, all namespaces. `gaps` counts places that were lost."""

    def __init__(self, kubeconfig: Path) -> None:
        super().__init__(SECONDS)
        self._kubeconfig = kubeconfig
        self._views: defaultdict[str, View] = defaultdict(View)
        self._lock = threading.Lock()
        self._tasks: list[asyncio.Task[None]] = []
        self._cluster: HttpCluster | None = None
        self.gaps = 0

    def of(self, namespace: str) -> View:
        """What is known of a namespace."""
        with self._lock:
            return self._views[namespace]

    def forget(self, namespace: str) -> History:
        """Stop remembering a namespace; returns its history."""
        with self._lock:
            view = self._views.pop(namespace, View())
        view.history.ended = time.time()
        return view.history

    def wait(self, what: str, met: Callable[[], bool], seconds: float = 60.0) -> None:
        """Wait until `met`; raises TimeoutError naming `what`, and whatever has ended a watch of the recorder."""

        def ask() -> bool:
            self.check()
            return met()

        wait_for(ask, what, seconds)

    def check(self) -> None:
        """Raises what has ended a watch, if something has."""
        for task in self._tasks:
            if task.done():
                raise RuntimeError("a watch of the recorder has ended") from task.exception()

    async def _start(self) -> None:
        connection = await connect(self._kubeconfig)
        connection.user_agent = "recorder"
        self._cluster = HttpCluster(connection)
        for resource in (*RECORDED, LEASE):
            version = await self._list(self._cluster, resource)
            self._tasks.append(self._loop.create_task(self._record(self._cluster, resource, version)))

    async def _stop(self) -> None:
        await stop_watching(self._tasks, self._cluster)

    async def _record(self, cluster: HttpCluster, resource: Resource, version: str) -> None:
        while True:
            try:
                async for line in cluster.watch(resource, None, resource_version=version):
                    version = self._hear(resource, orjson.loads(line))
            except Gone:
                self.gaps += 1
                version = await self._list(cluster, resource)
            except KubeError:  # the API server is away for a moment
                await asyncio.sleep(0.1)

    async def _list(self, cluster: HttpCluster, resource: Resource) -> str:
        """Take a whole list over, with what it lacks; returns its version."""
        token, alive = None, defaultdict[str, set[str]](set)
        while True:
            page = orjson.loads(await cluster.list(resource, None, continue_token=token))
            for item in page["items"]:
                self._see(resource.plural, {"type": "MODIFIED", "object": item})
                alive[item["metadata"].get("namespace", "")].add(item["metadata"]["uid"])
            token = page["metadata"].get("continue")
            if not token:
                break
        version: str = page["metadata"]["resourceVersion"]
        for namespace, view in list(self._views.items()):
            view.history.missing(resource.plural, alive[namespace], int(version), time.time())
            left = view.now[resource.plural]
            for name in [name for name, thing in left.items() if thing["metadata"]["uid"] not in alive[namespace]]:
                del left[name]
        return version

    def _hear(self, resource: Resource, event: Object) -> str:
        thing = event["object"]
        if event["type"] == "ERROR":
            raise Gone(thing.get("code", 410), thing.get("reason", ""), thing.get("message", ""))
        if event["type"] != "BOOKMARK":
            self._see(resource.plural, event)
        return str(thing["metadata"]["resourceVersion"])

    def _see(self, resource: str, event: Object) -> None:
        self.of(event["object"]["metadata"].get("namespace", "")).see(resource, event)


def state(thing: Object) -> str:
    """The state in an object's status."""
    found: str = thing.get("status", {}).get("state", "READY")
    return found
