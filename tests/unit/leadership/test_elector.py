"""The elector against a Lease in memory, in virtual time: never two open gates, and never long without one."""

import asyncio
import itertools
import random
from datetime import timedelta

import pytest

from task_pipeline.kube.errors import Forbidden, KubeError, Unreachable
from task_pipeline.leadership.record import Record, Timing, held
from tests.unit.leadership.memory import EPOCH, Member, Server, loop_time

pytestmark = [pytest.mark.looptime]

AWAY = Unreachable("connection refused")


async def passed(seconds: float) -> None:
    await asyncio.sleep(seconds)


async def test_the_first_creates_the_lease_and_keeps_it_with_one_write_each_two_seconds() -> None:
    server = Server()
    one = Member("one", server)
    await passed(0.1)
    assert one.elected_at == pytest.approx(0, abs=0.1)
    assert (one.open, server.holders) == (True, ["one"])
    await passed(600)
    assert one.open
    assert server.writes == pytest.approx(301, abs=2)
    assert one.line.requests == pytest.approx(server.writes + 1, abs=1)
    await one.resign()


async def test_of_two_that_start_together_one_leads() -> None:
    server = Server()
    members = [Member("one", server), Member("two", server)]
    await passed(60)
    assert sorted(member.open for member in members) == [False, True]
    assert {member.elector.leader for member in members} == {server.holders[0]}
    assert len(server.holders) == 1


async def test_after_a_crash_the_other_leads_within_duration_and_retry() -> None:
    server = Server()
    one, two = Member("one", server), Member("two", server)
    await passed(33.3)
    first, second = (one, two) if one.open else (two, one)
    await first.kill()
    killed = loop_time()
    await passed(20)
    assert second.elected_at is not None
    assert 10 < second.elected_at - killed <= 17.1
    assert server.record is not None
    assert server.record.lease_transitions == 1


async def test_given_back_it_is_taken_within_one_retry() -> None:
    server = Server()
    one = Member("one", server)
    await passed(1)
    two = Member("two", server)
    await passed(30)
    await one.resign()
    assert not one.open
    assert server.record is not None
    assert server.record.holder_identity == ""
    gave = loop_time()
    await passed(2.1)
    assert two.elected_at is not None
    assert two.elected_at - gave <= 2.0
    assert server.holders == ["one", "", "two"]


@pytest.mark.parametrize("problem", [AWAY, Forbidden(403, "Forbidden", "no")])
async def test_what_cannot_be_renewed_is_lost_after_the_deadline_and_before_another_takes_it(
    problem: KubeError,
) -> None:
    server = Server()
    one = Member("one", server)
    await passed(1)
    two = Member("two", server)
    await passed(20.5)
    one.line.down = problem
    began = loop_time()
    lost = await asyncio.wait_for(one.task, 30)
    assert loop_time() - began <= 10
    assert str(problem) in lost
    assert not one.open
    assert two.elected_at is None
    await passed(8)
    assert two.open


async def test_an_outage_that_is_shorter_than_the_deadline_costs_nothing() -> None:
    server = Server()
    one = Member("one", server)
    await passed(10)
    one.line.down = AWAY
    await passed(7)
    one.line.down = None
    await passed(100)
    assert one.open
    assert server.holders == ["one"]


async def test_an_answer_that_comes_late_opens_the_gate_for_less() -> None:
    server = Server()
    one = Member("one", server)
    one.line.seconds = 4.0
    await passed(8.1)  # reading took four seconds, writing took four
    assert one.open
    one.line.down = AWAY
    await passed(5.8)
    assert one.open
    await passed(0.2)
    assert not one.open


async def test_renewals_whose_answers_are_lost_are_recognised() -> None:
    server = Server()
    one = Member("one", server)
    await passed(5)
    one.line.lose = True
    await passed(3)
    one.line.lose = False
    await passed(60)
    assert one.open
    assert server.holders == ["one"]


async def test_a_lease_taken_with_a_lost_answer_is_recognised() -> None:
    server = Server()
    one = Member("one", server)
    one.line.lose = True
    await passed(1)
    assert (one.elected_at, server.holders) == (None, ["one"])
    one.line.lose = False
    await passed(2)
    assert one.open
    assert server.record is not None
    assert server.record.lease_transitions == 0


async def test_one_that_was_stopped_past_its_lease_leaves_when_it_wakes() -> None:
    server = Server()
    one = Member("one", server)
    await passed(1)
    two = Member("two", server)
    await passed(9)
    one.line.seconds = 1e6  # nothing is sent, nothing comes back
    await passed(40)
    one.line.seconds = 0
    assert one.task.done()
    assert not one.open
    assert two.open
    assert server.holders == ["one", "two"]


async def test_one_whose_loop_is_stuck_is_replaced() -> None:
    server = Server()
    one = Member("one", server)
    await passed(1)
    two = Member("two", server)
    await passed(9)
    one.alive = False
    assert "does not answer" in await asyncio.wait_for(one.task, 11)
    await passed(10)
    assert two.open


async def test_one_that_is_stuck_is_not_elected() -> None:
    server = Server()
    one = Member("one", server)
    one.alive = False
    await passed(60)
    assert server.writes == 0


async def test_a_lease_that_another_has_taken_is_lost_at_once() -> None:
    server = Server()
    one = Member("one", server)
    await passed(10)
    server.put(held(server.record, "thief", EPOCH, Timing()))
    assert "thief" in await asyncio.wait_for(one.task, 2.2)
    assert not one.open


async def test_a_lease_that_somebody_edits_is_kept() -> None:
    server = Server()
    one = Member("one", server)
    await passed(10)
    server.version += 1  # an annotation
    await passed(60)
    assert one.open


async def test_a_lease_that_is_deleted_is_made_anew_by_its_holder() -> None:
    server = Server()
    one = Member("one", server)
    await passed(1)
    two = Member("two", server)
    await passed(9)
    server.put(None)
    await passed(60)
    assert one.open
    assert two.elected_at is None


async def test_times_of_day_that_differ_or_jump_change_nothing() -> None:
    server = Server()
    one = Member("one", server)
    await passed(1)
    two = Member("two", server)
    for hours in (3, -7, 0, 1000):
        one.skew, two.skew = timedelta(hours=hours), timedelta(hours=-hours)
        await passed(50)
    assert server.holders == ["one"]
    assert one.open


async def test_who_leads_is_not_known_once_the_lease_cannot_be_read() -> None:
    server = Server()
    one = Member("one", server)
    await passed(1)
    two = Member("two", server)
    two_knew = await _leader_after(two, 3)
    two.line.down = Forbidden(403, "Forbidden", "leases is forbidden")
    assert (two_knew, await _leader_after(two, 20)) == ("one", None)
    two.line.down = None
    assert await _leader_after(two, 3) == "one"
    assert one.open


async def _leader_after(member: Member, seconds: float) -> str | None:
    await passed(seconds)
    return member.elector.leader


@pytest.mark.parametrize("seconds", [8.5, 9.9, 1.3])
async def test_given_back_in_the_middle_of_a_request_it_is_free(seconds: float) -> None:
    server = Server()
    one = Member("one", server)
    one.line.seconds = 0.8
    await passed(seconds)
    await one.resign()
    await passed(5)
    assert server.record is not None
    assert server.record.holder_identity == ""


async def test_release_by_one_that_does_not_lead_writes_nothing() -> None:
    server = Server()
    one = Member("one", server)
    await passed(1)
    two = Member("two", server)
    await passed(5)
    await two.resign()
    await passed(5)
    assert one.open
    assert server.holders == ["one"]


async def test_release_does_not_overwrite_another_holder() -> None:
    server = Server()
    one = Member("one", server)
    await passed(1)
    server.put(Record(holder_identity="two"))
    await one.resign()
    assert server.holders[-1] == "two"


async def disturb(member: Member, server: Server, chance: random.Random) -> None:
    """Let something happen to a replica, or make it well again."""
    match chance.randrange(8):
        case 0:
            await member.kill()
        case 1:
            await member.resign()
        case 2:
            member.line.down = AWAY
        case 3:
            member.line.lose = True
        case 4:
            member.line.seconds = chance.choice([0.5, 3.0, 6.0, 30.0])
        case 5:
            member.alive = not member.alive
        case 6:
            server.version += 1  # an annotation
        case _:
            member.heal()


@pytest.mark.parametrize("seed", range(12))
async def test_whatever_happens_there_are_never_two_and_in_the_end_there_is_one(seed: int) -> None:
    chance = random.Random(seed)
    server, timing = Server(), Timing(duration=15, deadline=10, retry=2)
    numbers = itertools.count()
    members = [Member(f"r{next(numbers)}", server, timing) for _ in range(3)]

    for _ in range(60):
        await passed(chance.uniform(0, 8))
        member = chance.choice(members)
        await disturb(member, server, chance)
        members = [Member(f"r{next(numbers)}", server, timing) if one.task.done() else one for one in members]
    for member in members:
        member.heal()
    await passed(40)
    members = [Member(f"r{next(numbers)}", server, timing) if one.task.done() else one for one in members]
    await passed(20)
    assert sum(member.open for member in members) == 1
    for member in members:
        await member.kill()
