"""The runner's main loop: claims one job after the other, and lets as many requests be open as the settings say.

Rule: a job is claimed only when there is room for its request. A server that is away, or refuses the runner's token,
is asked again after a pause that grows; nothing but being stopped ends the loop.
"""

import asyncio
import logging
import os
import socket
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from task_pipeline.kinds.http import QUEUE
from task_pipeline.runner.attempt import Attempt
from task_pipeline.runner.perform import Perform, Work, perform
from task_pipeline.runner.send import Sender
from task_pipeline_worker.api import Api

log = logging.getLogger(__name__)

PATH = f"/api/v1/workers/{QUEUE}:claim"
WAIT_SECONDS = 30
PATIENCE = 60.0  # seconds for which one claim is repeated while the server does not answer
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
TIMEOUT_GRACE = 2.0  # seconds: the operator shall see the job's timeout first, and give it as the reason


@dataclass(frozen=True, slots=True)
class Options:
    """`requests` may be open at once, each for `seconds` at most; services call back below `callback_url`.

    When the runner is stopped, open requests have `stop_seconds` to end, and reports as long again.
    """

    requests: int
    seconds: float
    callback_url: str
    name: str = ""
    stop_seconds: float = 10.0


class Runner:
    """Claims the queue of HTTP jobs at `api`, and lets `perform` send what it has claimed.

    `token` gives the runner's own token, read anew for every claim.
    """

    def __init__(
        self, api: Api, token: Callable[[], str], sender: Sender, options: Options, perform: Perform = perform
    ) -> None:
        self._perform = perform
        self._api, self._token, self._sender, self._options = api, token, sender, options
        self._name = options.name or f"{socket.gethostname()}-{os.getpid()}"
        self._room = asyncio.Semaphore(options.requests)
        self._attempts: dict[Attempt, asyncio.Task[None]] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set; then open requests have a while to end, and those that remain are given up."""
        claiming = asyncio.create_task(self._claim_for_ever())
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait({claiming, stopped}, return_when=asyncio.FIRST_COMPLETED)
        for task in (claiming, stopped):
            task.cancel()
        await asyncio.gather(claiming, stopped, return_exceptions=True)
        await self._wind_up()
        if not claiming.cancelled():
            claiming.result()

    async def _wind_up(self) -> None:
        await self._wait(lambda attempt: not attempt.accepted)
        for attempt, task in list(self._attempts.items()):
            if attempt.accepted:
                task.cancel()
            else:
                attempt.stop()
        await self._wait(lambda attempt: True)
        left = list(self._attempts.values())
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _wait(self, for_whom: Callable[[Attempt], bool]) -> None:
        """Until these attempts are over, or their time is."""
        tasks = [task for attempt, task in self._attempts.items() if for_whom(attempt)]
        if tasks:
            await asyncio.wait(tasks, timeout=self._options.stop_seconds)

    async def _claim_for_ever(self) -> None:
        pause = FIRST_PAUSE
        while True:
            await self._room.acquire()
            begun = False
            try:
                claimed = await self._claim()
                begun = bool(claimed) and self._begin(claimed or {})
            finally:
                if not begun:
                    self._room.release()
            if claimed is not None:
                pause = FIRST_PAUSE
                continue
            await asyncio.sleep(pause)
            pause = min(LONGEST_PAUSE, pause * 2)

    async def _claim(self) -> Mapping[str, Any] | None:
        """A job, {} when there was none, None when the server did not let us ask."""
        clock = asyncio.get_running_loop().time
        body, began = {"worker": self._name, "waitSeconds": WAIT_SECONDS}, clock()
        try:
            headers = {"Authorization": f"Bearer {self._token()}", "Idempotency-Key": uuid.uuid4().hex}
            answer = await self._api.send("POST", PATH, headers, body, until=began + PATIENCE, wait=WAIT_SECONDS)
        except TimeoutError as error:
            log.warning("the REST server does not answer: %s", error)
            return None
        except (OSError, ValueError) as error:
            log.error("the runner's token cannot be read: %s", error)
            return None
        if answer.status not in (200, 204):
            log.error("the REST server refuses the runner: %s %s", answer.status, answer.body.get("detail", ""))
            return None
        if answer.status == 204 and clock() - began < 1:
            await asyncio.sleep(1)  # a server that is stopping lets everybody go at once
        return answer.body

    def _begin(self, claimed: Mapping[str, Any]) -> bool:
        """Start to work on a claim; False when it cannot be read, and its lease has to pass."""
        try:
            attempt = Attempt(self._api, claimed, self._work(claimed), self._room.release)
        except (KeyError, TypeError, ValueError) as error:
            log.error("the REST server gave a claim that this version cannot read: %r", error)
            return False
        task = asyncio.create_task(attempt.run(self._sender, self._perform))
        self._attempts[attempt] = task

        def over(ended: "asyncio.Task[None]") -> None:
            del self._attempts[attempt]
            if not ended.cancelled() and ended.exception() is not None:
                log.error("a fault of the runner", exc_info=ended.exception())

        task.add_done_callback(over)
        return True

    def _work(self, claimed: Mapping[str, Any]) -> Work:
        job = claimed["job"]
        return Work(
            uid=job["uid"],
            attempt=job["attempt"],
            kind=job["kind"],
            version=job["version"],
            params=claimed["params"],
            url=self._options.callback_url + claimed["path"],
            token=claimed["token"],
            seconds=min(self._options.seconds, float(claimed["timeoutSeconds"]) + TIMEOUT_GRACE),
            secret_headers=claimed.get("secretHeaders") or {},
            fault=claimed.get("secretFault"),
        )


def token_from(path: Path) -> Callable[[], str]:
    """The content of a token file, which the kubelet renews in place."""
    return lambda: path.read_text("ascii").strip()
