"""Worker: what it takes as a queue and a payload, and that it leaves the payload alone."""

from typing import Any

import pytest

from task_pipeline.core.workload import KindDefaults
from task_pipeline.kinds.registry import check_params, parse
from task_pipeline.kinds.worker import MAX_DEPTH, MAX_PAYLOAD, WorkerParams


def faults(**params: Any) -> dict[str, str]:
    return {fault.path: fault.message for fault in check_params("Worker", "1.0.0", params, KindDefaults())}


def nested(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(levels - 1):
        value = {"in": value}
    return value


PAYLOADS: list[dict[str, Any]] = [
    {},
    {"run_date": "2031-04-20", "at": "12:30:00", "yes": "yes", "octal": "0755", "version": "1.10"},
    {"number": 7, "share": 0.1, "flag": False, "nothing": None, "list": [1, "1", [], {}]},
    {"$(HOME)": "$$", "": "\u00fc\n\x00", "deep": nested(MAX_DEPTH - 1)},
    {"text": "x" * (MAX_PAYLOAD - 11)},
]


@pytest.mark.parametrize("payload", PAYLOADS)
def test_the_payload_is_kept_as_it_is(payload: dict[str, Any]) -> None:
    assert faults(queue="q", payload=payload) == {}
    parsed = parse("Worker", "1.0.0", {"queue": "q", "payload": payload})
    assert isinstance(parsed, WorkerParams)
    assert parsed.payload == payload


def test_a_payload_may_be_left_out() -> None:
    parsed = parse("Worker", "1.0.0", {"queue": "q"})
    assert isinstance(parsed, WorkerParams)
    assert parsed.payload == {}


@pytest.mark.parametrize("payload", [[], "text", 7, True])
def test_a_payload_is_an_object(payload: Any) -> None:
    assert faults(queue="q", payload=payload) == {"params.payload": "must be a map"}


@pytest.mark.parametrize("queue", ["a", "render.4k_fast-1", "x" * 63])
def test_names_of_queues(queue: str) -> None:
    assert faults(queue=queue) == {}


@pytest.mark.parametrize("queue", ["", "two words", "a/b", "x" * 64, "-a", "a.", "\u00fc", 7])
def test_what_is_no_name_of_a_queue(queue: Any) -> None:
    assert list(faults(queue=queue)) == ["params.queue"]


def test_a_queue_is_needed() -> None:
    assert faults() == {"params.queue": "is required"}


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1])
def test_a_number_that_would_be_rounded_is_refused_with_its_place(number: int) -> None:
    assert faults(queue="q", payload={"a": [0, {"b": number}]}) == {
        "params.payload.a[1].b": 'is beyond 64 bits and would be rounded: quote it, as in "123"'
    }


def test_a_payload_that_is_too_large_is_refused_with_its_size() -> None:
    said = faults(queue="q", payload={"text": "\u00fc" * (MAX_PAYLOAD // 2)})["params.payload"]
    assert said.startswith(f"has {MAX_PAYLOAD + 11} bytes, the limit is {MAX_PAYLOAD}")


def test_a_payload_that_is_nested_too_deep_is_refused() -> None:
    (path,) = faults(queue="q", payload=nested(MAX_DEPTH + 1))
    assert path.count(".in") == MAX_DEPTH
