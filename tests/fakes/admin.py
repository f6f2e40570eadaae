"""What a test does to the fake cluster as its user and administrator.

Rule: synchronous, at once, outside of journal and faults; objects come and go as plain dicts, which are copies. Only
`wait_for` takes time, and that is the loop's.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from task_pipeline.api.resources import NAMESPACES, Resource
from task_pipeline.kube.errors import NotFound
from tests.fakes.patches import edit_of
from tests.fakes.quota import QUOTAS
from tests.fakes.registry import Registry, Target
from tests.fakes.selectors import matcher
from tests.fakes.store import Change, Object, copied
from tests.fakes.timers import Timers

KUBECTL = "kubectl"
LOOK_SECONDS = 1.0
T = TypeVar("T")


class Admin:
    """Reads and writes past the request path. `namespace` is "default" where it is not given."""

    def __init__(self, registry: Registry, timers: Timers) -> None:
        self._registry = registry
        self._timers = timers
        self._news = asyncio.Event()
        registry.store.listeners.append(self._tell)

    def create(self, resource: Resource, body: Object, namespace: str | None = None) -> Object:
        """A new object, in the body's own namespace if it names one; the kind and apiVersion may be left out."""
        place = namespace or body.get("metadata", {}).get("namespace") or "default"
        return _dict(self._registry.create(resource, place, copied(body), KUBECTL))

    def apply(
        self,
        resource: Resource,
        body: Object,
        namespace: str = "default",
        *,
        manager: str = KUBECTL,
        force: bool = False,
    ) -> Object:
        """A server-side apply by `manager`."""
        target = Target(resource, namespace, body["metadata"]["name"])
        return _dict(self._registry.apply(target, copied(body), manager=manager, force=force))

    def patch(
        self,
        resource: Resource,
        name: str,
        body: Object | list[Object],
        namespace: str = "default",
        *,
        subresource: str | None = None,
    ) -> Object:
        """A merge patch (a dict) or a JSON patch (a list)."""
        target = Target(resource, namespace, name)
        edit = edit_of(copied(body))
        return _dict(self._registry.update(target, edit, subresource=subresource, manager=KUBECTL))

    def status(self, resource: Resource, name: str, namespace: str = "default", **fields: Any) -> Object:
        """Merge fields into the status."""
        return self.patch(resource, name, {"status": fields}, namespace, subresource="status")

    def delete(
        self,
        resource: Resource,
        name: str,
        namespace: str = "default",
        *,
        propagation: str = "Background",
        grace: float | None = None,
    ) -> None:
        """Ask for the object's removal; `grace` overrides a pod's grace period, in seconds."""
        self._registry.delete(Target(resource, namespace, name), propagation=propagation, grace=grace)

    def get(self, resource: Resource, name: str, namespace: str = "default") -> Object:
        """The object; raises NotFound."""
        return _dict(self._registry.existing(Target(resource, namespace, name)))

    def find(self, resource: Resource, name: str, namespace: str = "default") -> Object | None:
        """The object, or None."""
        try:
            return self.get(resource, name, namespace)
        except NotFound:
            return None

    def list(self, resource: Resource, namespace: str | None = None, selector: str | None = None) -> list[Object]:
        """All objects, of one namespace or of all, that match a label selector."""
        matches = matcher(selector)
        things = self._registry.store.items(resource, namespace)
        return [_dict(thing) for thing in things if matches(thing["metadata"].get("labels", {}))]

    def namespace(self, name: str) -> None:
        """Make a namespace."""
        self._registry.create(NAMESPACES, None, {"metadata": {"name": name}}, KUBECTL)

    def quota(self, namespace: str, hard: Mapping[str, int], name: str = "quota") -> None:
        """Limit a namespace, e.g. `{"pods": 2}` or `{"count/jobs.batch": 5}`; the same name again: another limit."""
        limits = {key: str(value) for key, value in hard.items()}
        body = {"metadata": {"name": name}, "spec": {"hard": limits}}
        self._registry.apply(Target(QUOTAS, namespace, name), body, manager=KUBECTL, force=True)

    async def wait_for(self, predicate: Callable[[], T], seconds: float = 60.0, what: str = "") -> T:
        """Wait until `predicate` gives something true, and return that. AssertionError after `seconds`.

        It is asked after every change in the cluster and once a second.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while True:
            self._timers.check()
            result = predicate()
            if result:
                return result
            left = deadline - loop.time()
            if left <= 0:
                raise AssertionError(f"{what or 'what was waited for'}: not within {seconds} s")
            self._news.clear()
            try:
                async with asyncio.timeout(min(left, LOOK_SECONDS)):
                    await self._news.wait()
            except TimeoutError:
                continue

    def _tell(self, change: Change) -> None:
        self._news.set()


def _dict(thing: Object) -> Object:
    result: Object = copied(thing)
    return result
