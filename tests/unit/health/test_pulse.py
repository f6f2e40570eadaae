"""The pulse of a loop, in virtual time."""

import asyncio

import pytest

from task_pipeline.health.pulse import BEAT_SECONDS, Pulse

pytestmark = [pytest.mark.looptime]


async def test_it_is_young_while_the_loop_turns_and_ages_when_it_does_not() -> None:
    pulse = Pulse(asyncio.get_running_loop().time)
    beat = asyncio.create_task(pulse.beat())
    await asyncio.sleep(100)
    assert pulse.age <= BEAT_SECONDS
    beat.cancel()
    await asyncio.sleep(40)
    assert pulse.age == pytest.approx(40, abs=BEAT_SECONDS)
