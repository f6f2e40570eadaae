"""Retries of requests to the API server: in virtual time, inside their budget."""

import asyncio

import pytest

from task_pipeline.kube.errors import ApiError, Conflict, KubeError, NotFound, Unreachable, from_status
from task_pipeline.server.upstream import BUDGET, persistently

pytestmark = pytest.mark.looptime


def api(status: int, reason: str, retry_after: str | None = None) -> ApiError:
    return from_status(status, {"reason": reason, "message": "said"}, retry_after)


class Attempts:
    """Fails with each of `errors` in turn, then succeeds."""

    def __init__(self, *errors: KubeError) -> None:
        self.errors = list(errors)
        self.made = 0

    async def __call__(self) -> str:
        self.made += 1
        if self.errors:
            raise self.errors.pop(0)
        return "done"


async def test_trouble_that_passes_is_waited_for() -> None:
    attempt = Attempts(api(409, "Conflict"), api(429, "TooManyRequests"), api(503, "Away"), Unreachable("lost"))
    assert await persistently(attempt) == "done"
    assert attempt.made == 5
    assert asyncio.get_running_loop().time() < 1


async def test_an_answer_is_an_answer() -> None:
    attempt = Attempts(api(404, "NotFound"))
    with pytest.raises(NotFound):
        await persistently(attempt)
    assert attempt.made == 1


async def test_trouble_that_stays_is_told_within_the_budget() -> None:
    attempt = Attempts(*(api(409, "Conflict") for _ in range(1000)))
    with pytest.raises(Conflict):
        await persistently(attempt)
    assert BUDGET - 2 < asyncio.get_running_loop().time() <= BUDGET
    assert attempt.made < 30


async def test_a_pause_that_is_asked_for_is_kept_or_given_up_at_once() -> None:
    assert await persistently(Attempts(api(429, "TooManyRequests", "3"))) == "done"
    assert asyncio.get_running_loop().time() == pytest.approx(3, abs=0.01)
    with pytest.raises(ApiError):
        await persistently(Attempts(api(429, "TooManyRequests", "30")))
    assert asyncio.get_running_loop().time() == pytest.approx(3, abs=0.01)


async def test_silence_ends_with_the_budget() -> None:
    with pytest.raises(Unreachable, match="no answer"):
        await persistently(lambda: asyncio.sleep(60))
    assert asyncio.get_running_loop().time() == pytest.approx(BUDGET, abs=0.01)


async def test_a_time_limit_of_somebody_else_is_not_ours() -> None:
    async def inner() -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        await persistently(inner)
