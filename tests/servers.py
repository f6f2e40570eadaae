"""The REST server as a process of its own, and requests to it, for tests on a real API server."""

import json
import os
import re
from base64 import b64encode
from collections.abc import Mapping
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, NamedTuple

from tests.programs import Program

STOP_SECONDS = 15.0


class Reply(NamedTuple):
    """What came back: the status, the decoded body, the headers in lower case."""

    status: int
    body: Any
    headers: Mapping[str, str]


class ServerProcess(Program):
    """One server against a kubeconfig, on a free port of the loopback, logging to a file."""

    def __init__(
        self,
        kubeconfig: Path,
        log: Path,
        settings: Mapping[str, str] | None = None,
        *,
        module: str = "task_pipeline.entrypoints.server",
    ) -> None:
        own = {"KUBECONFIG": str(kubeconfig), "TASK_PIPELINE_SERVER_PORT": "0"}
        super().__init__(module, log, {**os.environ, **own, **(settings or {})})
        self.port = 0

    def start(self, *, seconds: float = 60.0) -> None:
        """Start it and wait until it listens and is ready. Raises ProgramError."""
        self.launch()
        self.wait_until(self._ready, seconds)

    def _ready(self) -> bool:
        found = re.search(r"serving on [^\"]*?:(\d+)", self.log.read_text())
        if found is None:
            return False
        self.port = int(found[1])
        return self.request("GET", "/readyz").status == 200

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        user: tuple[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """One request on a connection of its own; `user` is a client id and its secret."""
        sent = {"Content-Type": "application/json"} if body is not None else {}
        if user is not None:
            sent["Authorization"] = "Basic " + b64encode(":".join(user).encode()).decode()
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            raw = None if body is None else json.dumps(body).encode()
            connection.request(method, path, raw, {**sent, **(headers or {})})
            response = connection.getresponse()
            content = response.read()
        finally:
            connection.close()
        given = {name.lower(): value for name, value in response.getheaders()}
        return Reply(response.status, json.loads(content) if content else None, given)

    def stop(self) -> int:
        """Ask it to stop (SIGTERM); returns its exit code."""
        return self.terminate(STOP_SECONDS)
