"""What a request to the API server asks for, read from its method and path: the labels of `api_requests_total`.

Rule: names and namespaces are never part of it. The grammar of the paths is that of `api.resources` and of Kubernetes.
"""

from functools import lru_cache

from task_pipeline.observability.catalog import API_REQUESTS
from task_pipeline.observability.meters import Meters

_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_ROOT = {"api": 3, "apis": 4}  # how many segments come before what is asked for


@lru_cache(maxsize=512)  # of a job's four requests three have a path that was seen a moment ago
def target_of(method: str, path: str) -> tuple[str, str]:
    """Verb and resource of a request, as roles have them: ("patch", "pipelinejobs/status")."""
    place, _, query = path.partition("?")
    parts = place.split("/")
    rest = parts[_ROOT[parts[1]] :]
    if rest[0] == "namespaces" and len(rest) > 2:
        del rest[:2]
    named = len(rest) > 1
    resource = f"{rest[0]}/{rest[2]}" if len(rest) > 2 else rest[0]
    verb = _VERBS.get(method)
    if verb is None:
        verb = "get" if named else "watch" if query.startswith("watch=true") else "list"
    return verb, resource


class ApiRequests:
    """Counts requests; to be called once for each, from any thread. `code` is 0 when no answer came."""

    def __init__(self, meters: Meters) -> None:
        self._series = meters.counter(API_REQUESTS)

    def __call__(self, method: str, path: str, code: int) -> None:
        verb, resource = target_of(method, path)
        self._series.of(verb, resource, str(code) if code else "none").inc()
