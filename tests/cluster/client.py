"""A very small client of the API server, enough to start and check the cluster.

Rule: plain HTTPS from the standard library, every call with a time limit; the tests use real clients.
"""

import http.client
import json
import ssl
import urllib.parse
from pathlib import Path
from typing import Any

from tests.cluster.config import ClusterError


class ApiError(ClusterError):
    """The API server answered with a status that is not a success."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"API server: {status}: {text[:500]}")
        self.status = status


class Client:
    """Calls of one user to one API server."""

    def __init__(self, server: str, ca_file: Path, token: str) -> None:
        address = urllib.parse.urlsplit(server)
        self._host = address.hostname or ""
        self._port = address.port or 443
        self._tls = ssl.create_default_context(cafile=str(ca_file))
        self._headers = {"Authorization": f"Bearer {token}", "User-Agent": "task-pipeline-cluster"}

    def request(self, method: str, path: str, body: Any = None, seconds: float = 10.0) -> Any:
        """The decoded answer (text where it is not JSON).

        Raises ApiError for a refusal, OSError when the server cannot be reached.
        """
        connection = http.client.HTTPSConnection(self._host, self._port, timeout=seconds, context=self._tls)
        headers = dict(self._headers)
        if body is not None:
            headers["Content-Type"] = _content_type(method)
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            text = response.read().decode(errors="replace")
        except http.client.HTTPException as error:
            raise OSError(f"broken answer of {self._host}:{self._port}: {error!r}") from error
        finally:
            connection.close()
        if response.status >= 300:
            raise ApiError(response.status, text)
        is_json = response.headers.get("Content-Type", "").startswith("application/json")
        return json.loads(text) if is_json else text

    def ready(self) -> bool:
        """Whether the API server says that it is ready."""
        try:
            return bool(self.request("GET", "/readyz", seconds=5) == "ok")
        except (OSError, ApiError):
            return False


def _content_type(method: str) -> str:
    return "application/merge-patch+json" if method == "PATCH" else "application/json"
