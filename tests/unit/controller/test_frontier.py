"""Jobs of a stage that is being divided may start in their order, in whatever order their creates are answered."""

import random

import pytest

from task_pipeline.api.group import LABEL_JOB_HASH
from task_pipeline.controller.frontier import Frontier

PRIORITIES = (10, 5, 10, -1, 5)
ORDER = ["3", "1", "4", "0", "2"]


def frontier() -> Frontier:
    """Five jobs, each with its place in the list as its hash."""
    return Frontier(
        [
            {"metadata": {"labels": {LABEL_JOB_HASH: str(index)}}, "spec": {"priority": priority, "index": index}}
            for index, priority in enumerate(PRIORITIES)
        ]
    )


def test_drafts_are_created_in_the_order_in_which_their_jobs_run() -> None:
    assert [draft["metadata"]["labels"][LABEL_JOB_HASH] for draft in frontier().drafts] == ORDER


def test_a_job_waits_for_those_before_it() -> None:
    one = frontier()
    assert one.created("4") == []
    assert one.created("3") == ["3"]
    assert (one.has_passed("3"), one.has_passed("4")) == (True, False)
    assert one.created("1") == ["1", "4"]


@pytest.mark.parametrize("seed", range(10))
def test_answers_in_any_order_free_the_jobs_in_one_order(seed: int) -> None:
    one, answers = frontier(), ORDER * 2  # an answer may be told twice
    random.Random(seed).shuffle(answers)
    assert [passed for answer in answers for passed in one.created(answer)] == ORDER
