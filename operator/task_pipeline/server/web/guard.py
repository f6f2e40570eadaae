"""What a form must bring before it may change anything: the word of the browser, and the session's own token.

Rule: both, always. The cookie alone proves who, not that he meant it.
"""

import hmac

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from task_pipeline.server import crossing
from task_pipeline.server.problem import problem
from task_pipeline.server.web.session import SESSION


class Form(BaseModel):
    """Base of what forms send."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    csrf: str = Field(default="", description="The token of the session's forms.")


def check(request: web.Request, form: Form) -> None:
    """Return when the form may be acted on. Raises ProblemError 403."""
    crossing.check_form(request)
    if not hmac.compare_digest(form.csrf.encode(), request[SESSION].csrf.encode()):
        raise problem(403, "StaleForm", "this form is of another session: open the page again and send it from there")
