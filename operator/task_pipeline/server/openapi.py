"""The OpenAPI 3.1 document, made from the table of routes and the models.

Rule: nothing is written by hand that the code knows. Every route lists the problems that any route may answer and
those that it names itself, so a status that is not in the document is a fault of the server.
"""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from task_pipeline import __version__
from task_pipeline.server.conditions import PATTERNS
from task_pipeline.server.problem import MEDIA_TYPE, Problem
from task_pipeline.server.routes import JSON, Access, Part, Route

Document = dict[str, Any]
_REF = "#/components/schemas/{model}"
_REASONS = {
    400: ("InvalidQuery", 'query.limit: must be 500 or less, got the text "1000"'),
    401: ("Unauthorized", "this needs a credential; see docs/authentication.md"),
    403: ("OtherClient", "spec.clientId must be acme, or absent: a client submits for itself only"),
    404: ("NotFound", "there is no Pipeline release in the namespace team-a"),
    405: ("MethodNotAllowed", "PUT is not possible here; possible: DELETE, GET, PATCH"),
    409: ("AlreadyExists", "a Pipeline release exists already: take another name"),
    410: ("Gone", "the continue token is too old: start the list again without it"),
    412: ("PreconditionFailed", 'the object has changed and is "18" now: read it again, and decide anew'),
    413: ("TooLarge", "the body is larger than 3145728 bytes"),
    415: ("UnsupportedMediaType", "send the body as application/json in UTF-8"),
    422: ("InvalidSpec", "spec.jobs[3].timeout: must be 1 or more, got the number 0"),
    429: ("ClientQueueFull", "the queue of acme is full, 50/50 jobs: submit again when some of them have ended"),
    500: ("InternalError", "a fault of the server; its log tells more about request 5f0c"),
    503: ("ControlPlaneUnavailable", "the Kubernetes API server cannot be reached or is overloaded: ask again"),
}
_SECURITY = {
    "basic": {"type": "http", "scheme": "basic", "description": "clientId and clientSecret."},
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "A token of /oauth2/token, or of a Kubernetes service account.",
    },
    "attempt": {"type": "http", "scheme": "bearer", "description": "The token of one attempt, from its claim."},
}
_CALLERS: Mapping[Access, list[dict[str, list[str]]]] = {
    Access.PUBLIC: [],
    Access.CALLER: [{"basic": []}, {"bearer": []}],
    Access.ATTEMPT: [{"attempt": []}],
}


def document(routes: Iterable[Route]) -> Document:
    """The document of these routes, as plain JSON data."""
    table = list(routes)
    models = {model for route in table for model in _models(route)} | {Problem}
    ordered = sorted(models, key=lambda model: model.__name__)
    names, schemas = models_json_schema([(model, "validation") for model in ordered], by_alias=True, ref_template=_REF)
    refs = {model: ref for (model, _), ref in names.items()}
    paths: dict[str, Document] = {}
    for route in table:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, refs)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "task-pipeline",
            "version": __version__,
            "summary": "Pipelines of jobs on Kubernetes: submit, follow, change.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": schemas["$defs"],
            "securitySchemes": _SECURITY,
            "responses": {str(status): _problem(status) for status in _REASONS},
        },
    }


def problems_of(route: Route) -> list[int]:
    """The statuses of all problems that the route may answer."""
    statuses = {*route.problems, 500, 503}
    if route.access is not Access.PUBLIC:
        statuses |= {401, 403, 429}
    if route.parts:
        statuses.add(404)
    statuses |= {400, 413, 415}  # a query that no route knows, and bodies that are refused by their headers alone
    if route.body is not None:
        statuses.add(422)
    return sorted(statuses)


def _models(route: Route) -> Iterable[type[BaseModel]]:
    yield from (model for model in (route.body, *route.answers.values()) if model is not None)


def _operation(route: Route, refs: Mapping[Any, Document]) -> Document:
    parameters = [_part(name, part) for name, part in route.parts.items()]
    parameters += _query(route.query)
    parameters += [_header(name, meaning) for name, meaning in route.headers.items()]
    responses: Document = {str(status): _answer(status, model, refs) for status, model in route.answers.items()}
    for status in problems_of(route):
        if status not in route.answers:
            responses[str(status)] = {"$ref": f"#/components/responses/{status}"}
        elif "content" in responses[str(status)]:
            responses[str(status)]["content"] |= {MEDIA_TYPE: {"schema": {"$ref": _REF.format(model="Problem")}}}
    operation: Document = {
        "operationId": _identity(route),
        "summary": route.summary,
        "parameters": parameters,
        "responses": responses,
        "security": _CALLERS[route.access],
    }
    if route.description:
        operation["description"] = route.description
    if route.body is not None:
        required = any(field.is_required() for field in route.body.model_fields.values())
        content = {media: {"schema": refs[route.body]} for media in route.media}
        operation["requestBody"] = {"required": required, "content": content}
    return operation


def _identity(route: Route) -> str:
    """A name of the operation that stays: `postNamespacesPipelinesCancel`."""
    words = route.path.removeprefix("/api/v1").replace("{", "").replace("}", "").replace("/-/", "/visible/")
    parts = [part for part in words.replace(":", "/").replace(".", "/").replace("_", "/").split("/") if part]
    return route.method.lower() + "".join(part[:1].upper() + part[1:] for part in parts)


def _part(name: str, part: Part) -> Document:
    schema = {"type": "string", "pattern": part.pattern, "minLength": 1, "maxLength": part.length}
    return {"name": name, "in": "path", "required": True, "description": part.description, "schema": schema}


def _query(model: type[BaseModel] | None) -> list[Document]:
    if model is None:
        return []
    schema = model.model_json_schema(by_alias=True)
    required, definitions = schema.get("required", ()), schema.get("$defs", {})
    found = []
    for name, field in schema["properties"].items():
        plain = _resolved(field, definitions)
        text = plain.pop("description", "")
        found.append({"name": name, "in": "query", "required": name in required, "description": text, "schema": plain})
    return found


def _resolved(field: Document, definitions: Document) -> Document:
    """The schema of a parameter without references and without null, which no query can say."""
    if "anyOf" in field:
        choice = next(one for one in field["anyOf"] if one.get("type") != "null")
        field = {**_resolved(choice, definitions), **{key: value for key, value in field.items() if key != "anyOf"}}
    if "$ref" in field:
        field = {**definitions[field["$ref"].rsplit("/", 1)[1]], **field}
    return {key: value for key, value in field.items() if key not in ("$ref", "title") and value is not None}


def _header(name: str, meaning: str) -> Document:
    schema = {"type": "string"} | ({"pattern": PATTERNS[name]} if name in PATTERNS else {})
    return {"name": name, "in": "header", "required": False, "description": meaning, "schema": schema}


def _answer(status: int, model: type[BaseModel] | None, refs: Mapping[Any, Document]) -> Document:
    answer: Document = {"description": HTTPStatus(status).phrase}
    if model is not None:
        answer["content"] = {JSON: {"schema": refs[model]}}
    return answer


def _problem(status: int) -> Document:
    reason, detail = _REASONS[status]
    example = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "reason": reason,
        "detail": detail,
        "instance": "/api/v1/namespaces/team-a/pipelines/release",
        "requestId": "5f0c",
        "errors": [],
    }
    content = {MEDIA_TYPE: {"schema": {"$ref": _REF.format(model="Problem")}, "example": example}}
    return {"description": HTTPStatus(status).phrase, "content": content}
