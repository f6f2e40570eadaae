"""Made-up histories, some of them the same in each run; `make test-faults` makes up many more."""

from hypothesis import HealthCheck, given, settings

from tests.faults.memory.model import Plan, plans, play_plan


@settings(
    max_examples=60, deadline=None, derandomize=True, database=None, print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)  # fmt: skip
@given(plans)
def test_every_promise_is_kept_in_any_history(plan: Plan) -> None:
    assert play_plan(plan).violations == []
