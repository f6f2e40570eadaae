"""The arithmetic of the benchmark, on times that are made up."""

from collections.abc import Sequence

import pytest

from tests.bench import figures
from tests.bench.figures import Pod, Run, Waiting


def run(*stages: Sequence[tuple[float, float]], sent: float = 0.0, done: float = 10.0) -> Run:
    """A run whose stages have pods with these times of seeing and ending."""
    pods = [
        Pod("work", stage, job, seen, ended)
        for stage, times in enumerate(stages)
        for job, (seen, ended) in enumerate(times)
    ]
    return Run("work", sent, done, tuple(pods[::-1]))  # in no order


def waiting(rank: int, launched: int | None, over: int | None = None, visible: float = -10.0) -> Waiting:
    """A job of a backlog; versions stand for moments, too."""
    return Waiting(
        (rank,),
        visible,
        None if launched is None else (float(launched), launched),
        None if over is None else (float(over), over),
    )


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        ([5.0], 0.99, 5.0),
        (range(1, 101), 0.99, 99),
        (range(1, 101), 1.0, 100),
        (range(1, 101), 0.5, 50),
        ([3.0, 1.0, 2.0], 0.5, 2.0),
        ([3.0, 1.0, 2.0], 0.34, 2.0),
        ([3.0, 1.0, 2.0], 0.33, 1.0),
    ],
)
def test_a_percentile_is_the_nearest_rank(values: Sequence[float], share: float, expected: float) -> None:
    assert figures.percentile(values, share) == expected


def test_a_spread_has_the_median_the_ends_and_the_number() -> None:
    assert figures.spread([4.0, 1.0, 2.0, 3.0]) == {"p50": 2.5, "p99": 4.0, "min": 1.0, "max": 4.0, "of": 4}
    assert figures.spread([]) == {}


def test_drift_has_no_direction() -> None:
    assert figures.drift(1000.0, 900.0) == pytest.approx(0.1)
    assert figures.drift(1000.0, 1150.0) == pytest.approx(0.15)


def test_overhead_is_what_the_pod_does_not_take() -> None:
    assert figures.overhead_ms(run([(0.010, 0.030)], done=0.042)) == pytest.approx(22.0)


def test_overhead_of_several_stages_leaves_out_the_last_pod_of_each() -> None:
    two = run([(1.0, 2.0), (1.1, 4.0)], [(5.0, 6.0), (5.0, 5.5)], sent=0.5, done=6.5)
    assert figures.overhead_ms(two) == pytest.approx(1000 * (6.0 - 2.9 - 1.0))


def test_a_hand_off_is_from_the_last_end_to_the_first_pod() -> None:
    three = run([(1.0, 2.0), (1.0, 3.0)], [(3.5, 4.0), (3.2, 4.5)], [(4.6, 5.0)])
    assert list(figures.hand_offs_ms(three)) == [pytest.approx(200.0), pytest.approx(100.0)]


def test_one_stage_hands_nothing_over() -> None:
    assert list(figures.hand_offs_ms(run([(1.0, 2.0)]))) == []


def test_makespan_is_from_the_first_request_to_the_last_end() -> None:
    assert figures.makespan([run(sent=1.0, done=5.0), run(sent=0.5, done=4.0)]) == 4.5


def test_the_steady_rate_leaves_out_start_and_tail() -> None:
    ends = [0.0, *(10.0 + 0.1 * number for number in range(18)), 100.0]
    pods = [Pod("work", 0, number, 0.0, end) for number, end in enumerate(ends)]
    assert figures.steady_rate(pods) == pytest.approx(16 / (ends[18] - ends[2]))


def test_slots_are_alike() -> None:
    created = [0.0, 0.1, 5.2, 4.1]  # two slots: the third pod belongs to the slot that was free first
    assert figures.reactions_ms([5.0, 4.0], created, limit=2) == [pytest.approx(100.0), pytest.approx(200.0)]


def test_what_became_free_before_the_window_is_not_counted() -> None:
    assert figures.reactions_ms([4.0, 5.0], [0.0, 4.1, 5.2], limit=1, since=4.5) == [pytest.approx(200.0)]


def test_slots_that_are_free_at_the_end_wait_for_nobody() -> None:
    assert figures.reactions_ms([4.0, 5.0], [0.0, 4.1], limit=1) == [pytest.approx(100.0)]


def test_slot_use_is_cut_to_the_window() -> None:
    spans = [(0.0, 2.0), (3.0, 9.0), (20.0, 30.0)]
    assert figures.slots_used(spans, 2, begin=1.0, end=6.0) == pytest.approx((1.0 + 3.0) / 10.0)


def test_all_slots_used_is_one() -> None:
    assert figures.slots_used([(0.0, 5.0), (0.0, 2.0), (2.0, 5.0)], 2, begin=1.0, end=4.0) == pytest.approx(1.0)


def test_the_window_begins_when_all_slots_are_taken() -> None:
    spans = [(0.0, 1.0), (0.5, 4.0), (1.0, 5.0), (3.0, 6.0)]
    assert figures.all_taken_from(spans, 2, since=0.0) == 0.5
    assert figures.all_taken_from(spans, 2, since=0.6) == 0.6
    assert figures.all_taken_from(spans, 3, since=0.6) == 3.0
    assert figures.all_taken_from(spans, 4, since=0.6) == 0.6


def test_the_peak_counts_what_overlaps() -> None:
    assert figures.peak([(0.0, 2.0), (1.0, 3.0), (2.0, 4.0)]) == 2
    assert figures.peak([]) == 0


def test_order_kept_is_no_inversion() -> None:
    assert figures.inversions([waiting(1, 10, 20), waiting(2, 21, 30), waiting(3, 31)], limit=1) == 0


def test_a_worse_job_before_a_better_one_is_an_inversion() -> None:
    assert figures.inversions([waiting(1, 10, 20), waiting(3, 21, 30), waiting(2, 31)], limit=1) == 1


def test_a_better_job_that_never_was_launched_counts() -> None:
    assert figures.inversions([waiting(2, 10), waiting(1, None)], limit=1) == 1


def test_the_better_one_may_have_another_free_slot() -> None:
    assert figures.inversions([waiting(2, 10), waiting(1, 11)], limit=2) == 0
    assert figures.inversions([waiting(2, 10), waiting(0, 11, 12), waiting(1, 13)], limit=2) == 1


def test_equals_have_no_order() -> None:
    assert figures.inversions([waiting(1, 10), waiting(1, 20)], limit=1) == 0


def test_what_has_just_become_visible_could_not_be_known() -> None:
    assert figures.inversions([waiting(2, 10), waiting(1, 20, visible=9.5)], limit=1) == 0
    assert figures.inversions([waiting(2, 10), waiting(1, 20, visible=9.0)], limit=1) == 1


def test_launches_outside_the_window_are_not_judged() -> None:
    early = Waiting((2,), -10.0, (10.0, 10), None, judged=False)
    assert figures.inversions([early, waiting(1, 20)], limit=1) == 0
