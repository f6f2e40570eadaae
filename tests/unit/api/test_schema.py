"""The lowering of pydantic's JSON schema to a structural one."""

from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field

from task_pipeline.api.schema import UnsupportedSchema, lower

Small = Annotated[int, Field(ge=0, le=10)]


class Inner(BaseModel):
    """An inner thing."""

    size: Small = Field(description="How large.")


class Outer(BaseModel):
    """An outer thing."""

    first: Inner = Field(description="The first.")
    second: Inner | None = Field(default=None, description="The second.")
    many: tuple[Inner, ...] = Field(default=(), max_length=3, description="Several.")
    mode: Literal["a"] = Field(default="a", description="Always a.")
    choice: Literal["a", "b"] | None = Field(default=None, description="One of two.")
    free: dict[str, Any] = Field(default_factory=dict, description="Anything.")
    large: Annotated[int, Field(ge=0, le=2**40)] = Field(default=3, description="A large number.")
    name: Annotated[str, Field(max_length=5)] = Field(description="A name.")


def keys(node: Any) -> set[str]:
    if isinstance(node, dict):
        return set(node) | {key for child in node.values() for key in keys(child)}
    if isinstance(node, list):
        return {key for child in node for key in keys(child)}
    return set()


def test_every_construct_is_lowered() -> None:
    size = {"description": "How large.", "type": "integer", "minimum": 0, "maximum": 10, "format": "int32"}
    inner = {"type": "object", "properties": {"size": size}, "required": ["size"]}
    assert lower(Outer) == {
        "description": "An outer thing.",
        "type": "object",
        "required": ["first", "name"],
        "properties": {
            "first": {"description": "The first.", **inner},
            "second": {"description": "The second.", **inner},
            "many": {
                "description": "Several.",
                "type": "array",
                "maxItems": 3,
                "default": [],
                "items": {"description": "An inner thing.", **inner},
            },
            "mode": {"description": "Always a.", "type": "string", "enum": ["a"], "default": "a"},
            "choice": {"description": "One of two.", "type": "string", "enum": ["a", "b"]},
            "free": {
                "description": "Anything.",
                "type": "object",
                "x-kubernetes-preserve-unknown-fields": True,
            },
            "large": {
                "description": "A large number.",
                "type": "integer",
                "minimum": 0,
                "maximum": 2**40,
                "default": 3,
                "format": "int64",
            },
            "name": {"description": "A name.", "type": "string", "maxLength": 5},
        },
    }


def test_defaults_can_be_left_out() -> None:
    assert "default" not in keys(lower(Outer, keep_defaults=False))


def test_nothing_remains_that_a_structural_schema_refuses() -> None:
    assert not keys(lower(Outer)) & {"$ref", "$defs", "anyOf", "allOf", "oneOf", "const", "title", "nullable"}


class Union(BaseModel):
    field: int | str


class TypedMap(BaseModel):
    field: dict[str, str]


class Unbounded(BaseModel):
    field: int


class Floating(BaseModel):
    field: float


class Untyped(BaseModel):
    field: Any


class Pair(BaseModel):
    field: tuple[Small, Small]


class UntypedList(BaseModel):
    field: list[Any]


class Exclusive(BaseModel):
    field: Annotated[int, Field(gt=0, lt=5)]


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    field: Small


class Node(BaseModel):
    child: "Node | None" = None


class Root(BaseModel):
    node: Node


@pytest.mark.parametrize(
    "model", [Union, TypedMap, Unbounded, Floating, Untyped, Pair, UntypedList, Exclusive, Open, Root]
)
def test_what_has_no_structural_form_is_refused_with_its_path(model: type[BaseModel]) -> None:
    with pytest.raises(UnsupportedSchema, match=rf"{model.__name__}[.:]|Root\.node"):
        lower(model)
