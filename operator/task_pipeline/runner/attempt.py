"""One attempt between its claim and its report: the request on one side, heartbeats on the other.

Rule: the request goes on only while the REST server says that the attempt is ours and wanted. An accepted callback is
held by heartbeats until the service has reported, so a service that never sends one is not lost; one that does
outlives this runner.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any

from task_pipeline.api.reasons import Reason
from task_pipeline.runner.ending import Ending
from task_pipeline.runner.perform import Perform, Work, perform
from task_pipeline.runner.send import Sender
from task_pipeline_worker.api import Api

log = logging.getLogger(__name__)

REPORT_SECONDS = 300.0
_MISSES = 3  # heartbeats without an answer, then the lease has passed
_OVER = frozenset({401, 403, 404, 409, 410})


class Verdict(Enum):
    """What heartbeats have told, or the runner has been told."""

    WANTED = "wanted"
    CANCELLED = "the job was cancelled"
    LOST = "the attempt is not this runner's any more"
    STOPPED = "the HTTP runner was stopped in the middle of the request"


class Attempt:
    """What has been claimed. `done_with_request` is called once, when the request itself is over."""

    def __init__(self, api: Api, claimed: Mapping[str, Any], work: Work, done_with_request: Callable[[], None]) -> None:
        self._api = api
        self._path: str = claimed["path"]
        self._headers = {"Authorization": f"Bearer {claimed['token']}"}
        self._interval = float(claimed["nextIntervalSeconds"])
        self._work = work
        self._done_with_request = done_with_request
        self._verdict = Verdict.WANTED
        self._accepted = False
        self._request: asyncio.Task[Ending | None] | None = None

    async def run(self, sender: Sender, perform: Perform = perform) -> None:
        """Send the request, and see to it that the attempt has an end, whoever reports it."""
        self._request = asyncio.create_task(perform(self._work, sender))
        alive = asyncio.create_task(self._keep_alive())
        try:
            ending = await self._outcome(self._request)
            self._done_with_request()
            if ending is None and self._verdict is Verdict.WANTED:
                self._accepted = True
                await alive
                ending = Ending(self._verdict.value, Reason.REQUEST_FAILED)
        finally:
            alive.cancel()
            self._request.cancel()
            await asyncio.gather(alive, self._request, return_exceptions=True)
        if ending is not None and self._verdict is not Verdict.LOST:
            await self._report(ending)

    @property
    def accepted(self) -> bool:
        """Whether a service has accepted the work and reports itself; the lease is then all that the runner keeps."""
        return self._accepted

    def stop(self) -> None:
        """The runner ends: give the request up, and report that."""
        self._end(Verdict.STOPPED)

    async def _outcome(self, request: "asyncio.Task[Ending | None]") -> Ending | None:
        await asyncio.wait({request})
        if request.cancelled():
            return Ending(self._verdict.value, Reason.REQUEST_FAILED)
        error = request.exception()
        if error is None:
            return request.result()
        log.error("%s: a fault of the runner", self._path, exc_info=error)
        return Ending(f"a fault of the HTTP runner: {type(error).__name__}; its log has more", Reason.REQUEST_FAILED)

    async def _keep_alive(self) -> None:
        """Heartbeats until the attempt is over or not wanted any more."""
        while self._verdict is Verdict.WANTED:
            await asyncio.sleep(self._interval)
            until = asyncio.get_running_loop().time() + (_MISSES - 1) * self._interval
            try:
                answer = await self._api.send("POST", f"{self._path}/heartbeat", self._headers, {}, until=until)
            except TimeoutError as error:
                log.warning("%s: the lease has passed: %s", self._path, error)
                return self._end(Verdict.LOST)
            if answer.status in _OVER:
                return self._end(Verdict.LOST)
            self._interval = float(answer.body.get("nextIntervalSeconds", self._interval))
            if answer.body.get("desiredState") == "Cancelled":
                return self._end(Verdict.CANCELLED)

    def _end(self, verdict: Verdict) -> None:
        self._verdict = verdict
        if self._request is not None:
            self._request.cancel()

    async def _report(self, ending: Ending) -> None:
        said: dict[str, Any] = {"outcome": "Failed" if ending.reason else "Succeeded", "message": ending.message}
        if ending.reason is not None:
            said["reason"] = ending.reason.value
        if ending.result is not None:
            said["result"] = dict(ending.result)
        until = asyncio.get_running_loop().time() + REPORT_SECONDS
        try:
            answer = await self._api.send("PUT", f"{self._path}/result", self._headers, said, until=until)
        except TimeoutError as error:
            log.error("%s could not be reported: %s", self._path, error)
            return
        if answer.status != 200:
            log.info("%s: %s %s", self._path, answer.status, answer.body.get("detail", ""))
