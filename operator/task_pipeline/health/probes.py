"""GET /healthz, /readyz and other small pages, answered by threads of their own: a loop that is stuck can be told of by
nobody else.

Rule: bounded, whatever callers do. A connection has a time for all of it, however slowly it goes on; of more than
`MOST` the oldest is closed and not the newest, so that callers that dawdle keep no probe of the kubelet away.
"""

import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SECONDS = 5.0  # a caller may be silent for so long
WHOLE_SECONDS = 15.0  # all of a connection; more than a scrape takes that waits for its turn
MOST = 32  # connections at once

PLAIN = "text/plain; charset=utf-8"

Check = Callable[[], list[str]]
Page = Callable[[], tuple[int, str, bytes]]  # status, content type, body


class Probes:
    """Serves from `start` to `stop`. A path has a page, or a check: what it finds is told with 503, one line each."""

    def __init__(
        self, address: str, port: int, checks: Mapping[str, Check], pages: Mapping[str, Page] | None = None
    ) -> None:
        """Raises OSError when the address cannot be had."""
        known: dict[str, Page] = {**{path: partial(_checked, check) for path, check in checks.items()}, **(pages or {})}

        class Handler(BaseHTTPRequestHandler):
            timeout = SECONDS

            def do_GET(self) -> None:
                page = known.get(self.path.partition("?")[0])
                status, kind, body = (404, PLAIN, b"no such page\n") if page is None else page()
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Cache-Control", "no-store")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                return

        self._server = _Server((address, port), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, name="probes", daemon=True)

    @property
    def port(self) -> int:
        """The port that it has."""
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()


def _checked(check: Check) -> tuple[int, str, bytes]:
    found = check()
    return 503 if found else 200, PLAIN, "".join(f"{line}\n" for line in found or ["ok"]).encode()


class _Server(ThreadingHTTPServer):
    """Knows its connections, the oldest first, with the moment (monotonic) at which each began."""

    daemon_threads = True

    def __init__(self, *args: Any) -> None:
        self._open: dict[socket.socket, float] = {}
        self._lock = threading.Lock()  # nothing is shut down that its own thread closes at this moment
        super().__init__(*args)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread of its own, with room for it."""
        with self._lock:
            if len(self._open) >= MOST:
                self._hang_up(next(iter(self._open)))
            self._open[request] = time.monotonic()
        super().process_request(request, client_address)

    def service_actions(self) -> None:
        """Called twice a second: end what has taken too long."""
        with self._lock:
            late = [one for one, began in self._open.items() if time.monotonic() - began > WHOLE_SECONDS]
            for one in late:
                self._hang_up(one)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection that is answered."""
        with self._lock:
            self._open.pop(request, None)
        super().shutdown_request(request)

    def handle_error(self, request: object, client_address: object) -> None:
        """A caller that hangs up is no news."""

    def _hang_up(self, connection: socket.socket) -> None:
        """Whatever its thread waits for there is over: it ends and closes the connection."""
        del self._open[connection]
        with suppress(OSError):  # the caller was faster
            connection.shutdown(socket.SHUT_RDWR)
