"""The order key: one total order, the same whoever builds it and whenever, read from documented fields only."""

from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from task_pipeline.api.times import format_time
from task_pipeline.core.ordering import OrderKey
from tests import make


def key(
    *, pipeline: int = 10, stage: int = 0, job: int = 10, accepted: float = 0, place: int = 0, uid: str = "u"
) -> OrderKey:
    return OrderKey(pipeline, stage, job, make.at(accepted), place, uid)


numbers = st.integers(-(2**31), 2**31 - 1) | st.integers(9, 11)
keys = st.builds(
    key, pipeline=numbers, stage=st.integers(0, 63), job=numbers, accepted=st.integers(-9, 9) | st.floats(-1e8, 1e8),
    place=st.integers(0, 1999), uid=st.uuids().map(str),
)  # fmt: skip


@pytest.mark.parametrize("place", range(len(OrderKey._fields)))
def test_each_field_decides_only_among_equals_of_all_before_it(place: int) -> None:
    low = key(pipeline=1, stage=1, job=1, accepted=1, place=1, uid="a")
    high = key(pipeline=2, stage=2, job=2, accepted=2, place=2, uid="b")
    worse_later = OrderKey._make(low[: place + 1] + high[place + 1 :])
    worse_here = OrderKey._make((*low[:place], high[place], *low[place + 1 :]))
    assert worse_later < worse_here


@given(st.lists(keys, unique_by=lambda one: one.uid, max_size=12), st.data())
def test_the_order_does_not_depend_on_who_came_first(some: list[OrderKey], data: st.DataObject) -> None:
    ordered = sorted(some)
    assert sorted(data.draw(st.permutations(some))) == ordered
    assert all(one < other for one, other in pairwise(ordered))


@given(st.timedeltas(timedelta(-9999), timedelta(9999)), st.timedeltas(timedelta(-9999), timedelta(9999)))
def test_the_text_of_an_arrival_sorts_as_its_time(one: timedelta, other: timedelta) -> None:
    texts = [format_time(make.NOON + one), format_time(make.NOON + other)]
    assert (texts[0] < texts[1]) == (one < other)


def test_B011_a_stage_outranks_the_numbers_of_its_jobs() -> None:
    assert key(stage=0, job=50) < key(stage=1, job=1)


def test_B013_equals_go_by_their_place_in_the_list_then_by_arrival_then_by_uid() -> None:
    in_list = [key(place=place, uid=f"{99 - place}") for place in range(20)]
    assert sorted(in_list[::-1]) == in_list
    within_a_second = [key(accepted=number / 1e6, uid=f"{99 - number}") for number in range(20)]
    assert sorted(within_a_second[::-1]) == within_a_second
    at_once = [key(uid=f"{number:02}") for number in range(20)]
    assert sorted(at_once[::-1]) == at_once


def test_B013_arrival_comes_before_the_place_so_that_pipelines_do_not_interleave() -> None:
    assert key(accepted=1, place=19) < key(accepted=2, place=0)


def test_B016_size_is_no_part_of_the_order() -> None:
    assert OrderKey._fields == ("pipeline_priority", "stage_index", "priority", "accepted", "place", "uid")
    big, small = key(job=1, place=1), key(job=5, place=0)
    assert big < small


def test_a_negative_priority_is_smaller() -> None:
    assert key(pipeline=-1) < key(pipeline=0)
    assert key(job=-(2**31)) < key(job=2**31 - 1)
