"""A set in order: the first member is right after any history, and memory follows what is in it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from task_pipeline.core.ranking import SLACK, Ranking

steps = st.lists(st.tuples(st.sampled_from("abcdef"), st.none() | st.tuples(st.integers(0, 3))), max_size=60)


@given(steps)
def test_the_first_is_the_smallest_whatever_came_moved_and_went(history: list[tuple[str, tuple[int] | None]]) -> None:
    ranking, naive = Ranking[tuple[int]](), dict[str, tuple[int]]()
    for member, rank in history:
        if rank is None:
            ranking.remove(member)
            naive.pop(member, None)
        else:
            ranking.put(member, rank)
            naive[member] = rank
            assert ranking.rank(member) == rank
        assert ranking.first() == min(naive, key=lambda one: (naive[one], one), default=None)
        assert len(ranking) == len(naive)


@pytest.mark.parametrize("asked", [False, True])
@pytest.mark.parametrize("members", [1, 20])
def test_memory_follows_what_is_in_it(members: int, asked: bool) -> None:
    ranking = Ranking[tuple[int]]()
    for number in range(members):
        ranking.put(str(number), (number,))
    for turn in range(1000):
        ranking.put("moves", (turn % 7 + 100,))
        ranking.remove("comes and goes")
        ranking.put("comes and goes", (50,))
        if asked:
            assert ranking.first() == "0"
    assert len(ranking._heap) <= 2 * len(ranking) + SLACK
    for number in range(members):
        ranking.remove(str(number))
    assert len(ranking._heap) <= 2 * len(ranking) + SLACK


def test_what_is_no_member_has_no_rank() -> None:
    ranking = Ranking[tuple[int]]()
    ranking.remove("nobody")
    assert ranking.first() is None
    with pytest.raises(KeyError):
        ranking.rank("nobody")
