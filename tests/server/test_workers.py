"""The worker protocol over HTTP: who gets which job, and that whatever is sent twice happens once."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from task_pipeline.api.resources import PIPELINE_CLIENTS, PIPELINE_JOBS
from task_pipeline.kube.errors import ServerError, Unreachable
from tests.fakes import on
from tests.server.workers_world import Replica, Site, one_site


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with one_site() as made:
        yield made


@pytest.fixture
async def server(site: Site) -> AsyncIterator[Replica]:
    async with site.replica() as made:
        yield made


async def claimed(site: Site, server: Replica, name: str = "job-1") -> dict[str, Any]:
    """A job that has been offered and claimed by w1; the answer."""
    site.offer(name)
    status, answer = await server.claim(site.acme, wait=5)
    assert status == 200, answer
    assert isinstance(answer, dict)
    return answer


async def polls(server: Replica, number: int) -> None:
    """Wait until so many claims are waiting."""
    for _ in range(500):
        if server.desk.board.waiting == number:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"{server.desk.board.waiting} claims are waiting, not {number}")


def reason(answer: Any) -> tuple[int, str]:
    """Status and reason of a problem."""
    status, body = answer
    return status, body["reason"]


class TestClaim:
    async def test_a_worker_is_given_what_it_needs(self, site: Site, server: Replica) -> None:
        name = site.offer()
        status, answer = await server.claim(site.acme, wait=5)
        assert status == 200
        assert answer["params"]["payload"] == {"run_date": "2031-04-20"}
        uid = site.job(name)["metadata"]["uid"]
        assert answer["job"] == {
            "namespace": "default", "pipeline": "p", "job": name, "name": name, "uid": uid, "stage": "s", "run": 1,
            "clientId": "acme", "kind": "Worker", "version": "1.0.0", "attempt": 1,
        }  # fmt: skip
        assert answer["path"] == f"/api/v1/attempts/{uid}/1"
        assert (answer["leaseUntil"], answer["nextIntervalSeconds"]) == ("2031-04-17T12:01:00.000000Z", 20)
        assert answer["timeoutSeconds"] == 86_400
        status_now = site.status(name)
        assert (status_now["state"], status_now["reason"]) == ("IN PROGRESS", "AwaitingWorker")
        assert status_now["claim"]["worker"] == "w1"

    async def test_there_may_be_nothing(self, site: Site, server: Replica) -> None:
        assert await server.claim(site.acme) == (204, None)

    @pytest.mark.parametrize(
        "job",
        [{"client": "other"}, {"queue": "elsewhere"}, {"kind": "Shell"}, {"version": "9.0.0"}, {"params": {}}],
    )
    async def test_others_jobs_are_not_given(self, site: Site, server: Replica, job: dict[str, Any]) -> None:
        site.offer(**job)
        site.offer("mine")
        assert (await server.claim(site.acme, wait=5))[1]["job"]["job"] == "mine"
        assert await server.claim(site.acme) == (204, None)

    async def test_a_namespace_that_the_client_does_not_list_is_not_given(self, site: Site) -> None:
        site.offer()
        site.cluster.admin.patch(PIPELINE_CLIENTS, "acme", {"spec": {"namespaces": ["elsewhere"]}}, "task-pipeline")
        async with site.replica() as fresh:
            assert await fresh.claim(site.acme) == (204, None)

    async def test_the_first_launched_is_the_first_given(self, site: Site, server: Replica) -> None:
        names = []
        for _ in range(5):
            names.append(site.offer())
            site.pass_time(1)
        await _seen(server, site, names[-1])
        given = [(await server.claim(site.acme))[1]["job"]["job"] for _ in names]
        assert given == names

    async def test_a_claim_waits_for_a_job(self, site: Site, server: Replica) -> None:
        waiting = asyncio.create_task(server.claim(site.acme, wait=20))
        await polls(server, 1)
        site.offer()
        assert (await asyncio.wait_for(waiting, 5))[0] == 200

    async def test_a_wait_ends_with_204(self, site: Site, server: Replica) -> None:
        began = asyncio.get_running_loop().time()
        assert await server.claim(site.acme, wait=1) == (204, None)
        assert 0.9 <= asyncio.get_running_loop().time() - began < 5

    async def test_one_job_wakes_one_of_many(self, site: Site, server: Replica) -> None:
        waiting = [asyncio.create_task(server.claim(site.acme, worker=f"w{n}", wait=5)) for n in range(20)]
        await polls(server, 20)
        names = [site.offer() for _ in range(3)]
        answers = await asyncio.gather(*waiting)
        assert sorted(body["job"]["job"] for status, body in answers if status == 200) == names
        assert [site.writes(name) for name in names] == [1, 1, 1]

    async def test_b063_of_many_that_claim_one_job_on_three_replicas_one_wins(self, site: Site) -> None:
        async with site.replica() as one, site.replica() as two, site.replica() as three:
            name = site.offer()
            for replica in (one, two, three):
                await _seen(replica, site, name)
            asked = [
                replica.claim(site.acme, worker=f"w{n}")
                for n, replica in zip(range(12), itertools.cycle((one, two, three)), strict=False)
            ]
            answers = await asyncio.gather(*asked)
            assert sorted(status for status, _ in answers) == [200] + [204] * 11
            assert site.writes(name) == 1

    async def test_many_at_once_are_given_one_job_each_with_one_request_for_each(
        self, site: Site, server: Replica
    ) -> None:
        names = [site.offer() for _ in range(40)]
        await _seen(server, site, names[-1])
        site.cluster.journal.clear()
        answers = await asyncio.gather(*(server.claim(site.acme, worker=f"w{n}", wait=5) for n in range(40)))
        assert sorted(body["job"]["job"] for _, body in answers) == sorted(names)
        assert len(site.cluster.journal.of("patch_status", PIPELINE_JOBS)) == 40
        assert not site.cluster.journal.of("get", PIPELINE_JOBS)

    async def test_the_runner_is_given_http_jobs_of_all_clients_and_nobody_else_is(
        self, site: Site, server: Replica
    ) -> None:
        runner = "Bearer " + site.account("system:serviceaccount:task-pipeline:runner")
        params = {"url": "https://example.org/x"}
        names = [site.offer(client=client, kind="HTTP", params=params) for client in ("acme", "other")]
        site.offer("work", queue="http")
        await _seen(server, site, names[1])
        given = [await server.claim(runner, "http", key=key) for key in ("k1", "k2", "k1", "k3")]
        assert [body and body["job"]["job"] for _, body in given] == [*names, names[0], None]
        assert given[0][1]["params"] == params
        assert (await server.claim(site.acme, "http"))[1]["job"]["job"] == "work"
        assert (await server.claim(site.acme, "http"))[0] == 204

    async def test_a_user_of_the_cluster_claims_nothing(self, site: Site, server: Replica) -> None:
        somebody = "Bearer " + site.account("somebody")
        assert reason(await server.claim(somebody)) == (403, "Forbidden")

    async def test_the_same_request_again_is_given_the_same_job(self, site: Site, server: Replica) -> None:
        names = [site.offer(), site.offer()]
        await _seen(server, site, names[1])
        first, again = await server.claim(site.acme, key="k1"), await server.claim(site.acme, key="k1")
        assert first[1] | {"token": ""} == again[1] | {"token": ""}
        assert (await server.claim(site.acme, key="k2"))[1]["job"]["job"] == names[1]
        assert (await server.claim(site.acme, worker="w2", key="k1"))[0] == 204
        assert [site.writes(name) for name in names] == [1, 1]

    async def test_a_worker_may_ask_only_for_what_it_was_given(self, site: Site, server: Replica) -> None:
        names = [site.offer(), site.offer()]
        await _seen(server, site, names[1])
        ask = {"worker": "w1", "waitSeconds": 20, "onlyRepeat": True}
        path = "/api/v1/workers/render:claim"
        assert (await server.ask("POST", path, site.acme, ask, Idempotency_Key="k1")) == (204, None)
        await server.claim(site.acme, key="k1")
        assert (await server.ask("POST", path, site.acme, ask, Idempotency_Key="k1"))[1]["job"]["job"] == names[0]

    @pytest.mark.parametrize("key", ["", "x" * 65, "é"])
    async def test_a_key_that_is_none(self, site: Site, server: Replica, key: str) -> None:
        assert reason(await server.claim(site.acme, key=key)) == (400, "InvalidHeader")

    @pytest.mark.parametrize("body", [{}, {"worker": ""}, {"worker": "w", "waitSeconds": 31}, {"worker": "\n"}])
    async def test_wrong_bodies(self, site: Site, server: Replica, body: dict[str, Any]) -> None:
        status, answer = await server.ask("POST", "/api/v1/workers/render:claim", site.acme, body)
        assert status == 422
        assert answer["errors"]

    async def test_too_many_may_not_wait(self, site: Site, server: Replica, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("task_pipeline.server.board.MOST_OF_CLIENT", 1)
        waiting = asyncio.create_task(server.claim(site.acme, wait=20))
        await polls(server, 1)
        assert reason(await server.claim(site.acme, wait=1)) == (429, "TooManyWaiting")
        assert (await server.claim(site.other, wait=0))[0] == 204
        site.offer()
        assert (await waiting)[0] == 200

    async def test_who_gives_up_waiting_leaves_the_job_to_the_next(self, site: Site, server: Replica) -> None:
        first = asyncio.create_task(server.claim(site.acme, worker="gone", wait=20))
        await polls(server, 1)
        second = asyncio.create_task(server.claim(site.acme, worker="stays", wait=20))
        await polls(server, 2)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        await asyncio.sleep(0.1)  # the end of a connection arrives on its own; nothing here tells when
        name = site.offer()
        assert (await asyncio.wait_for(second, 5))[0] == 200
        assert site.status(name)["claim"]["worker"] == "stays"

    async def test_a_server_that_stops_lets_who_waits_go(self, site: Site) -> None:
        async with site.replica() as stopping:
            waiting = asyncio.create_task(stopping.claim(site.acme, wait=30))
            await polls(stopping, 1)
            stopping.desk.board.close()
            assert await asyncio.wait_for(waiting, 15) == (204, None)


class TestReports:
    async def test_from_claim_to_result(self, site: Site, server: Replica) -> None:
        got = await claimed(site, server)
        site.pass_time(25)
        status, beat = await server.say(got, "heartbeat")
        assert status == 200
        assert beat == {
            "desiredState": "Running", "leaseUntil": "2031-04-17T12:01:25.000000Z", "nextIntervalSeconds": 20
        }  # fmt: skip
        status, told = await server.say(got, "progress", {"percent": 40, "message": "scene 4"})
        assert told["progress"] == {"percent": 40, "message": "scene 4", "time": "2031-04-17T12:00:25.000000Z"}
        said = {"outcome": "Failed", "message": "no space", "exitCode": 3, "result": {"frames": 7, "none": None}}
        status, ended = await server.say(got, "result", said)
        assert ended == {
            "attempt": 1, "outcome": "Failed", "message": "no space", "exitCode": 3,
            "time": "2031-04-17T12:00:25.000000Z",
        }  # fmt: skip
        now = site.status("job-1")
        assert (now["state"], now["reason"]) == ("IN PROGRESS", "AwaitingWorker"), "the operator sets the state"
        assert now["result"] == {"frames": 7}
        assert now["report"] == ended
        status, stands = await server.say(got, "")
        assert (stands["active"], stands["report"], stands["progress"]["percent"]) == (False, ended, 40)

    async def test_row_67_each_request_replayed_makes_one_transition(self, site: Site, server: Replica) -> None:
        site.offer("job-1")
        await _seen(server, site, "job-1")
        first = [await server.claim(site.acme, key="k") for _ in range(3)]
        got = first[0][1]
        site.pass_time(30)
        for what, body in (
            ("heartbeat", {}),
            ("progress", {"percent": 10}),
            ("result", {"outcome": "Succeeded", "result": {"a": 1}}),
        ):
            before = site.writes("job-1")
            answers = [await server.say(got, what, body) for _ in range(3)]
            assert answers[0][0] == 200
            assert answers[1:] == answers[:1] * 2
            assert site.writes("job-1") == before + 1

    async def test_row_68_a_late_report_is_409_and_changes_nothing(self, site: Site, server: Replica) -> None:
        got = await claimed(site, server)
        site.write("job-1", state="READY", reason="RetryBackoff")
        for what in ("heartbeat", "progress", "result"):
            assert reason(await server.say(got, what, _body(what))) == (410, "AttemptOver")
        site.launch("job-1", 2)
        before = site.job("job-1")
        for what in ("heartbeat", "progress", "result", ""):
            answer = await server.say(got, what, _body(what))
            assert reason(answer) == (409, "AttemptSuperseded")
            assert answer[1]["errors"] == [{"path": "attempt", "message": "the latest attempt is 2"}]
        assert site.job("job-1") == before
        status, second = await server.claim(site.acme, worker="w2")
        assert (status, second["job"]["attempt"]) == (200, 2)
        assert reason(await server.say(got, "result", _body("result"))) == (409, "AttemptSuperseded")

    @pytest.mark.parametrize("state", ["DONE", "ERROR", "READY"])
    async def test_row_67_a_report_for_what_is_over_is_410(self, site: Site, server: Replica, state: str) -> None:
        got = await claimed(site, server)
        site.write("job-1", state=state, reason="Any")
        before = site.job("job-1")
        assert reason(await server.say(got, "result", _body("result"))) == (410, "AttemptOver")
        assert site.job("job-1") == before

    async def test_of_a_job_that_is_gone_it_is_410(self, site: Site, server: Replica) -> None:
        got = await claimed(site, server)
        site.cluster.admin.delete(PIPELINE_JOBS, "job-1")
        for what in ("heartbeat", "progress", "result", ""):
            assert reason(await server.say(got, what, _body(what))) == (410, "AttemptOver")
        site.offer("job-1")
        assert reason(await server.say(got, "result", _body("result"))) == (410, "AttemptOver")

    async def test_another_report_after_the_first_is_refused(self, site: Site, server: Replica) -> None:
        got = await claimed(site, server)
        await server.say(got, "result", {"outcome": "Succeeded"})
        site.write("job-1", state="DONE", reason="Succeeded")
        assert (await server.say(got, "result", {"outcome": "Succeeded"}))[0] == 200
        assert reason(await server.say(got, "result", {"outcome": "Failed"})) == (410, "AttemptOver")

    async def test_a_cancel_reaches_the_worker_with_its_heartbeat(self, site: Site, server: Replica) -> None:
        got = await claimed(site, server)
        site.pass_time(30)
        site.write("job-1", state="READY", reason="Stopping")
        await _seen(server, site, "job-1")
        lease = site.status("job-1")["claim"]["leaseUntil"]
        for what in ("heartbeat", "progress"):
            _, answer = await server.say(got, what, _body(what))
            assert (answer["desiredState"], answer["leaseUntil"]) == ("Cancelled", lease)
        assert (await server.say(got, "result", {"outcome": "Failed"}))[0] == 200
        assert site.status("job-1")["state"] == "READY"

    async def test_a_thousand_reports_in_a_second_are_one_write(self, site: Site, server: Replica) -> None:
        got = await claimed(site, server)
        before = site.writes("job-1")
        gate = asyncio.Semaphore(50)

        async def one(number: int) -> int:
            async with gate:
                site.pass_time(0.001)
                return (await server.say(got, "progress", {"percent": number // 10}))[0]

        assert set(await asyncio.gather(*map(one, range(1000)))) == {200}
        assert site.writes("job-1") == before + 1
        site.pass_time(5)
        await server.say(got, "progress", {"percent": 100})
        assert site.status("job-1")["progress"]["percent"] == 100
        assert not site.cluster.journal.of("get", PIPELINE_JOBS), "reports are answered from memory"

    @pytest.mark.parametrize(
        ("what", "body", "path"),
        [
            ("progress", {"percent": 101}, "percent"),
            ("progress", {"percent": "50"}, "percent"),
            ("result", {}, "outcome"),
            ("result", {"outcome": "Done"}, "outcome"),
            ("result", {"outcome": "Failed", "exitCode": 2**31}, "exitCode"),
            ("result", {"outcome": "Succeeded", "result": {"a": "x" * 4096}}, "result"),
            ("result", {"outcome": "Succeeded", "result": {"a": [2**63]}}, "result"),
            ("result", {"outcome": "Succeeded", "result": [1]}, "result"),
            ("heartbeat", {"percent": 1}, "percent"),
        ],
    )
    async def test_wrong_bodies(self, site: Site, server: Replica, what: str, body: Any, path: str) -> None:
        got = await claimed(site, server)
        status, answer = await server.say(got, what, body)
        assert status == 422
        assert [fault["path"] for fault in answer["errors"]] == [path]

    async def test_a_token_opens_its_own_attempt_only(self, site: Site, server: Replica) -> None:
        one = await claimed(site, server, "a")
        two = await claimed(site, server, "b")
        foreign = {**one, "token": two["token"]}
        for what in ("", "heartbeat", "progress", "result"):
            assert reason(await server.say(foreign, what, _body(what))) == (403, "Forbidden")
            assert (await server.ask(_method(what), _path(one, what), site.acme, _body(what)))[0] == 403
            assert (await server.ask(_method(what), _path(one, what), "Bearer nonsense", _body(what)))[0] == 401
        assert (await server.claim(f"Bearer {one['token']}"))[0] == 403


class TestTrouble:
    async def test_row_71_a_lost_answer_of_the_api_server_is_no_second_transition(
        self, site: Site, server: Replica
    ) -> None:
        site.cluster.fault(on("patch_status", PIPELINE_JOBS), after=Unreachable("lost"), times=None)
        got = await claimed(site, server)
        site.pass_time(30)
        for what in ("heartbeat", "progress", "result"):
            assert (await server.say(got, what, _body(what)))[0] == 200
        assert site.writes("job-1") == 4

    async def test_while_the_control_plane_is_away_it_is_503_and_nothing_is_kept(
        self, site: Site, server: Replica, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("task_pipeline.server.upstream.BUDGET", 0.1)
        monkeypatch.setattr("task_pipeline.server.upstream.persistently.__defaults__", (0.1,))
        got = await claimed(site, server)
        site.pass_time(30)
        fault = site.cluster.fault(on(resource=PIPELINE_JOBS), before=ServerError(500, "", "away"), times=None)
        for what in ("heartbeat", "progress", "result"):
            assert (await server.say(got, what, _body(what)))[0] == 503
        fault.remove()
        assert "report" not in site.status("job-1")
        assert (await server.say(got, "result", _body("result")))[0] == 200

    @pytest.mark.parametrize("what", ["claim", "heartbeat", "progress", "result"])
    async def test_row_71_a_server_killed_after_its_write_has_given_the_first_answer(
        self, site: Site, what: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The process dies between the write and its answer; the request is repeated on another replica."""
        name = site.offer()
        async with site.replica() as other:
            await _seen(other, site, name)
            got = None if what == "claim" else (await other.claim(site.acme, key="k"))[1]
            site.pass_time(30)
            async with site.replica() as dying:
                commit = site.cluster.patch_status

                async def commit_and_die(*args: Any) -> Any:
                    await commit(*args)
                    raise asyncio.CancelledError

                with monkeypatch.context() as patched:
                    patched.setattr(site.cluster, "patch_status", commit_and_die)
                    with pytest.raises(aiohttp.ClientError):
                        await _request(site, dying, got, what)
            written = site.status(name)
            before = site.writes(name)
            status, answer = await _request(site, other, got, what)
            assert status == 200
            assert site.status(name) == written
            assert site.writes(name) == before
            if what == "claim":
                assert answer["leaseUntil"] == written["claim"]["leaseUntil"]

    async def test_row_73_every_replica_takes_every_report(self, site: Site) -> None:
        async with site.replica() as one, site.replica() as two, site.replica() as three:
            got = await claimed(site, one)
            for replica in itertools.islice(itertools.cycle((two, three, one)), 12):
                site.pass_time(6)
                assert (await replica.say(got, "progress", {"message": f"at {site.now}"}))[0] == 200
            assert site.writes("job-1") == 13
            assert (await three.say(got, "result", _body("result")))[0] == 200
            assert (await two.say(got, "result", _body("result")))[0] == 200
            assert site.writes("job-1") == 14

    async def test_b063_three_hours_of_work_with_another_worker_asking(self, site: Site, server: Replica) -> None:
        got = await claimed(site, server)
        for number in range(3 * 120):
            site.pass_time(30)
            status, beat = await server.say(got, "progress", {"percent": number // 4, "message": str(number)})
            assert (status, beat["desiredState"]) == (200, "Running")
            assert (await server.claim(site.acme, worker="w2"))[0] == 204
        assert site.status("job-1")["claim"]["worker"] == "w1"

    async def test_b031_what_has_timed_out_is_not_given(self, site: Site, server: Replica) -> None:
        name = site.offer(timeout=10)
        await _seen(server, site, name)
        site.pass_time(10)
        assert (await server.claim(site.acme))[0] == 204


def _body(what: str) -> Any:
    return {"": None, "heartbeat": {}, "progress": {"percent": 50}, "result": {"outcome": "Succeeded"}}[what]


def _method(what: str) -> str:
    return {"": "GET", "result": "PUT"}.get(what, "POST")


def _path(got: dict[str, Any], what: str) -> str:
    return str(got["path"]) + (f"/{what}" if what else "")


async def _request(site: Site, server: Replica, got: Any, what: str) -> Any:
    if what == "claim":
        return await server.claim(site.acme, key="k")
    return await server.say(got, what, _body(what))


async def _seen(server: Replica, site: Site, name: str) -> None:
    """Wait until the server's board knows the job as it is."""
    meta = site.job(name)["metadata"]
    for _ in range(500):
        known = server.desk.board.get(meta["uid"])
        if known is not None and known.rv >= int(meta["resourceVersion"]):
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"{name} is not on the board")
