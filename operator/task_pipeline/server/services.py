"""What handlers may use: the cluster, the settings, the clock, and the two questions of who calls and whether it may.

Rule: nothing here remembers anything that matters; a replica that has just started answers like one that is old.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from aiohttp import web

from task_pipeline.core.workload import JobKind
from task_pipeline.kinds.registry import KINDS
from task_pipeline.kube.cluster import Cluster
from task_pipeline.server.auth.callers import Authenticator, Authorizer
from task_pipeline.server.places import Places
from task_pipeline.settings import Settings


def _now() -> datetime:
    return datetime.now(UTC)


def _unknown() -> int | None:
    return None


def _peer(request: web.Request) -> str:
    return request.remote or ""


@dataclass(frozen=True, slots=True)
class Services:
    """Handed to every handler in its Call. `now` gives the time of day in UTC.

    The authorizer is asked with the namespace "*" whether a caller may list the Pipelines of all namespaces.
    `queued` gives how many jobs of all clients are enqueued, None while that is not known without asking.
    `places` are the namespaces of the cluster.
    `address` tells whose request it is, for the audit log. `stopping` is set once the process has been told to stop:
    what is held open (long polls, streams) then ends by itself.
    """

    cluster: Cluster
    settings: Settings
    authenticator: Authenticator
    authorizer: Authorizer
    now: Callable[[], datetime] = _now
    kinds: Mapping[str, JobKind] = field(default_factory=lambda: KINDS)
    address: Callable[[web.Request], str] = _peer
    queued: Callable[[], int | None] = _unknown
    places: Places = field(default_factory=Places)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
