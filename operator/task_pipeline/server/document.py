"""/openapi.json, and /docs: the same document for people, one plain page without scripts.

Rule: both are made once, when the application is built, and are the same for everybody; so they need no credential.
"""

import hashlib
import json
from base64 import b64encode
from collections.abc import Iterator, Sequence
from html import escape
from typing import Any

from pydantic import BaseModel, ConfigDict

from task_pipeline.server.call import Call, Reply
from task_pipeline.server.openapi import document
from task_pipeline.server.routes import Access, Handler, Route

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color-scheme:light dark}"
    "code,pre{font:14px/1.4 ui-monospace,monospace}pre{overflow-x:auto;border:1px solid;padding:.5rem}"
    "summary{padding:.3rem 0;cursor:pointer}td{text-align:left;padding:.2rem .8rem .2rem 0}"
)
_POLICY = f"default-src 'none'; style-src 'sha256-{b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()}'"


class OpenApi(BaseModel):
    """An OpenAPI 3.1 document."""

    model_config = ConfigDict(extra="allow")

    openapi: str


def with_document(routes: Sequence[Route]) -> Sequence[Route]:
    """`routes` and those of the document that describes all of them."""
    made: list[Reply] = []
    about = (
        Route("GET", "/openapi.json", _nth(made, 0), Access.PUBLIC, "This document", answers={200: OpenApi}),
        Route("GET", "/docs", _nth(made, 1), Access.PUBLIC, "This document for people"),
    )
    everything = (*routes, *about)
    described = describe(everything)
    page = {"Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": _POLICY}
    made += [Reply(body=described), Reply(body=_page(described).encode(), headers=page)]
    return everything


def describe(routes: Sequence[Route]) -> dict[str, Any]:
    """The document of those of the routes that are for programs."""
    return document([route for route in routes if route.refuse is None])


def _nth(made: Sequence[Reply], index: int) -> Handler:
    async def answer(call: Call) -> Reply:
        return made[index]

    return answer


def _page(described: dict[str, Any]) -> str:
    body = "\n".join([*_operations(described), *_schemas(described)])
    title = f"{described['info']['title']} {described['info']['version']}"
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>'
        f"<h1>{escape(title)}</h1><p>{escape(described['info']['summary'])} "
        f'<a href="/openapi.json">openapi.json</a></p>\n{body}\n</body></html>\n'
    )


def _operations(described: dict[str, Any]) -> Iterator[str]:
    yield "<h2>Requests</h2>"
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            head = f"<code>{method.upper()} {escape(path)}</code> {escape(operation['summary'])}"
            rows = [(one["name"], one["in"], one["description"]) for one in operation["parameters"]]
            rows += [("body", media, _name(part)) for media, part in _content(operation.get("requestBody"))]
            for status, answer in operation["responses"].items():
                shown = _resolved(described, answer)
                names = ", ".join(_name(part) for _, part in _content(shown))
                rows.append((status, shown["description"], names))
            yield f"<details><summary>{head}</summary>{_table(rows)}</details>"


def _schemas(described: dict[str, Any]) -> Iterator[str]:
    yield "<h2>Objects</h2>"
    for name, schema in described["components"]["schemas"].items():
        text = escape(json.dumps(schema, indent=2, ensure_ascii=False))
        yield f'<details id="{escape(name)}"><summary><code>{escape(name)}</code></summary><pre>{text}</pre></details>'


def _content(part: dict[str, Any] | None) -> Iterator[tuple[str, dict[str, Any]]]:
    yield from ((part or {}).get("content") or {}).items()


def _resolved(described: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = described["components"]["responses"].get(answer.get("$ref", "").rsplit("/", 1)[-1], answer)
    return found


def _name(part: dict[str, Any]) -> str:
    return str(part["schema"].get("$ref", "object")).rsplit("/", 1)[-1]


def _table(rows: list[tuple[str, str, str]]) -> str:
    cells = ("".join(f"<td>{escape(cell)}</td>" for cell in row) for row in rows)
    return "<table>" + "".join(f"<tr>{row}</tr>" for row in cells) + "</table>"
