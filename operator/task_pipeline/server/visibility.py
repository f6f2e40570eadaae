"""Which namespaces a list without a namespace covers: all that the caller may see, and no error for others."""

import asyncio
from collections.abc import Sequence

from task_pipeline.server.auth.callers import EVERY_NAMESPACE, Caller, CallerKind, Verb
from task_pipeline.server.problem import ProblemError, problem
from task_pipeline.server.services import Services

_AT_ONCE = 8


async def namespaces(services: Services, caller: Caller) -> Sequence[str | None]:
    """The namespaces, sorted; (None,) for all of them at once. Raises ProblemError, KubeError."""
    watched = sorted(services.settings.namespaces)
    match caller.kind:
        case CallerKind.CLIENT if caller.reaches(EVERY_NAMESPACE):
            return watched or (None,)
        case CallerKind.CLIENT:
            return sorted(caller.namespaces.intersection(watched)) if watched else sorted(caller.namespaces)
        case CallerKind.ACCOUNT:
            if await may_list(services, caller, EVERY_NAMESPACE):
                return watched or (None,)
            return await _asked_one_by_one(services, caller, watched)
        case _:
            raise problem(403, "Forbidden", f"a credential of kind {caller.kind} lists no Pipelines")


async def are_part(services: Services, caller: Caller, found: Sequence[str | None]) -> bool:
    """Whether `found`, the namespaces of the caller, may lack some because the cluster has too many to ask about."""
    if caller.kind is not CallerKind.ACCOUNT or services.settings.namespaces or None in found:
        return False
    return (await services.places.known(services.cluster)).cut


async def _asked_one_by_one(services: Services, caller: Caller, watched: list[str]) -> list[str]:
    names = watched
    if not names:
        names = list((await services.places.known(services.cluster)).names)
    at_once = asyncio.Semaphore(_AT_ONCE)

    async def ask(name: str) -> bool:
        async with at_once:
            return await may_list(services, caller, name)

    answers = await asyncio.gather(*map(ask, names))
    return [name for name, may in zip(names, answers, strict=True) if may]


async def may_list(services: Services, caller: Caller, namespace: str) -> bool:
    """Whether the caller may list the Pipelines of `namespace` ("*": of all). Raises ProblemError 503."""
    try:
        await services.authorizer.authorize(caller, Verb.LIST, namespace)
    except ProblemError as error:
        if error.status in (403, 404):
            return False
        raise
    return True
