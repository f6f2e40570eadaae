"""The Python worker against the server: what the handler sees, and what becomes of the job."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from task_pipeline.api.resources import PIPELINE_JOBS
from task_pipeline.kube.errors import ServerError
from task_pipeline_worker import Failure, Handler, Job, Options, Refused, Worker
from tests.fakes import on
from tests.server.workers_world import Replica, Site, one_site


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with one_site() as made:
        made.run_clock()
        yield made


@pytest.fixture
async def server(site: Site) -> AsyncIterator[Replica]:
    """A server with leases of 1.5 s: a heartbeat each half second."""
    async with site.replica(worker_lease=1.5) as made:
        yield made


@asynccontextmanager
async def working(site: Site, server: Replica, handler: Handler, **options: Any) -> AsyncIterator[Worker]:
    """A worker of the queue `render` while the block runs; then it is stopped."""
    worker = Worker(server.url, "acme", site.secrets["acme"], "render", handler, options=Options(name="sdk", **options))
    run = asyncio.create_task(worker.run())
    try:
        yield worker
        worker.stop()
        await asyncio.wait_for(run, 10)
    finally:
        run.cancel()
        await asyncio.gather(run, return_exceptions=True)


async def until(condition: Callable[[], Any], seconds: float = 10) -> None:
    deadline = asyncio.get_running_loop().time() + seconds
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, "waited in vain"
        await asyncio.sleep(0.02)


def report(site: Site, name: str) -> dict[str, Any]:
    found: dict[str, Any] = site.status(name).get("report") or {}
    return found


async def test_a_handler_is_given_the_payload_and_its_answer_is_the_result(site: Site, server: Replica) -> None:
    async def handler(job: Job) -> dict[str, Any]:
        return {"date": job.payload["run_date"], "attempt": job.attempt, "who": f"{job.pipeline}/{job.name}"}

    async with working(site, server, handler):
        name = site.offer()
        await until(lambda: report(site, name))
    assert report(site, name)["outcome"] == "Succeeded"
    assert site.status(name)["result"] == {"date": "2031-04-20", "attempt": 1, "who": f"p/{name}"}
    assert site.status(name)["claim"]["worker"] == "sdk"


async def test_it_is_kept_alive_while_it_works_and_progress_arrives(site: Site, server: Replica) -> None:
    async def handler(job: Job) -> None:
        for percent in range(101):
            job.progress(percent, f"step {percent}")
            await asyncio.sleep(0.05)

    async with working(site, server, handler):
        name = site.offer()
        await until(lambda: "claim" in site.status(name))
        first = site.status(name)["claim"]["leaseUntil"]
        await until(lambda: "progress" in site.status(name))
        await until(lambda: report(site, name))
    assert site.status(name)["claim"]["leaseUntil"] > first
    assert report(site, name)["outcome"] == "Succeeded"


@pytest.mark.parametrize(
    ("error", "message", "exit_code"),
    [(ValueError("bad scene"), "ValueError: bad scene", None), (Failure("no space", exit_code=28), "no space", 28)],
)
async def test_an_exception_is_a_failure(
    site: Site, server: Replica, error: Exception, message: str, exit_code: int | None
) -> None:
    async def handler(job: Job) -> None:
        raise error

    async with working(site, server, handler):
        name = site.offer()
        await until(lambda: report(site, name))
    said = report(site, name)
    assert (said["outcome"], said["message"], said.get("exitCode")) == ("Failed", message, exit_code)


async def test_a_result_that_is_too_large_is_a_failure_that_says_so(site: Site, server: Replica) -> None:
    async def handler(job: Job) -> dict[str, Any]:
        return {"text": "x" * 5000}

    async with working(site, server, handler):
        name = site.offer()
        await until(lambda: report(site, name))
    assert report(site, name)["outcome"] == "Failed"
    assert "the limit is 4096" in report(site, name)["message"]


async def test_a_cancel_is_the_handlers_cancellation(site: Site, server: Replica) -> None:
    ended = asyncio.Event()

    async def handler(job: Job) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    async with working(site, server, handler):
        name = site.offer()
        await until(lambda: "claim" in site.status(name))
        site.write(name, state="READY", reason="Stopping")
        await asyncio.wait_for(ended.wait(), 5)
        await until(lambda: report(site, name))
    assert report(site, name)["message"] == "the job was cancelled"


@pytest.mark.parametrize("how", ["superseded", "gone"])
async def test_what_is_not_its_own_any_more_is_cancelled_and_not_reported(
    site: Site, server: Replica, how: str
) -> None:
    ended = asyncio.Event()

    async def handler(job: Job) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    async with working(site, server, handler) as worker:
        name = site.offer()
        await until(lambda: "claim" in site.status(name))
        worker.stop()
        if how == "gone":
            site.cluster.admin.delete(PIPELINE_JOBS, name)
        else:
            site.write(name, state="READY", reason="RetryBackoff")
            site.launch(name, 2)
        await asyncio.wait_for(ended.wait(), 5)
    assert not any("report" in str(request.body) for request in site.cluster.journal.of("patch_status", PIPELINE_JOBS))


async def test_a_worker_that_cannot_reach_the_server_lets_go_when_its_claim_has_passed(
    site: Site, server: Replica
) -> None:
    ended = asyncio.Event()

    async def handler(job: Job) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    async with working(site, server, handler) as worker:
        name = site.offer()
        await until(lambda: "claim" in site.status(name))
        worker.stop()
        site.cluster.fault(on(resource=PIPELINE_JOBS), before=ServerError(500, "", "away"), times=None)
        await asyncio.wait_for(ended.wait(), 20)
    assert not report(site, name)


async def test_a_worker_that_is_cancelled_reports_what_it_left(site: Site, server: Replica) -> None:
    begun = asyncio.Event()

    async def handler(job: Job) -> None:
        begun.set()
        await asyncio.sleep(60)

    worker = Worker(server.url, "acme", site.secrets["acme"], "render", handler)
    run = asyncio.create_task(worker.run())
    name = site.offer()
    await asyncio.wait_for(begun.wait(), 30)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert report(site, name)["message"] == "the worker was stopped"


async def test_several_jobs_at_once_and_none_after_the_stop(site: Site, server: Replica) -> None:
    together, most = 0, 0

    async def handler(job: Job) -> None:
        nonlocal together, most
        together += 1
        most = max(most, together)
        await until(lambda: most >= 3)
        await asyncio.sleep(0.1)  # time for a fourth, which must not come
        together -= 1

    async with working(site, server, handler, concurrency=3) as worker:
        names = [site.offer() for _ in range(6)]
        await until(lambda: all(report(site, name) for name in names))
        worker.stop()
        late = site.offer()
    assert most == 3
    assert ("claim" in site.status(late)) == bool(report(site, late)), "what was still given is done, too"


async def test_a_wrong_secret_ends_the_worker(site: Site, server: Replica) -> None:
    async def handler(job: Job) -> None:
        raise AssertionError

    worker = Worker(server.url, "acme", "wrong", "render", handler)
    with pytest.raises(Refused, match="401"):
        await asyncio.wait_for(worker.run(), 10)


@pytest.mark.parametrize("server", ["http://task-pipeline.example.org", "ftp://localhost", "localhost:8080", ""])
def test_a_secret_does_not_travel_in_clear_text(server: str) -> None:
    async def handler(job: Job) -> None: ...

    with pytest.raises(ValueError, match="server"):
        Worker(server, "acme", "secret", "render", handler)
