"""The gate against a naive twin, and the order in which Pipelines pass it."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from task_pipeline.core.gate import Gate
from task_pipeline.core.ordering import OrderKey
from tests import make


def key(*, pipeline: int = 10, job: int = 10, accepted: float = 0, uid: str = "u") -> OrderKey:
    return OrderKey(pipeline, 0, job, make.at(accepted), 0, uid)


def passed(gate: Gate, enqueued: int = 0) -> list[str]:
    """Who passes, one behind the other, while their jobs fill the queue."""
    order = []
    while (found := gate.next(enqueued)) is not None:
        order.append(found[0])
        enqueued += found[1]
    return order


class AgainstNaive(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.gate = Gate(5)
        self.naive: dict[str, tuple[int, OrderKey, int]] = {}

    @rule(name=st.sampled_from("abcdef"), client=st.integers(0, 1), rank=st.integers(0, 2), jobs=st.integers(1, 7))
    def put(self, name: str, client: int, rank: int, jobs: int) -> None:
        self.gate.put(name, client, key(pipeline=rank, uid=name), jobs)
        self.naive[name] = (client, key(pipeline=rank, uid=name), jobs)

    @rule(name=st.sampled_from("abcdef"))
    def remove(self, name: str) -> None:
        self.gate.remove(name)
        self.naive.pop(name, None)

    @rule(size=st.none() | st.integers(0, 8))
    def edit_size(self, size: int | None) -> None:
        self.gate.size = size

    @rule(enqueued=st.integers(0, 6))
    def ask(self, enqueued: int) -> None:
        first = min(self.naive, key=self.naive.__getitem__, default=None)
        if first is not None:
            jobs, size = self.naive[first][2], self.gate.size
            fits = size is None or (size > 0 and (enqueued == 0 or enqueued + jobs <= size))
            assert self.gate.next(enqueued) == ((first, jobs) if fits else None)
            if fits:
                del self.naive[first]
        else:
            assert self.gate.next(enqueued) is None

    @invariant()
    def same_number(self) -> None:
        assert len(self.gate) == len(self.naive)


AgainstNaive.TestCase.settings = settings(max_examples=150, stateful_step_count=50, deadline=None)
TestAgainstNaive = AgainstNaive.TestCase


def test_they_pass_in_order_of_client_pipeline_job_and_arrival() -> None:
    gate = Gate()
    gate.put("e", 10, key(accepted=2), 1)
    gate.put("d", 10, key(accepted=1), 1)
    gate.put("c", 10, key(job=1, accepted=9), 1)
    gate.put("b", 10, key(pipeline=1, job=99), 1)
    gate.put("a", 1, key(pipeline=99), 1)
    assert passed(gate) == ["a", "b", "c", "d", "e"]


def test_one_that_does_not_fit_is_not_overtaken() -> None:
    gate = Gate(10)
    gate.put("large", 10, key(accepted=1), 8)
    gate.put("small", 10, key(accepted=2), 1)
    assert passed(gate, enqueued=5) == []
    assert passed(gate, enqueued=2) == ["large"]
    assert passed(gate, enqueued=9) == ["small"]


def test_one_larger_than_the_whole_queue_passes_when_that_is_empty() -> None:
    gate = Gate(10)
    gate.put("huge", 10, key(), 2000)
    assert passed(gate, enqueued=1) == []
    assert passed(gate) == ["huge"]


@pytest.mark.parametrize(("size", "through"), [(None, ["a", "b"]), (0, []), (1, ["a"]), (2, ["a", "b"])])
def test_absent_is_unlimited_and_zero_is_closed(size: int | None, through: list[str]) -> None:
    gate = Gate(size)
    gate.put("b", 10, key(uid="b"), 1)
    gate.put("a", 10, key(uid="a"), 1)
    assert passed(gate) == through
