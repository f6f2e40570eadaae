"""Which kinds are known, and how unusable ones are found at the start."""

from collections.abc import Mapping
from importlib.metadata import EntryPoint
from types import MappingProxyType
from typing import Any

import pytest
from pydantic import Field, ValidationError

from task_pipeline.api.faults import FieldError
from task_pipeline.core.workload import Params
from task_pipeline.kinds.registry import BUILT_IN, KINDS, InvalidKind, check_params, find, load_kinds, parse
from task_pipeline.kinds.shell import KIND, ShellKind, ShellParams
from tests.unit.kinds.builders import DEFAULTS, IMAGE


class Choice(Params):
    """One branch of a union."""

    size: int


class OddParams(Params):
    """What other packages may do: unions of types and of models."""

    either: int | list[str] = 0
    nested: Choice | bool = True
    limit: float = Field(default=1.0, gt=0)
    code: str = Field(default="a", pattern="^a$")


class OddKind(ShellKind):
    """A kind of another package."""

    name = "Odd/Kind"
    versions = MappingProxyType({"1.0.0": OddParams, "2.0.0": OddParams})

    def problems(self, params: Any, defaults: Any) -> tuple[tuple[str, str], ...]:
        return ()


ODD = OddKind()


class NoName(OddKind):
    name = "no name!"


class NoVersions(OddKind):
    versions = MappingProxyType({})


class BadVersion(OddKind):
    versions = MappingProxyType({"v1": OddParams})


class NoModel(OddKind):
    versions = MappingProxyType({"1.0.0": dict})  # type: ignore[dict-item]


class Lacking:
    name = "Lacking"
    versions: Mapping[str, Any] = {"1.0.0": OddParams}


class LackingRemote(Lacking):
    name = "LackingRemote"

    def queue(self, params: object) -> str:
        return "q"


def test_the_kinds_of_this_package() -> None:
    assert set(KINDS) >= {"Shell", "K8S/Job", "K8S/Deployment", "Worker"}


class Plugin:
    """An entry point whose object is at hand."""

    name, value = "odd", "other.package:KIND"

    def __init__(self, kind: Any) -> None:
        self._kind = kind

    def load(self) -> Any:
        if isinstance(self._kind, Exception):
            raise self._kind
        return self._kind


def load(kind: Any) -> Mapping[str, Any]:
    return load_kinds(BUILT_IN, [Plugin(kind)])  # type: ignore[list-item]


def test_another_package_adds_a_kind() -> None:
    assert load(ODD)["Odd/Kind"] is ODD


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        (ShellKind(), "kind Shell is given twice: by task_pipeline itself and by odd = other.package:KIND"),
        (ImportError("no such module"), "cannot be loaded: ImportError"),
        (None, "has no valid name"),
        (NoName(), "has no valid name"),
        (NoVersions(), "has no versions"),
        (BadVersion(), "'v1' is not like 1.0.0"),
        (NoModel(), "has no pydantic model"),
        (Lacking(), "lacks problems, launch"),
        (LackingRemote(), "lacks problems, for_runner, rights"),
    ],
)
def test_an_unusable_kind_stops_the_start(kind: Any, word: str) -> None:
    with pytest.raises(InvalidKind, match=r"other\.package") as caught:
        load(kind)
    assert word in str(caught.value)


def test_a_real_entry_point_is_loaded() -> None:
    point = EntryPoint("again", "task_pipeline.kinds.shell:KIND", "task_pipeline.kinds")
    with pytest.raises(InvalidKind, match="given twice"):
        load_kinds(BUILT_IN, [point])


def test_b003_find_lists_what_is_known() -> None:
    assert find("Shell", "1.0.0") == (KIND, ShellParams)
    unknown = find("shell", "1.0.0")
    assert isinstance(unknown, str)
    assert 'did you mean "Shell"?' in unknown
    assert "K8S/Deployment, K8S/Job, Shell" in unknown
    assert find("Shell", "9.9.9") == 'kind Shell has no version "9.9.9"; known: 1.0.0'


def test_an_unknown_kind_is_one_fault() -> None:
    (fault,) = check_params("Nope", "1.0.0", {"x": 1}, DEFAULTS)
    assert fault == FieldError("kind", f'unknown kind "Nope"; known: {", ".join(sorted(KINDS))}')


def test_parse_gives_the_model_and_raises_otherwise() -> None:
    assert parse("Shell", "1.0.0", {"image": IMAGE, "script": "x"}) == ShellParams(image=IMAGE, script="x")
    with pytest.raises(LookupError, match="known"):
        parse("Nope", "1.0.0", {})
    with pytest.raises(ValidationError) as caught:
        parse("Shell", "1.0.0", {"image": 12345})
    assert "12345" not in str(caught.value)


def odd_faults(params: dict[str, Any]) -> dict[str, str]:
    errors = check_params("Odd/Kind", "1.0.0", params, DEFAULTS, {"Odd/Kind": ODD})
    return {error.path: error.message for error in errors}


@pytest.mark.parametrize(
    ("params", "path", "message"),
    [
        ({"either": {}}, "params.either", "must be a whole number or a list"),
        ({"either": 1.5}, "params.either", "must be a whole number or a list"),
        ({"either": ["a", {}]}, "params.either", "must be a whole number"),
        ({"nested": {"size": []}}, "params.nested.size", "must be a whole number"),
        ({"nested": {}}, "params.nested.size", "is required"),
        ({"limit": 0}, "params.limit", "must be greater_than"),
        ({"code": "b"}, "params.code", "must match ^a$"),
        ({"nested": {"sise": 1, "size": 1}}, "params.nested.sise", "unknown field; remove it or correct its name"),
    ],
)
def test_unions_of_other_packages_are_told_readably(params: dict[str, Any], path: str, message: str) -> None:
    assert odd_faults(params)[path] == message
