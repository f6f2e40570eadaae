"""Ghosts: what vanished while a watch was being listed again, found by comparing with a list of the metadata."""

import asyncio
import logging
from collections.abc import Callable, Iterable

import msgspec

from task_pipeline.api.objects import ObjectMeta
from task_pipeline.api.resources import Resource
from task_pipeline.kube.cluster import Cluster
from task_pipeline.kube.errors import KubeError

log = logging.getLogger(__name__)

SETTLE_SECONDS = 0.5  # a relisting delivers its objects one by one, and each asks


class _Item(msgspec.Struct):
    metadata: ObjectMeta


class _Page(msgspec.Struct):
    metadata: dict[str, object]
    items: tuple[_Item, ...] | None = None  # the API server lists the metadata of nothing as null


class GhostHunter:
    """Compares, once for any number of `ask` calls in a row, and reports every UID that is gone.

    `lists` and `ghosts` count the comparisons, and what was gone.
    """

    def __init__(
        self,
        cluster: Cluster,
        resource: Resource,
        namespaces: tuple[str, ...],
        known: Callable[[], Iterable[str]],
        gone: Callable[[str], None],
    ) -> None:
        self._cluster = cluster
        self._resource = resource
        self._namespaces = namespaces
        self._known = known
        self._gone = gone
        self.lists = self.ghosts = 0
        self._task: asyncio.Task[None] | None = None

    def ask(self) -> None:
        """A watch has been listed again: compare soon."""
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._hunt())

    def stop(self) -> None:
        """Give up what is under way."""
        if self._task is not None:
            self._task.cancel()

    async def _hunt(self) -> None:
        while True:
            await asyncio.sleep(SETTLE_SECONDS)
            before = set(self._known())
            try:
                alive = await self._alive()
            except (KubeError, msgspec.DecodeError) as error:
                log.warning("cannot list %s: %s; trying again", self._resource.plural, error)
                continue
            self.lists += 1
            self.ghosts += len(before - alive)
            for uid in before - alive:
                self._gone(uid)
            return

    async def _alive(self) -> set[str]:
        alive: set[str] = set()
        for namespace in self._namespaces or (None,):
            token: str | None = None
            while True:
                raw = await self._cluster.list(self._resource, namespace, continue_token=token, metadata_only=True)
                page = msgspec.json.decode(raw, type=_Page)
                alive.update(item.metadata.uid for item in page.items or ())
                token = str(page.metadata.get("continue") or "") or None
                if token is None:
                    break
        return alive
