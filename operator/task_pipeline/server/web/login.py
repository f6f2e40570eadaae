"""/ui/login and /ui/logout: a Kubernetes token, or client id and secret, for a session.

Rule: what is typed in is proved as on any REST route, within the same limits, and then forgotten: neither cookie nor
page nor log holds it. A wrong one is answered in the words that REST has for it.
"""

import re
from http import HTTPStatus

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from task_pipeline.kube.errors import KubeError
from task_pipeline.server import crossing
from task_pipeline.server.auth import headers
from task_pipeline.server.auth.authenticator import RequestAuthenticator, unavailable
from task_pipeline.server.auth.callers import CALLER, CallerKind
from task_pipeline.server.auth.gate import Gate
from task_pipeline.server.call import Call, Reply
from task_pipeline.server.problem import ProblemError, problem
from task_pipeline.server.web import guard, render
from task_pipeline.server.web.refusals import LOGIN
from task_pipeline.server.web.session import Sessions

HOME = "/ui"
MAX_FORM = 32_768  # bytes; whoever sends it is nobody yet
_PLACE = re.compile(r"/ui(?:[/?][!#-\[\]-~]*)?")  # of this server, and nothing that a browser takes for another


class LoginQuery(BaseModel):
    """Where to go after it."""

    model_config = ConfigDict(frozen=True)

    next: str = Field(default=HOME, max_length=4096)


class LoginForm(BaseModel):
    """What proves who logs in: a token, or id and secret."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    token: SecretStr = SecretStr("")
    client_id: str = ""
    client_secret: SecretStr = SecretStr("")
    next: str = HOME


class Login:
    """The page, what it sends, and the way out."""

    def __init__(self, authenticator: RequestAuthenticator, sessions: Sessions, gate: Gate) -> None:
        self._authenticator = authenticator
        self._sessions = sessions
        self._gate = gate

    async def page(self, call: Call) -> Reply:
        """GET the form."""
        query: LoginQuery = call.query
        return Reply(
            body=render.page(call.request, "login.html", call.services.now(), next=_place(query.next), fault="")
        )

    async def open(self, call: Call) -> Reply:
        """POST the form: the cookie and the way on, or the form again with what is wrong."""
        form: LoginForm = call.body
        crossing.check_form(call.request)
        address = self._gate.enter(call.request)
        try:
            cookie = await self._proved(call, form, address)
        except KubeError as error:
            raise unavailable(error) from None
        except ProblemError as error:
            if error.status not in (401, 403, 422):
                raise
            again = render.page(
                call.request, "login.html", call.services.now(), status=HTTPStatus.UNPROCESSABLE_ENTITY,
                next=_place(form.next), fault=error.detail,
            )  # fmt: skip
            return Reply(body=again)
        return Reply(body=render.see_other(_place(form.next), Set_Cookie=cookie))

    async def close(self, call: Call) -> Reply:
        """POST: the cookie is taken away."""
        form: guard.Form = call.body
        guard.check(call.request, form)
        return Reply(body=render.see_other(LOGIN, Set_Cookie=self._sessions.closed()))

    async def _proved(self, call: Call, form: LoginForm, address: str) -> str:
        """The cookie of a session for whom the form proves. Raises ProblemError, KubeError."""
        token, secret = form.token.get_secret_value().strip(), form.client_secret.get_secret_value().strip()
        if token:
            caller = await self._authenticator.account(token, address)
            if caller.kind is not CallerKind.ACCOUNT:
                raise problem(403, "Forbidden", "this service account is that of the HTTP runner, which has no pages")
            cookie = await self._sessions.open_for_account(caller, token)
        else:
            most = headers.MOST_SECRET_CHARS
            credential = headers.Basic(form.client_id.strip()[:most], secret[:most])
            caller = await self._authenticator.client(credential, address)
            cookie = await self._sessions.open_for_client(credential.client, credential.secret)
        call.request[CALLER] = caller  # for the audit log
        return cookie


def _place(text: str) -> str:
    """Where to go on: a page of this server and nothing else."""
    return text if _PLACE.fullmatch(text) else HOME
