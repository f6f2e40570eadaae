"""From bytes to JSON: the cap on depth, whatever the bytes are, and the paths of faults."""

import contextlib
import time

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from task_pipeline.server.problem import ProblemError
from task_pipeline.server.reading import MAX_DEPTH, MAX_FAULTS, invalid, parse_json, path_of
from task_pipeline.server.routes import MAX_BODY

JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=30,
)


def depth(value: object) -> int:
    if isinstance(value, dict):
        return 1 + max((depth(one) for one in value.values()), default=0)
    return 1 + max((depth(one) for one in value), default=0) if isinstance(value, list) else 0


@given(JSON)
def test_whatever_is_json_is_read_as_it_is(value: object) -> None:
    assert parse_json(orjson.dumps(value)) == value


@given(st.integers(1, 2 * MAX_DEPTH), st.sampled_from([(b"[", b"]"), (b'{"[":', b"}")]), st.text())
def test_the_depth_is_counted_outside_of_texts(levels: int, pair: tuple[bytes, bytes], text: str) -> None:
    raw = pair[0] * levels + orjson.dumps(text + "]}[{") + pair[1] * levels
    if levels <= MAX_DEPTH:
        assert depth(parse_json(raw)) == levels
        return
    with pytest.raises(ProblemError) as told:
        parse_json(raw)
    assert told.value.reason == "TooDeep"


@given(st.binary())
def test_any_bytes_end_as_json_or_as_a_problem(raw: bytes) -> None:
    with contextlib.suppress(ProblemError):
        parse_json(raw)


@pytest.mark.parametrize("unit", [b'"', b'\\"', b'"\\', b"[", b"]", b"{}", b'"a",', b"\\", b'""'])
def test_the_worst_bodies_cost_less_than_seconds(unit: bytes) -> None:
    raw = b'"' + unit * (MAX_BODY // len(unit))
    began = time.process_time()
    with pytest.raises(ProblemError):
        parse_json(raw)
    assert time.process_time() - began < 3


def test_paths_read_like_the_body() -> None:
    assert path_of(("spec", "jobs", 3, "timeout")) == "spec.jobs[3].timeout"
    assert path_of(()) == "body"
    assert path_of((0, "a")) == "[0].a"


def test_a_flood_of_faults_is_cut_and_counted() -> None:
    told = invalid([(f"spec.f{number}", "wrong") for number in range(3 * MAX_FAULTS)])
    assert len(told.errors) == MAX_FAULTS
    assert str(3 * MAX_FAULTS) in told.detail
    assert invalid([("spec", "is required")]).detail == "spec: is required"
