"""The table of the pages' routes, and their parts put together.

Rule: a page needs a session, all but the login and the files that pages are made of; no page takes a credential in a
header, and no REST route a session.
"""

import time
from collections.abc import Sequence
from typing import Any

from task_pipeline.server import logs
from task_pipeline.server.auth.setup import Auth
from task_pipeline.server.call import Call, Reply
from task_pipeline.server.order import Orders
from task_pipeline.server.overview import Overview
from task_pipeline.server.routes import FORM, Access, Handler, Route
from task_pipeline.server.streams import STREAM_SECONDS
from task_pipeline.server.web import assets, changes, clients, guard, listing, login, panel, pipeline, render
from task_pipeline.server.web.refusals import LOGIN, as_page, as_text
from task_pipeline.server.web.session import Sessions
from task_pipeline.server.web.shelf import Shelf

JOB = f"{pipeline.PATH}/jobs/{{job}}"


def routes(auth: Auth, overview: Overview, orders: Orders, *, secure: bool) -> Sequence[Route]:
    """The routes of all pages. `secure`: the cookie of the session is for TLS only."""
    sessions = Sessions(auth.ring, auth.credentials, auth.gate, now=time.time, secure=secure)
    board = panel.Panel(orders)
    lists = listing.Listing(Shelf(overview, time.monotonic))
    return (*_open(auth, sessions), *_lists(sessions, lists, clients.Clients(overview, orders)), *_one(sessions, board))


def _open(auth: Auth, sessions: Sessions) -> Sequence[Route]:
    """What needs no session, and the way out."""
    door = login.Login(auth.authenticator, sessions, auth.gate)
    public: dict[str, Any] = {"access": Access.PUBLIC, "refuse": as_page}
    return (
        Route("GET", "/", _home, summary="To the pages", **public),
        Route("GET", "/ui/static/{digest}/{file}", assets.serve, summary="A file of the pages", **public),
        Route("GET", LOGIN, door.page, summary="Log in", query=login.LoginQuery, **public),
        Route("POST", LOGIN, door.open, summary="Log in", body=login.LoginForm, media=(FORM,), largest=login.MAX_FORM,
              **public),
        _form(sessions, "/ui/logout", door.close, "Log out", guard.Form),
    )  # fmt: skip


def _lists(sessions: Sessions, lists: listing.Listing, groups: clients.Clients) -> Sequence[Route]:
    query, client = listing.ListQuery, clients.PATH
    return (
        _page(sessions, listing.PATH, lists.page, "Pipelines", query),
        _stream(sessions, f"{listing.PATH}/stream", lists.stream, "What changes in the list", query),
        _page(sessions, client, groups.page, "Clients and queue"),
        _page(sessions, f"{client}/{{id}}", groups.page, "One client and its queue"),
        _stream(sessions, f"{client}-stream", groups.stream, "What changes there", clients.ClientQuery),
    )


def _one(sessions: Sessions, board: panel.Panel) -> Sequence[Route]:
    pages, path = pipeline.Pages(board), pipeline.PATH
    log = _stream(sessions, f"{JOB}/log", board.log, "The log of a job", logs.LogsQuery)
    return (
        _page(sessions, path, pages.page, "One Pipeline", pipeline.PageQuery),
        _form(sessions, path, pages.act, "Act on a Pipeline", pipeline.ActionForm),
        _stream(sessions, f"{path}/stream", changes.stream, "What changes in it", changes.StreamQuery),
        _part(sessions, JOB, board.fragment, "One job", panel.PanelQuery),
        _form(sessions, JOB, board.cancel, "Act on a job", panel.JobForm),
        log,
    )


def _page(sessions: Sessions, path: str, handler: Handler, summary: str, query: Any = None) -> Route:
    return Route("GET", path, handler, Access.SESSION, summary, query=query, refuse=as_page, authenticator=sessions)


def _part(sessions: Sessions, path: str, handler: Handler, summary: str, query: Any) -> Route:
    return Route("GET", path, handler, Access.SESSION, summary, query=query, refuse=as_text, authenticator=sessions)


def _stream(sessions: Sessions, path: str, handler: Handler, summary: str, query: Any) -> Route:
    return Route(
        "GET", path, handler, Access.SESSION, summary, query=query, refuse=as_text, authenticator=sessions,
        timeout=STREAM_SECONDS + 30, stream=True,
    )  # fmt: skip


def _form(sessions: Sessions, path: str, handler: Handler, summary: str, body: Any) -> Route:
    return Route(
        "POST", path, handler, Access.SESSION, summary, body=body, media=(FORM,), largest=login.MAX_FORM,
        refuse=as_page, authenticator=sessions,
    )  # fmt: skip


async def _home(call: Call) -> Reply:
    """GET /: whoever comes with a browser wants the pages."""
    return Reply(body=render.see_other(listing.PATH))
