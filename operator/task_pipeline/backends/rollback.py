"""Taking a Deployment back to its previous revision after a failed rollout.

Rule: it can be repeated. The mark of the attempt, written together with the old template, tells that it was done, so a
crash before the failure is told leads neither to a second step back nor to the same one forth. A rollback is a write,
not an apply, so its fields are handed over to our applies afterwards: else each later one would conflict with it.
"""

from typing import Any

import msgspec

from task_pipeline.api.group import ANNOTATION_ROLLED_BACK, FIELD_MANAGER
from task_pipeline.api.resources import DEPLOYMENTS, REPLICA_SETS
from task_pipeline.kube.cluster import Cluster
from task_pipeline.kube.errors import NotFound

_REVISION = "deployment.kubernetes.io/revision"

Object = dict[str, Any]


async def roll_back(cluster: Cluster, namespace: str, name: str, uid: str, mark: str) -> str:
    """Give the Deployment the pod template of its previous revision, once for each `mark`; returns what was done.

    Raises Conflict when somebody changes it meanwhile: it is to be tried again.
    """
    try:
        current: Object = msgspec.json.decode(await cluster.get(DEPLOYMENTS, namespace, name))
    except NotFound:
        current = {}
    if current.get("metadata", {}).get("uid") != uid:
        return "the Deployment is gone, nothing was rolled back"
    if current["metadata"].get("annotations", {}).get(ANNOTATION_ROLLED_BACK) != mark:
        previous = await _previous(cluster, current)
        if previous is None:
            return "there is no earlier revision to roll back to"
        current = await _restore(cluster, current, previous, mark)
    await _hand_over(cluster, current)
    return "rolled back to the revision before"


async def _restore(cluster: Cluster, current: Object, template: Object, mark: str) -> Object:
    meta = current["metadata"]
    annotations = meta.get("annotations", {}) | {ANNOTATION_ROLLED_BACK: mark}
    raw = await cluster.patch(
        DEPLOYMENTS,
        meta["namespace"],
        meta["name"],
        [
            {"op": "replace", "path": "/metadata/resourceVersion", "value": meta["resourceVersion"]},  # stale: 409
            {"op": "add", "path": "/metadata/annotations", "value": annotations},
            {"op": "replace", "path": "/spec/template", "value": template},
        ],
    )
    restored: Object = msgspec.json.decode(raw)
    return restored


async def _previous(cluster: Cluster, current: Object) -> Object | None:
    """The pod template of the newest revision before the present one, from the Deployment's ReplicaSets."""
    meta = current["metadata"]
    now = int(meta.get("annotations", {}).get(_REVISION, "0"))
    found: list[tuple[int, Object]] = []
    token: str | None = None
    while True:
        page = msgspec.json.decode(await cluster.list(REPLICA_SETS, meta["namespace"], limit=100, continue_token=token))
        for item in page["items"]:
            owners = item["metadata"].get("ownerReferences", ())
            revision = int(item["metadata"].get("annotations", {}).get(_REVISION, "0"))
            if revision < now and any(owner["uid"] == meta["uid"] for owner in owners):
                found.append((revision, item["spec"]["template"]))
        token = page["metadata"].get("continue")
        if not token:
            break
    if not found:
        return None
    template = max(found, key=lambda pair: pair[0])[1]
    template["metadata"].get("labels", {}).pop("pod-template-hash", None)
    return template


async def _hand_over(cluster: Cluster, current: Object) -> None:
    """Make what we own by a write what we have applied."""
    meta = current["metadata"]
    before = meta.get("managedFields", [])
    after = handed_over(before)
    if after == before:
        return
    await cluster.patch(
        DEPLOYMENTS,
        meta["namespace"],
        meta["name"],
        [
            {"op": "replace", "path": "/metadata/resourceVersion", "value": meta["resourceVersion"]},  # stale: 409
            {"op": "replace", "path": "/metadata/managedFields", "value": after},
        ],
    )


def handed_over(entries: list[Object]) -> list[Object]:
    """The managedFields in which our entry for writes has become a part of the one for our applies."""
    ours = [one for one in entries if one.get("manager") == FIELD_MANAGER and not one.get("subresource")]
    written = [one for one in ours if one.get("operation") == "Update"]
    applied = next((one for one in ours if one.get("operation") == "Apply"), None)
    if not written or applied is None:
        return entries
    fields = applied.get("fieldsV1", {})
    for one in written:
        fields = _union(fields, one.get("fieldsV1", {}))
    joined = {**applied, "fieldsV1": fields}
    return [joined if one is applied else one for one in entries if one not in written]


def _union(one: Object, other: Object) -> Object:
    """Two sets of fields in one: FieldsV1 are nested maps."""
    return {**one, **{name: _union(one.get(name, {}), inner) for name, inner in other.items()}}
