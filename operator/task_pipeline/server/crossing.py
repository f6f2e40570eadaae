"""Whether a request that changes something comes from another site than ours.

Rule: browsers say where a request comes from, by Sec-Fetch-Site (Fetch Metadata), or by Origin where that is missing:
they leave it out on plain HTTP. Other programs say neither and send no credential that they were not given for this
request, so REST lets them in; a form of a page has to come with the word of a browser.
"""

from urllib.parse import urlsplit

from aiohttp import web

from task_pipeline.server.problem import problem

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_OURS = frozenset({"same-origin", "none"})  # none: the user himself, not a page


def check(request: web.Request) -> None:
    """Refuse what a browser sends for a page of another site, with a credential that it remembers. Raises 403."""
    if request.method not in SAFE_METHODS and _is_ours(request) is False:
        text = "a page of another site sent this, or a proxy changed the header Host: send it from a program"
        raise problem(403, "CrossSite", text)


def check_form(request: web.Request) -> None:
    """Refuse a form that no browser vouches for. Raises ProblemError 403."""
    if _is_ours(request) is not True:
        text = "this form was not sent from a page of this server: open the page again and send it from there"
        raise problem(403, "CrossSite", text)


def _is_ours(request: web.Request) -> bool | None:
    """True or False as the browser says, None when nothing says it."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in _OURS
    origin = request.headers.get("Origin")
    if origin is None:
        return None
    try:
        return urlsplit(origin).netloc.lower() == request.headers.get("Host", "").lower() != ""
    except ValueError:
        return False
