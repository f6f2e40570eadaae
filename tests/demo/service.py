"""A service that HTTP jobs call: it answers at once, works and calls back, or fails before it succeeds.

Run it as `python -m tests.demo.service`; it prints the port that it listens on. Every request is remembered by its
Idempotency-Key, so that tests see what was sent twice.
"""

import argparse
import asyncio
import signal
from collections import Counter
from typing import Any

import aiohttp
from aiohttp import web

STEPS = 4


class Service:
    """The application and what it has seen. `pause` is the time between two steps of the work, in seconds."""

    def __init__(self, pause: float = 0.05) -> None:
        self.pause = pause
        self.keys: Counter[str] = Counter()
        self.callbacks: list[tuple[str, int]] = []  # what was said to the REST server, and its answer
        self._tasks: set[asyncio.Task[None]] = set()
        self.app = web.Application()
        self.app.add_routes(
            [
                web.post("/tasks", self.answer),
                web.post("/callback", self.accept),
                web.post("/flaky", self.flaky),
                web.post("/slow", self.slow),
                web.get("/seen", self.seen),
            ]
        )
        self.app.on_cleanup.append(self._end)

    async def answer(self, request: web.Request) -> web.Response:
        """Do the work while the caller waits: the sum of `numbers`."""
        self.keys[request.headers["Idempotency-Key"]] += 1
        body = await request.json()
        return web.json_response({"sum": sum(body["numbers"])}, status=201, headers={"Location": "/tasks/1"})

    async def accept(self, request: web.Request) -> web.Response:
        """Accept the work, do it afterwards, and report through the attempt's URL."""
        self.keys[request.headers["Idempotency-Key"]] += 1
        url, token = request.headers["Task-Pipeline-Callback"], request.headers["Task-Pipeline-Token"]
        task = asyncio.create_task(self._work(url, token, await request.json()))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return web.Response(status=202)

    async def flaky(self, request: web.Request) -> web.Response:
        """Refuse the first attempt of a job, lose the answer to the second, do the third."""
        key = request.headers["Idempotency-Key"]
        self.keys[key] += 1
        attempt = int(key.rpartition("/")[2])
        if attempt == 1:
            return web.Response(status=503, text="busy,\nask again")
        if attempt == 2:
            assert request.transport is not None
            request.transport.abort()
        return web.Response(text="third time lucky")

    async def slow(self, request: web.Request) -> web.Response:
        """Never answer the first attempt of a job; answer the others."""
        key = request.headers["Idempotency-Key"]
        self.keys[key] += 1
        if key.endswith("/1"):
            await asyncio.sleep(3600)
        return web.Response(text="at last")

    async def seen(self, request: web.Request) -> web.Response:
        """What has been received and said so far."""
        return web.json_response({"keys": self.keys, "callbacks": self.callbacks})

    async def _work(self, url: str, token: str, body: dict[str, Any]) -> None:
        async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as session:
            for step in range(STEPS):
                await asyncio.sleep(self.pause)
                told = {"percent": 100 * (step + 1) // STEPS, "message": f"step {step + 1} of {STEPS}"}
                await self._say(session, "POST", f"{url}/progress", told)
            outcome = body.get("outcome", "Succeeded")
            said = {"outcome": outcome, "message": "as asked", "result": {"steps": STEPS}}
            await self._say(session, "PUT", f"{url}/result", said)

    async def _say(self, session: aiohttp.ClientSession, method: str, url: str, body: dict[str, Any]) -> None:
        async with session.request(method, url, json=body) as response:
            self.callbacks.append((url.rpartition("/")[2], response.status))

    async def _end(self, app: web.Application) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _main(port: int, pause: float) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    runner = web.AppRunner(Service(pause).app, access_log=None, shutdown_timeout=0, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    print(runner.addresses[0][1], flush=True)
    await stop.wait()
    await runner.cleanup()


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--port", type=int, default=0)
    options.add_argument("--pause", type=float, default=0.5)
    chosen = options.parse_args()
    asyncio.run(_main(chosen.port, chosen.pause))
