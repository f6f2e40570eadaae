"""POST /oauth2/token: client id and secret for a signed token (RFC 6749 4.4).

Rule: an unknown client, a wrong secret and an expired one get the same answer. The answer is never stored by caches,
and the secret never leaves this function.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from task_pipeline.kube.errors import KubeError
from task_pipeline.server.auth import headers
from task_pipeline.server.auth.authenticator import RequestAuthenticator, unavailable
from task_pipeline.server.auth.callers import CALLER
from task_pipeline.server.auth.gate import Gate
from task_pipeline.server.auth.tokens import Tokens
from task_pipeline.server.call import Call, Reply
from task_pipeline.server.problem import ProblemError
from task_pipeline.server.routes import FORM, Access, Route

PATH = "/oauth2/token"
MAX_FORM = 65_536  # bytes; whoever sends it is nobody yet
_NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}


class TokenForm(BaseModel):
    """What is asked for; a parameter that is not known is ignored, as RFC 6749 has it."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    grant_type: str = Field(default="", description="client_credentials")
    scope: str = Field(default="", description="Not used: a token always holds all rights of its client.")
    client_id: str = Field(default="", description="The client id, when it is not in an Authorization header.")
    client_secret: SecretStr = Field(default=SecretStr(""), description="The secret, likewise.")


class TokenAnswer(BaseModel):
    """A token."""

    access_token: str = Field(description="To be sent as Authorization: Bearer.")
    token_type: str = Field(default="Bearer", description="Always Bearer.")
    expires_in: int = Field(description="Seconds for which it is good.")


class TokenRefusal(BaseModel):
    """Why there is none (RFC 6749 5.2)."""

    error: str = Field(description="invalid_request, invalid_client, unsupported_grant_type or invalid_scope.")
    error_description: str = Field(description="In words.")


class TokenEndpoint:
    """The handler of the route, and the route."""

    def __init__(self, authenticator: RequestAuthenticator, tokens: Tokens, gate: Gate) -> None:
        self._authenticator = authenticator
        self._tokens = tokens
        self._gate = gate

    def route(self) -> Route:
        """The line for the table of routes."""
        return Route(
            method="POST",
            path=PATH,
            handler=self.answer,
            access=Access.PUBLIC,
            summary="Get a token for a client id and its secret",
            body=TokenForm,
            media=(FORM,),
            largest=MAX_FORM,
            answers={200: TokenAnswer, 400: TokenRefusal, 401: TokenRefusal},
            problems=frozenset({429, 503}),
            headers={"Authorization": "Basic, with client id and secret form-encoded (RFC 6749 2.3.1)"},
        )

    async def answer(self, call: Call) -> Reply:
        """A token, or why there is none. Raises ProblemError 429 and 503."""
        address = self._gate.enter(call.request)
        form: TokenForm = call.body
        try:
            given = headers.credential(call.request.headers.getall("Authorization", ()))
        except headers.Malformed:
            return _refusal(401, "invalid_client", "the Authorization header cannot be read", basic=True)
        fault = _fault(form, given)
        if fault is not None:
            return fault
        by_header = isinstance(given, headers.Basic)
        credential = given if isinstance(given, headers.Basic) else _of_form(form)
        try:
            caller = await self._authenticator.client(credential, address)
            token, seconds = await self._tokens.for_client(caller.name, caller.namespaces)
        except KubeError as error:
            raise unavailable(error) from None
        except ProblemError as error:
            if error.status != 401:
                raise
            return _refusal(401, "invalid_client", error.detail, basic=by_header)
        call.request[CALLER] = caller
        self._gate.pass_caller(f"token:{caller.name}")
        return Reply(200, TokenAnswer(access_token=token, expires_in=seconds), _NO_STORE)


def _fault(form: TokenForm, given: headers.Basic | headers.Bearer | None) -> Reply | None:
    """What is wrong with the request before anything is proved."""
    in_form = bool(form.client_id or form.client_secret.get_secret_value())
    if isinstance(given, headers.Bearer):
        return _refusal(400, "invalid_request", "a token cannot be exchanged: use the client id and its secret")
    if given is not None and form.client_secret.get_secret_value():
        return _refusal(400, "invalid_request", "the secret is in the header and in the form: use one of them")
    if isinstance(given, headers.Basic) and form.client_id not in ("", given.client):
        return _refusal(400, "invalid_request", "the client id in the form is not the one in the header")
    if not form.grant_type:
        return _refusal(400, "invalid_request", "grant_type is missing: it has to be client_credentials")
    if form.grant_type != "client_credentials":
        return _refusal(400, "unsupported_grant_type", "grant_type has to be client_credentials")
    if form.scope:
        return _refusal(400, "invalid_scope", "leave scope out: a token always holds all rights of its client")
    if given is None and not in_form:
        return _refusal(401, "invalid_client", "client id and secret are missing", basic=True)
    return None


def _of_form(form: TokenForm) -> headers.Basic:
    secret = form.client_secret.get_secret_value()
    most = headers.MOST_SECRET_CHARS
    return headers.Basic(form.client_id[:most], secret[:most])


def _refusal(status: int, error: str, text: str, *, basic: bool = False) -> Reply:
    sent: dict[str, Any] = dict(_NO_STORE)
    if basic:
        sent["WWW-Authenticate"] = 'Basic realm="task-pipeline", charset="UTF-8"'
    return Reply(status, TokenRefusal(error=error, error_description=text), sent)
