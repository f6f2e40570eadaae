"""Resource quotas: how many objects a namespace may hold.

Rule: counts only (`pods`, `count/jobs.batch`, `count/pipelinejobs.taskpipeline.dev`), measured when an object is
made; a pod that has ended does not count as `pods`.
"""

from task_pipeline.api.resources import PODS, Resource
from tests.fakes import refusals
from tests.fakes.store import Object, Store

QUOTAS = Resource("", "v1", "resourcequotas", "ResourceQuota")


class Quotas:
    """An admission for the registry."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def __call__(self, resource: Resource, new: Object) -> None:
        """Raise Forbidden when the new object exceeds a quota of its namespace."""
        namespace = new["metadata"].get("namespace")
        for quota in self._store.items(QUOTAS, namespace) if namespace else ():
            for name, limit in quota["spec"].get("hard", {}).items():
                used = self._used(resource, namespace, name)
                if used is not None and used >= int(limit):
                    text = f"requested: {name}=1, used: {name}={used}, limited: {name}={limit}"
                    why = f"exceeded quota: {quota['metadata']['name']}, {text}"
                    raise refusals.forbidden(resource, new["metadata"]["name"], why)

    def _used(self, resource: Resource, namespace: str, name: str) -> int | None:
        """How many there are already of what `name` counts; None when that is not this resource."""
        counted = f"count/{resource.plural}" + (f".{resource.group}" if resource.group else "")
        things = self._store.items(resource, namespace)
        if name == counted:
            return len(things)
        if name == "pods" and resource == PODS:
            return sum(pod["status"].get("phase") not in ("Succeeded", "Failed") for pod in things)
        return None
