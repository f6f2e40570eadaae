"""The OpenAPI document: valid, complete, and true to the table of routes."""

import re
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from pydantic import BaseModel

from task_pipeline.server.call import Call, Reply
from task_pipeline.server.health import Readiness
from task_pipeline.server.openapi import document, problems_of
from task_pipeline.server.problem import Problem
from task_pipeline.server.routes import FORM, JSON, Access, Route
from task_pipeline.server.table import routes


@pytest.fixture
async def table() -> list[Route]:
    return list(routes(Readiness()))


async def test_the_document_is_valid(table: list[Route]) -> None:
    assert [str(error) for error in OpenAPIV31SpecValidator(document(table)).iter_errors()] == []


async def test_every_route_stands_in_it_once(table: list[Route]) -> None:
    described = document(table)
    found = {(method.upper(), path) for path, methods in described["paths"].items() for method in methods}
    assert found == {(route.method, route.path) for route in table}
    assert len(found) == len(table)
    names = [one["operationId"] for methods in described["paths"].values() for one in methods.values()]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch("[a-zA-Z0-9]+", name) for name in names)


async def test_every_problem_is_documented_with_an_example(table: list[Route]) -> None:
    described = document(table)
    for status, response in described["components"]["responses"].items():
        example = response["content"]["application/problem+json"]["example"]
        assert Problem.model_validate(example).status == int(status)
    for route in table:
        responses = described["paths"][route.path][route.method.lower()]["responses"]
        assert {str(status) for status in problems_of(route)} <= responses.keys()
        assert {"500", "503"} <= responses.keys()
        assert (route.access is Access.PUBLIC) is ("401" not in responses)


async def test_every_reference_leads_somewhere(table: list[Route]) -> None:
    described = document(table)
    for reference in _references(described):
        place: Any = described
        for part in reference.removeprefix("#/").split("/"):
            place = place[part]


async def test_every_field_of_a_request_is_described(table: list[Route]) -> None:
    for route in table:
        for model in (route.body, route.query):
            for name, field in (model.model_fields if model else {}).items():
                assert field.description or name in ("spec", "limit"), f"{route.path}: {name}"


async def test_parameters_say_what_they_take(table: list[Route]) -> None:
    listed = document(table)["paths"]["/api/v1/namespaces/{namespace}/pipelines"]["get"]["parameters"]
    by_name = {one["name"]: one for one in listed}
    assert by_name["limit"]["schema"] == {"type": "integer", "minimum": 1, "maximum": 500, "default": 50}
    assert by_name["state"]["schema"]["enum"] == ["READY", "IN PROGRESS", "DONE", "ERROR", "CANCELLED"]
    assert (by_name["namespace"]["in"], by_name["namespace"]["required"]) == ("path", True)


class _Token(BaseModel):
    token: str


class _Form(BaseModel):
    grant: str


async def _answer(call: Call) -> Reply:
    return Reply()


def test_a_status_may_be_an_answer_and_a_problem() -> None:
    answers = {200: _Token, 400: _Token}
    made = Route("POST", "/token", _answer, Access.PUBLIC, "Token", _Form, media=(FORM,), answers=answers)
    operation = document([made])["paths"]["/token"]["post"]
    assert operation["responses"]["400"]["content"].keys() == {JSON, "application/problem+json"}
    assert operation["requestBody"]["content"].keys() == {FORM}
    assert operation["security"] == []


def _references(part: Any) -> list[str]:
    if isinstance(part, dict):
        own = [part["$ref"]] if isinstance(part.get("$ref"), str) else []
        return own + [found for value in part.values() for found in _references(value)]
    return [found for value in part for found in _references(value)] if isinstance(part, list) else []
