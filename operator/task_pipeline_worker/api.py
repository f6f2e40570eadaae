"""Requests to the REST server, repeated while the trouble may pass.

Rule: every request of the protocol may be sent twice, so silence, 429 and 5xx are answered by sending it again, after
a pause that grows and is spread. Everything else is an answer.
"""

import asyncio
import random
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import aiohttp

FIRST_PAUSE, LONGEST_PAUSE = 0.2, 10.0
REQUEST_SECONDS = 15.0
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Refused(Exception):
    """The server does not let this worker work: a wrong secret, or no right to the queue."""


class Answer(NamedTuple):
    """What the server said. `body` is {} where there is none."""

    status: int
    body: dict[str, Any]


def check(server: str, insecure: bool) -> None:
    """Raise ValueError for what is no server, or one to which secrets would go in clear text."""
    parts = urlsplit(server)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"server: has to be like https://task-pipeline.example.org, not {server!r}")
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK and not insecure:
        raise ValueError("server: secrets would travel in clear text; use https, or insecure=True if you mean it")


class Api:
    """The server at `server`, and the connections to it."""

    def __init__(self, server: str, *, ssl: Any = True) -> None:
        self._server = server.rstrip("/")
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=ssl))

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    async def send(
        self, method: str, path: str, headers: Mapping[str, str], body: Any, *, until: float, wait: float = 0.0
    ) -> Answer:
        """The answer to a request that the server may hold for `wait` seconds; repeated until loop time `until`.

        Raises TimeoutError when there was none by then.
        """
        clock = asyncio.get_running_loop().time
        pause = FIRST_PAUSE
        while True:
            again, asked = "no answer", 0.0
            try:
                answer, asked = await self._once(method, path, headers, body, wait + REQUEST_SECONDS)
                if answer.status != 429 and answer.status < 500:
                    return answer
                again = f"{answer.status} {answer.body.get('detail', '')}"
            except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
                again = f"{type(error).__name__}: {error}"
            rest = max(asked, pause * random.uniform(0.5, 1.0))  # noqa: S311 (spreads retries, no secret)
            if clock() + rest >= until:
                raise TimeoutError(f"{method} {path}: {again}")
            await asyncio.sleep(rest)
            pause = min(LONGEST_PAUSE, pause * 2)

    async def _once(
        self, method: str, path: str, headers: Mapping[str, str], body: Any, seconds: float
    ) -> tuple[Answer, float]:
        timeout = aiohttp.ClientTimeout(total=seconds)
        url = self._server + path
        async with self._session.request(
            method, url, headers=headers, json=body, timeout=timeout, allow_redirects=False
        ) as response:
            raw = await response.read()
            found = await response.json(content_type=None) if raw else {}
            after = response.headers.get("Retry-After", "")
            return Answer(response.status, found if isinstance(found, dict) else {}), float(after or 0)
