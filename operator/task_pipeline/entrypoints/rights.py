"""What each program of an installation may do in the cluster, once: the roles of the chart are made from this.

Rule: exactly what the code does. The rights of job kinds come from the kinds themselves, so that a kind and the rights
that its jobs need cannot drift apart. A rule is what stands in `rules` of a Role. The HTTP runner has no rights.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from task_pipeline.api.group import GROUP
from task_pipeline.core.workload import JobKind
from task_pipeline.entrypoints.requester import needs
from task_pipeline.kinds.registry import BUILT_IN

Rule = dict[str, list[str]]

OPERATOR_LEASE = "task-pipeline-operator"
SERVER_KEYS = "task-pipeline-server-keys"

_READ = ("get", "list", "watch")
_WRITE = ("create", "delete", "deletecollection", "patch", "update")


def rule(group: str, resources: str, verbs: Iterable[str], *names: str) -> Rule:
    """One rule; `resources` are plurals with commas between, `names` restrict it to these objects."""
    made = {"apiGroups": [group], "resources": resources.split(","), "verbs": sorted(verbs)}
    return {**made, "resourceNames": list(names)} if names else made


def _of_kinds(kinds: Sequence[JobKind]) -> list[Rule]:
    """The rights that the operator needs for jobs of these kinds, one rule for each resource."""
    verbs: dict[tuple[str, str], set[str]] = {}
    for kind in kinds:
        for right in kind.rights:
            verbs.setdefault((right.resource.group, right.resource.plural), set()).update(right.verbs)
    return [rule(group, plural, found) for (group, plural), found in sorted(verbs.items())]


# In every namespace that it watches. kopf lists clients there too, though they live in the operator's own.
OPERATOR_WATCHED: tuple[Rule, ...] = (
    rule(GROUP, "pipelines", (*_READ, "delete")),
    rule(GROUP, "pipelinejobs", (*_READ, "create", "delete", "patch")),
    rule(GROUP, "pipelines/status,pipelinejobs/status", ["patch"]),
    rule("events.k8s.io", "events", ["create"]),
    *_of_kinds(BUILT_IN),
)
OPERATOR_CLIENTS: tuple[Rule, ...] = (rule(GROUP, "pipelineclients", ["list", "watch"]),)
OPERATOR_OWN: tuple[Rule, ...] = (
    rule(GROUP, "pipelineclients/status", ["patch"]),
    rule("coordination.k8s.io", "leases", ["create"]),
    rule("coordination.k8s.io", "leases", ["get", "update"], OPERATOR_LEASE),
)
# With Roles only, kopf lists both kinds in the operator's namespace as well.
OPERATOR_OWN_NAMESPACED: tuple[Rule, ...] = (rule(GROUP, "pipelines", ["list", "watch"]),)

SERVER_WATCHED: tuple[Rule, ...] = (
    rule(GROUP, "pipelines", (*_READ, "create", "delete", "patch")),
    rule(GROUP, "pipelinejobs", (*_READ, "patch")),
    rule(GROUP, "pipelinejobs/status", ["patch"]),
    rule("", "pods", ["list"]),
    rule("", "pods/log", ["get"]),
)
# For callers who may list in some namespaces only: they are asked about one by one.
SERVER_NAMESPACES: tuple[Rule, ...] = (rule("", "namespaces", ["list"]),)
SERVER_OWN: tuple[Rule, ...] = (
    rule(GROUP, "pipelineclients", _READ),
    rule("", "secrets", ["create", "get"]),
    rule("", "secrets", ["patch"], SERVER_KEYS),
)
SERVER_REVIEWS: tuple[Rule, ...] = (
    rule("authentication.k8s.io", "tokenreviews", ["create"]),
    rule("authorization.k8s.io", "subjectaccessreviews", ["create"]),
)

# People's roles. A status is nobody's but the programs', and PipelineJobs are made by the operator only.
VIEW: tuple[Rule, ...] = (rule(GROUP, "pipelines,pipelinejobs", _READ),)
EDIT: tuple[Rule, ...] = (rule(GROUP, "pipelines", _WRITE), rule(GROUP, "pipelinejobs", ["patch", "update"]))
ADMIN: tuple[Rule, ...] = (rule(GROUP, "pipelineclients", (*_READ, *_WRITE)),)


def author_rules(kinds: Sequence[JobKind] = BUILT_IN) -> tuple[Rule, ...]:
    """What the admission policies ask of whoever creates Pipelines with jobs of these kinds."""
    verbs: dict[tuple[str, str], set[str]] = {}
    for need in needs(kinds):
        verbs.setdefault((need.resource.group, need.resource.plural), set()).add(need.verb)
    return tuple(rule(group, plural, found) for (group, plural), found in sorted(verbs.items()))


def named_rules() -> dict[str, list[dict[str, Any]]]:
    """All rules by the name under which the chart includes them."""
    return {
        "operator.watched": [*OPERATOR_WATCHED],
        "operator.clients": [*OPERATOR_CLIENTS],
        "operator.own": [*OPERATOR_OWN],
        "operator.ownNamespaced": [*OPERATOR_OWN_NAMESPACED],
        "server.watched": [*SERVER_WATCHED],
        "server.namespaces": [*SERVER_NAMESPACES],
        "server.own": [*SERVER_OWN],
        "server.reviews": [*SERVER_REVIEWS],
        "author": [*author_rules()],
        "view": [*VIEW],
        "edit": [*EDIT],
        "admin": [*ADMIN],
    }
