"""How pages say no: with a page, a line of text for what scripts ask for, or by asking to log in.

Rule: the words are those of REST's problem documents.
"""

from datetime import UTC, datetime
from http import HTTPStatus
from urllib.parse import quote

from aiohttp import web

from task_pipeline.server.problem import ProblemError
from task_pipeline.server.web import render

LOGIN = "/ui/login"


def as_page(request: web.Request, error: ProblemError) -> web.StreamResponse:
    """A page with what is wrong; who is not logged in is sent to do so, and comes back after it. Scripts get text."""
    if render.wants_text(request):
        return as_text(request, error)
    if error.status == HTTPStatus.UNAUTHORIZED:
        back = request.path_qs if request.method == "GET" else "/ui"
        return render.see_other(f"{LOGIN}?next={quote(back, safe='/')}")
    title = HTTPStatus(error.status).phrase
    made = render.page(request, "error.html", datetime.now(UTC), status=error.status, title=title, detail=error.detail)
    return _told(made, error)


def as_text(request: web.Request, error: ProblemError) -> web.StreamResponse:
    """One line of text, for scripts."""
    headers = {**render.HEADERS, "Content-Type": "text/plain; charset=utf-8"}
    return _told(
        web.Response(status=error.status, body=error.detail.encode("utf-8", "replace"), headers=headers), error
    )


def _told(made: web.Response, error: ProblemError) -> web.Response:
    if error.retry_after is not None:
        made.headers["Retry-After"] = str(max(1, round(error.retry_after)))
    if "Allow" in error.headers:
        made.headers["Allow"] = error.headers["Allow"]
    return made
