"""The worker: claims, does what it is given, and claims again, until it is stopped."""

import asyncio
import os
import socket
import uuid
from base64 import b64encode
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any

from task_pipeline_worker.api import Api, Refused, check
from task_pipeline_worker.attempt import LAST_SECONDS, Attempt, Handler

WAIT_SECONDS = 30  # how long a claim waits for a job
LOOK_BACK_SECONDS = 0.3
_FOR_EVER = float("inf")


@dataclass(frozen=True, slots=True)
class Options:
    """How a worker works: `name` stands in the status of its jobs, of which it does `concurrency` at once.

    `insecure` lets the secret travel to another host without TLS; `ssl` is what aiohttp takes.
    """

    name: str = ""
    concurrency: int = 1
    insecure: bool = False
    ssl: Any = True


class Worker:
    """Works on one queue until it is stopped.

    A handler that returns has succeeded, with what it returns as the result (at most 4 KiB of JSON); one that raises
    has failed.
    """

    def __init__(
        self,
        server: str,
        client_id: str,
        client_secret: str,
        queue: str,
        handler: Handler,
        *,
        options: Options | None = None,
    ) -> None:
        options = options or Options()
        check(server, options.insecure)
        self._server = server
        self._options = options
        self._name = options.name or f"{socket.gethostname()}-{os.getpid()}"
        login = b64encode(f"{client_id}:{client_secret}".encode()).decode()
        self._login = {"Authorization": f"Basic {login}"}
        self._queue = queue
        self._handler = handler
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Claim nothing more; `run` returns when what is being done has ended."""
        self._stopping.set()

    async def run(self) -> None:
        """Work until `stop`. Cancelled, it cancels its jobs. Raises Refused when the server wants no such worker."""
        api = Api(self._server, ssl=self._options.ssl)
        lanes = [asyncio.ensure_future(self._work(api)) for _ in range(self._options.concurrency)]
        try:
            await asyncio.gather(*lanes)
        finally:
            for lane in lanes:
                lane.cancel()
            await asyncio.gather(*lanes, return_exceptions=True)
            await api.close()

    async def _work(self, api: Api) -> None:
        while not self._stopping.is_set():
            key = uuid.uuid4().hex
            claimed = await self._unless_stopped(self._claim(api, key))
            if not claimed and self._stopping.is_set():  # a job may have been given while we turned away
                await asyncio.sleep(LOOK_BACK_SECONDS)
                claimed = await self._claim(api, key, last=True)
            if claimed:
                await Attempt(api, claimed).do(self._handler)

    async def _claim(self, api: Api, key: str, *, last: bool = False) -> dict[str, Any]:
        """A job, or {} when there was none. The key lets a lost answer be asked for again; `last`: only that."""
        path = f"/api/v1/workers/{self._queue}:claim"
        headers = self._login | {"Idempotency-Key": key}
        body = {"worker": self._name, "waitSeconds": 0 if last else WAIT_SECONDS, "onlyRepeat": last}
        clock = asyncio.get_running_loop().time
        began = clock()
        try:
            until = began + LAST_SECONDS if last else _FOR_EVER
            answer = await api.send("POST", path, headers, body, until=until, wait=WAIT_SECONDS)
        except TimeoutError:
            return {}
        if answer.status not in (200, 204):
            raise Refused(f"{answer.status} {answer.body.get('reason', '')}: {answer.body.get('detail', '')}")
        if answer.status == 204 and clock() - began < 1 and not last:
            await asyncio.sleep(1)  # a server that is stopping lets everybody go at once
        return answer.body

    async def _unless_stopped(self, work: Awaitable[dict[str, Any]]) -> dict[str, Any]:
        task, stopped = asyncio.ensure_future(work), asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
            return task.result() if task.done() else {}
        finally:
            stopped.cancel()
            task.cancel()
