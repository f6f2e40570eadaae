"""The Authenticator: from a request's credential to a Caller.

Rule: default deny. Every way in ends with a Caller that was proved, a 401 that says nothing about what exists, a 429,
or a 503 when the API server would have to be asked and cannot; never a guess, and never 401 for our own trouble.
"""

import logging

from aiohttp import web

from task_pipeline.kube.errors import KubeError
from task_pipeline.server.auth import headers
from task_pipeline.server.auth.accounts import Account, Accounts
from task_pipeline.server.auth.callers import AttemptClaim, Caller, CallerKind
from task_pipeline.server.auth.credentials import Credentials
from task_pipeline.server.auth.gate import Gate, expired, unauthorized
from task_pipeline.server.auth.tokens import ClientClaim, Fault, TokenError, Tokens, is_ours
from task_pipeline.server.problem import ProblemError, away

log = logging.getLogger(__name__)

_NOTHING = (
    "this needs a credential: a token of /oauth2/token or of a Kubernetes service account (audience task-pipeline) as "
    "Authorization: Bearer, or client id and secret as Authorization: Basic"
)
_MALFORMED = "the Authorization header cannot be read: it has to be one, Bearer TOKEN or Basic ID:SECRET in base64"


class RequestAuthenticator:
    """Proves who sends a request. `runner` is the user name of the HTTP runner's service account, None for none."""

    def __init__(
        self, credentials: Credentials, tokens: Tokens, accounts: Accounts, gate: Gate, *, runner: str | None = None
    ) -> None:
        self._credentials = credentials
        self._tokens = tokens
        self._accounts = accounts
        self._gate = gate
        self._runner = runner

    async def authenticate(self, request: web.Request) -> Caller:
        """The caller of `request`. Raises ProblemError: 401, 429, or 503 when the API server cannot be asked."""
        address = self._gate.enter(request)
        try:
            credential = headers.credential(request.headers.getall("Authorization", ()))
        except headers.Malformed:
            raise unauthorized(_MALFORMED) from None
        if credential is None:
            raise unauthorized(_NOTHING)
        try:
            caller = await self._prove(credential, address)
        except KubeError as error:
            raise unavailable(error) from None
        self._gate.pass_caller(f"{caller.kind}:{caller.name}")
        return caller

    async def client(self, credential: headers.Basic, address: str) -> Caller:
        """The client with that id and secret. Raises ProblemError 401 or 429, and KubeError."""
        login = await self._credentials.check(credential.client, credential.secret)
        if login is None:
            raise self._gate.wrong_secret(address)
        return Caller(CallerKind.CLIENT, login.client, login.namespaces, login.client)

    async def _prove(self, credential: headers.Basic | headers.Bearer, address: str) -> Caller:
        if isinstance(credential, headers.Basic):
            return await self.client(credential, address)
        if is_ours(credential.token):
            return await self._of_ours(credential.token, address)
        return await self.account(credential.token, address)

    async def _of_ours(self, token: str, address: str) -> Caller:
        try:
            claim = await self._tokens.read(token)
        except TokenError as error:
            raise expired() if error.fault is Fault.EXPIRED else self._gate.wrong_token(address) from None
        if isinstance(claim, AttemptClaim):
            name = f"{claim.namespace}/{claim.job}/{claim.attempt}"
            return Caller(CallerKind.ATTEMPT, name, frozenset({claim.namespace}), attempt=claim)
        return await self._of_client(claim, address)

    async def _of_client(self, claim: ClientClaim, address: str) -> Caller:
        namespaces = claim.namespaces
        if namespaces is None:
            namespaces = await self._credentials.namespaces(claim.client)
        if namespaces is None:
            raise self._gate.wrong_token(address)
        return Caller(CallerKind.CLIENT, claim.client, namespaces, claim.client)

    async def account(self, token: str, address: str) -> Caller:
        """The Kubernetes user with that token. Raises ProblemError 401 or 429, and KubeError."""
        if not self._accounts.is_known(token) and (refusal := self._gate.must_wait(address)):
            raise refusal
        account = await self._accounts.account(token)
        if account is None:
            raise self._gate.wrong_token(address)
        return self._caller(account)

    def _caller(self, account: Account) -> Caller:
        kind = CallerKind.RUNNER if account.username == self._runner else CallerKind.ACCOUNT
        return Caller(kind, account.username, uid=account.uid, groups=account.groups, extra=account.extra)


def unavailable(error: KubeError) -> ProblemError:
    """503 for a question that the API server did not answer; its text stays in the log."""
    log.warning("a caller cannot be authenticated: %s", error)
    return away(error)
