"""The Authorizer: what a proved caller may do to Pipelines.

Rule: default deny. A refusal that depends on the caller's own rights alone is 403 and says which right is missing; one
that depends on an object is 404, in the same words as for an object that does not exist.
"""

from task_pipeline.kube.errors import KubeError
from task_pipeline.server.auth.accounts import Accounts
from task_pipeline.server.auth.authenticator import unavailable
from task_pipeline.server.auth.callers import EVERY_NAMESPACE, Caller, CallerKind, Right, Verb
from task_pipeline.server.auth.gate import unauthorized
from task_pipeline.server.problem import ProblemError, problem

_SHOWN = 10


class RequestAuthorizer:
    """Answers from what the Caller carries, and asks the API server about the users that it knows."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    async def authorize(self, caller: Caller, verb: Verb, namespace: str, client_of_object: str | None = None) -> None:
        """Return when `caller` may do `verb` to Pipelines of `namespace` ("*": of all) that belong to
        `client_of_object` (None: no one object). Raises ProblemError 401, 403, 404, or 503.
        """
        match caller.kind:
            case CallerKind.CLIENT:
                _client_may(caller, namespace, client_of_object)
            case CallerKind.ACCOUNT:
                await self._account_may(caller, verb, namespace)
            case CallerKind.RUNNER if verb is Verb.CLAIM:
                return
            case CallerKind.NOBODY:
                raise unauthorized("this needs a credential")
            case _:
                raise problem(
                    403, "Forbidden", f"a credential of kind {caller.kind} gives no right to {verb} Pipelines"
                )

    async def require(self, caller: Caller, namespace: str, right: Right) -> None:
        """Return when `caller` has `right` in the namespace. Raises ProblemError 403 or 503."""
        try:
            allowed = caller.kind is CallerKind.ACCOUNT and await self._accounts.has(caller, right, namespace)
        except KubeError as error:
            raise unavailable(error) from None
        if not allowed:
            text = f"{caller.name} may not {right} in namespace {namespace}, and this needs it: get a Role with it"
            raise problem(403, "Forbidden", text)

    async def _account_may(self, caller: Caller, verb: Verb, namespace: str) -> None:
        if verb is Verb.CLAIM:
            raise problem(403, "Forbidden", "only clients and the HTTP runner claim jobs: log in as the jobs' client")
        try:
            allowed = await self._accounts.may(caller, verb, namespace)
        except KubeError as error:
            raise unavailable(error) from None
        if not allowed:
            where = "any namespace" if namespace == EVERY_NAMESPACE else f"namespace {namespace}"
            text = f"{caller.name} may not {verb} pipelines.taskpipeline.dev in {where}: a Role has to allow it"
            raise problem(403, "Forbidden", text)


def hidden() -> ProblemError:
    """404 for what is not the caller's own."""
    return problem(404, "NotFound", "there is no such Pipeline, or it belongs to another client")


def _client_may(caller: Caller, namespace: str, client_of_object: str | None) -> None:
    if not caller.reaches(namespace):
        own = sorted(caller.namespaces)
        listed = ", ".join(own[:_SHOWN]) + (f" and {len(own) - _SHOWN} more" if len(own) > _SHOWN else "")
        where = "all namespaces" if namespace == EVERY_NAMESPACE else f"namespace {namespace}"
        text = f"client {caller.name} may not use {where}: its PipelineClient lists {listed or 'none'}"
        raise problem(403, "NamespaceNotAllowed", text)
    if client_of_object not in (None, caller.client):
        raise hidden()
