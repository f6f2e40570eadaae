"""From templates to answers: Jinja2 with escaping always on, and the headers of a page.

Rule: every value that is put into a page is escaped by the environment; no template marks anything as safe, and no code
here makes markup from text. Control characters, which no page can show, are replaced. The policy lets a page load its
own scripts and styles and nothing else, and lets scripts make markup in one named place only (Trusted Types).
"""

import re
from datetime import datetime
from typing import Any

from aiohttp import web
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from task_pipeline.server.auth.callers import CALLER, NOBODY
from task_pipeline.server.web import assets, looks
from task_pipeline.server.web.session import SESSION
from task_pipeline.server.web.yamltext import to_yaml

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types pages"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
HTML = "text/html; charset=utf-8"
_UNSHOWABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x80-\x9f\ud800-\udfff\ufeff\ufff9-\ufffb]")


def _showable(value: Any) -> Any:
    """What is put into a page, without characters that none can show."""
    if isinstance(value, str) and _UNSHOWABLE.search(value):
        clean = _UNSHOWABLE.sub("\ufffd", value)
        return Markup(clean) if isinstance(value, Markup) else clean  # noqa: S704 (it was Markup before)
    return value


def environment() -> Environment:
    """The environment of all templates."""
    made = Environment(
        loader=PackageLoader("task_pipeline.server.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        finalize=_showable,
    )
    made.filters |= {"as_yaml": to_yaml, "epoch": looks.epoch, "meaning": looks.meaning}
    made.globals |= {"took": looks.took, "length": looks.length, "static": assets.url, "modules": assets.MODULES}
    return made


_environment = environment()
parts: Any = _environment.get_template("parts.html").module
"""The macros: one for each part of a page that a stream sends again."""


def html(template: str, **context: Any) -> str:
    """A template with a context of its own."""
    return _environment.get_template(template).render(context)


def page(request: web.Request, template: str, now: datetime, *, status: int = 200, **context: Any) -> web.Response:
    """A whole page for whoever asks."""
    session = request.get(SESSION)
    base = {"caller": request.get(CALLER, NOBODY), "csrf": session.csrf if session else "", "now": now}
    return answer(html(template, **base, **context), status)


def answer(text: str, status: int = 200) -> web.Response:
    """Markup as an answer with the headers of a page."""
    body = text.encode("utf-8", "replace")
    return web.Response(status=status, body=body, headers={**HEADERS, "Content-Type": HTML})


def wants_text(request: web.Request) -> bool:
    """Whether one of our scripts asks, which stays on its page and wants a status and a line of text."""
    return request.headers.get("Accept", "") == "text/plain"


def done(request: web.Request, place: str) -> web.Response:
    """What a form asked for has been done: 204 for a script, and a browser without scripts goes on at `place`."""
    return web.Response(status=204, headers=HEADERS) if wants_text(request) else see_other(place)


def see_other(place: str, **headers: str) -> web.Response:
    """303: what was sent has been done, the browser goes on there."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return web.Response(status=303, headers={**HEADERS, **given, "Location": place})
