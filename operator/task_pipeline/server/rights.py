"""What a Kubernetes user may have made by a Pipeline: nothing that he could not make by hand.

Rule: the same rights as those of the admission policy `requester-rights`. That policy asks about whoever sends the
request, which is this server for all that comes over REST, so the server asks here about the user himself. A client
is nobody in the cluster: what it may run is bounded by its PipelineClient, and by the rights of the server where the
policy is installed.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from task_pipeline.api.pipeline import PipelineSpec
from task_pipeline.core.workload import JobKind, is_remote_kind
from task_pipeline.server.auth.callers import Caller, CallerKind, Right
from task_pipeline.server.services import Services

MAX_ACCOUNTS = 4  # asked about one by one; with more of them, about all
WRITING = ("create", "update", "patch")
_FREE = ("", "default")  # a pod that names no service account has this one


async def check(services: Services, caller: Caller, namespace: str, spec: PipelineSpec) -> None:
    """Return when `caller` may make what the jobs of `spec` launch. Raises ProblemError 403 or 503."""
    if caller.kind is not CallerKind.ACCOUNT:
        return
    used = {job.kind for job in spec.jobs}
    wanted = [*needed(kind for name, kind in services.kinds.items() if name in used), *_impersonated(spec)]
    for right in dict.fromkeys(wanted):
        await services.authorizer.require(caller, namespace, right)


def needed(kinds: Iterable[JobKind]) -> Iterator[Right]:
    """The writing verbs that the kinds use on what they launch, if they launch anything."""
    for kind in kinds:
        if is_remote_kind(kind):
            continue
        for right in kind.rights:
            if right.resource == kind.resource:
                verbs = [verb for verb in right.verbs if verb in WRITING]
                yield from (Right(verb, right.resource.group, right.resource.plural) for verb in verbs)


def _impersonated(spec: PipelineSpec) -> list[Right]:
    names = sorted({name for job in spec.jobs for name in _accounts(job.effective_params)} - set(_FREE))
    if len(names) > MAX_ACCOUNTS:
        return [Right("impersonate", "", "serviceaccounts")]
    return [Right("impersonate", "", "serviceaccounts", name) for name in names]


def _accounts(params: Mapping[str, Any]) -> Iterator[str]:
    """The service accounts that the pods of a job would have: of the short form, and of a native spec."""
    native = _inner(params, "spec")
    pod = _inner(_inner(native, "template"), "spec")
    for part, field in ((params, "serviceAccountName"), (pod, "serviceAccountName"), (pod, "serviceAccount")):
        if isinstance(name := part.get(field), str):
            yield name


def _inner(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = value.get(name)
    return found if isinstance(found, Mapping) else {}
