"""Lists in pages, over one namespace, several, or all of them.

Rule: the token that a caller gets holds the API server's own token, the resource and the namespace that it is for, and
nothing that would give rights: every page is asked for anew, within what the caller may see. Objects come in small
chunks and are slimmed at once, since one Pipeline may be a megabyte.
"""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import orjson

from task_pipeline.api.resources import Resource
from task_pipeline.kube.cluster import Cluster
from task_pipeline.kube.errors import Invalid
from task_pipeline.server.problem import problem
from task_pipeline.server.upstream import Object, persistently

CHUNK = 25  # objects of one request
MAX_REQUESTS = 40  # requests for one page: a page may be shorter than asked for, and still have a continue token


@dataclass(frozen=True, slots=True)
class Listing:
    """What of a resource is wanted. `namespaces` are sorted; (None,) stands for all. `slim` makes the item of the
    answer from an object, or None for one that is not meant.
    """

    resource: Resource
    namespaces: Sequence[str | None]
    slim: Callable[[Object], Object | None]
    selector: str | None = None
    fields: str | None = None


async def page(cluster: Cluster, wanted: Listing, limit: int, token: str | None) -> Object:
    """`{items, metadata: {continue}}`; raises KubeError, or ProblemError 400 for a token that is none."""
    start, upstream = _place(token, wanted.resource.plural)
    namespaces = [name for name in wanted.namespaces if (name or "") >= start]
    if namespaces and (namespaces[0] or "") != start:
        upstream = ""
    items: list[Object] = []
    requests = 0
    while namespaces and len(items) < limit and requests < MAX_REQUESTS:
        objects, upstream = await _chunk(cluster, wanted, namespaces[0], min(CHUNK, limit - len(items)), upstream)
        items += [item for item in map(wanted.slim, objects) if item is not None]
        requests += 1
        if not upstream:
            namespaces.pop(0)
    rest = _token(wanted.resource.plural, namespaces[0] or "", upstream) if namespaces else None
    return {"items": items, "metadata": {"continue": rest} if rest else {}}


async def _chunk(
    cluster: Cluster, wanted: Listing, namespace: str | None, limit: int, token: str
) -> tuple[list[Object], str]:
    try:
        raw = await persistently(
            lambda: cluster.list(
                wanted.resource,
                namespace,
                selector=wanted.selector,
                fields=wanted.fields,
                limit=limit,
                continue_token=token or None,
            )
        )
    except Invalid as error:
        path = "query.continue" if "continue" in error.message else "query.labelSelector"
        raise problem(400, "InvalidQuery", error.message, [(path, error.message)]) from error
    found = orjson.loads(raw)
    return found["items"], found["metadata"].get("continue") or ""


def _token(*place: str) -> str:
    return urlsafe_b64encode(orjson.dumps(place)).decode().rstrip("=")


def _place(token: str | None, plural: str) -> tuple[str, str]:
    if not token:
        return "", ""
    try:
        of, namespace, upstream = orjson.loads(urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        if of == plural and isinstance(namespace, str) and isinstance(upstream, str):
            return namespace, upstream
    except (binascii.Error, ValueError, TypeError):
        pass
    text = "this is no token of this list: take metadata.continue of the page before, as it is"
    raise problem(400, "InvalidQuery", text, [("query.continue", text)])
