"""One attempt that has been claimed: the handler runs, and beside it the claim is kept alive.

Rule: a handler runs only while this worker holds the attempt. When the server says that it is cancelled or over, or
could not be reached for as long as the claim lasts, the handler gets asyncio's cancellation.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from task_pipeline_worker.api import Answer, Api

log = logging.getLogger("task_pipeline_worker")

REPORT_SECONDS = 300.0  # how long a report is repeated
LAST_SECONDS = 5.0  # and when the worker itself is cancelled


class Failure(Exception):
    """Raised by a handler to say more of a failure than any other exception does."""

    def __init__(self, message: str, *, exit_code: int | None = None, result: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.exit_code = exit_code
        self.result = result


@dataclass(slots=True)
class Job:
    """One attempt of one job. `uid` and `attempt` together identify it: use them to do nothing twice."""

    namespace: str
    pipeline: str
    name: str
    uid: str
    attempt: int
    params: Mapping[str, Any]
    _told: dict[str, Any] = field(default_factory=dict)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def payload(self) -> Any:
        """What the author of the Pipeline wrote."""
        return self.params.get("payload", {})

    def progress(self, percent: int | None = None, message: str | None = None) -> None:
        """Tell how far it is. Call it as often as you like: the latest is sent, as often as the server wants it."""
        said = {"percent": percent, "message": message}
        self._told |= {name: value for name, value in said.items() if value is not None}
        self._news.set()


Handler = Callable[[Job], Awaitable[dict[str, Any] | None]]


class _Why(Enum):
    """Why a handler was cancelled."""

    NOT = "the worker was stopped"
    CANCELLED = "the job was cancelled"
    LOST = "the attempt is not this worker's any more"


class Attempt:
    """One attempt that has been claimed."""

    def __init__(self, api: Api, claimed: dict[str, Any]) -> None:
        self._api = api
        self._path: str = claimed["path"]
        self._headers = {"Authorization": f"Bearer {claimed['token']}"}
        self._interval = float(claimed["nextIntervalSeconds"])
        self._progress_interval = 5.0
        self._why = _Why.NOT
        job = claimed["job"]
        self.job = Job(job["namespace"], job["pipeline"], job["job"], job["uid"], job["attempt"], claimed["params"])

    async def do(self, handler: Handler) -> None:
        """Run the handler to its end, and report it unless nobody waits for it any more."""
        work = asyncio.ensure_future(handler(self.job))
        alive = asyncio.ensure_future(self._keep_alive(work))
        try:
            await asyncio.wait({work})
        except asyncio.CancelledError:
            work.cancel()
            await asyncio.wait({work})
            if self._why is not _Why.LOST:
                await self._report(self._outcome(work), LAST_SECONDS)
            raise
        finally:
            alive.cancel()
            await asyncio.gather(alive, return_exceptions=True)
        if self._why is not _Why.LOST:
            await self._report(self._outcome(work), REPORT_SECONDS)

    def _outcome(self, work: "asyncio.Future[dict[str, Any] | None]") -> dict[str, Any]:
        if work.cancelled():
            return {"outcome": "Failed", "message": self._why.value}
        error = work.exception()
        if error is None:
            return {"outcome": "Succeeded", "result": work.result()}
        if isinstance(error, Failure):
            return {"outcome": "Failed", "message": str(error), "exitCode": error.exit_code, "result": error.result}
        log.error("job %s of %s failed", self.job.name, self.job.pipeline, exc_info=error)
        return {"outcome": "Failed", "message": f"{type(error).__name__}: {error}"}

    async def _keep_alive(self, work: "asyncio.Future[Any]") -> None:
        clock = asyncio.get_running_loop().time
        heard = told = clock()
        told -= self._progress_interval
        while True:
            await self._next(heard, told)
            news, self.job._told = self.job._told, {}
            self.job._news.clear()
            what = "progress" if news else "heartbeat"
            try:
                answer = await self._say("POST", what, news, until=heard + 3 * self._interval)
            except TimeoutError as error:
                log.warning("%s: the claim has passed: %s", self._path, error)
                return self._cancel(work, _Why.LOST)
            heard, told = clock(), clock() if news else told
            if answer.status in (409, 410, 401):
                return self._cancel(work, _Why.LOST)
            self._interval = float(answer.body.get("nextIntervalSeconds", self._interval))
            self._progress_interval = float(answer.body.get("progressIntervalSeconds", self._progress_interval))
            self._repeat(news, answer.body.get("progress", {}))
            if answer.body.get("desiredState") == "Cancelled":
                return self._cancel(work, _Why.CANCELLED)

    async def _next(self, heard: float, told: float) -> None:
        """Wait until a heartbeat is due, or progress that has been told may be sent."""
        clock = asyncio.get_running_loop().time
        due = heard + self._interval
        try:
            async with asyncio.timeout_at(due):
                await self.job._news.wait()
                await asyncio.sleep(max(0.0, told + self._progress_interval - clock()))
        except TimeoutError:
            pass

    def _repeat(self, news: dict[str, Any], recorded: dict[str, Any]) -> None:
        """Tell again what came too soon to be recorded, unless there is something newer."""
        if news.get("percent", 0) > recorded.get("percent", 100):
            self.job._told = news | self.job._told
            self.job._news.set()

    def _cancel(self, work: "asyncio.Future[Any]", why: _Why) -> None:
        self._why = why
        work.cancel()

    async def _report(self, said: dict[str, Any], seconds: float) -> None:
        until = asyncio.get_running_loop().time() + seconds
        try:
            answer = await self._say("PUT", "result", said, until=until)
            if answer.status == 422:  # the result is too large, or no JSON that can be kept
                said = {"outcome": "Failed", "message": f"the report was refused: {answer.body.get('detail', '')}"}
                answer = await self._say("PUT", "result", said, until=until)
        except TimeoutError as error:
            log.error("%s could not be reported: %s", self._path, error)
            return
        if answer.status != 200:
            log.warning("%s: %s %s", self._path, answer.status, answer.body.get("detail", ""))

    async def _say(self, method: str, what: str, body: dict[str, Any], *, until: float) -> Answer:
        plain = {name: value for name, value in body.items() if value is not None}
        return await self._api.send(method, f"{self._path}/{what}", self._headers, plain, until=until)
