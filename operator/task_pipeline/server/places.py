"""The names of the cluster's namespaces, as they were up to KEEP_SECONDS ago.

Rule: what is asked about a caller goes through this list name by name, so it has a bound. Who asks about more is told.
"""

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import orjson

from task_pipeline.api.resources import NAMESPACES
from task_pipeline.kube.cluster import Cluster
from task_pipeline.server.auth.asking import Flights
from task_pipeline.server.upstream import persistently

KEEP_SECONDS = 10.0
PAGE = 500
MOST = 1000  # namespaces


class Names(NamedTuple):
    """The first MOST names, sorted; `cut`: there are more."""

    names: Sequence[str]
    cut: bool


class Places:
    """Remembers the names. `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: tuple[float, Names] | None = None  # until when
        self._flights: Flights[str, Names] = Flights()

    async def known(self, cluster: Cluster) -> Names:
        """The names. Raises KubeError."""
        if self._kept is not None and self._clock() < self._kept[0]:
            return self._kept[1]
        return await self._flights.join("list", partial(self._read, cluster))

    async def _read(self, cluster: Cluster) -> Names:
        names: list[str] = []
        token: str | None = None
        while True:
            read = partial(
                cluster.list, NAMESPACES, None, limit=min(PAGE, MOST), continue_token=token, metadata_only=True
            )
            page = orjson.loads(await persistently(read))
            names += [item["metadata"]["name"] for item in page["items"]]
            token = page["metadata"].get("continue") or None
            if token is None or len(names) >= MOST:
                break
        found = Names(sorted(names[:MOST]), token is not None or len(names) > MOST)
        self._kept = self._clock() + KEEP_SECONDS, found
        return found
