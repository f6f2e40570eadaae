"""What handlers may use: the cluster, the settings, the clock, and the two questions of who calls and whether it may.

Rule: nothing here remembers anything that matters; a replica that has just started answers like one that is old.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from task_pipeline.core.workload import JobKind
from task_pipeline.kinds.registry import KINDS
from task_pipeline.kube.cluster import Cluster
from task_pipeline.server.auth.callers import Authenticator, Authorizer
from task_pipeline.settings import Settings


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Services:
    """Handed to every handler in its Call. `now` gives the time of day in UTC.

    The authorizer is asked with the namespace "*" whether a caller may list the Pipelines of all namespaces.
    """

    cluster: Cluster
    settings: Settings
    authenticator: Authenticator
    authorizer: Authorizer
    now: Callable[[], datetime] = _now
    kinds: Mapping[str, JobKind] = field(default_factory=lambda: KINDS)
