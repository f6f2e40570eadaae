"""Where the API server is and how to prove who we are.

Inside a pod the service account's files are read (the token every minute: it rotates). Outside, a plain kubeconfig is
read by `kube.kubeconfig`; kubernetes-asyncio loads any other, so that exec plugins work as kubectl users expect.
"""

import os
import ssl
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from task_pipeline import __version__
from task_pipeline.kube.kubeconfig import read_plain, read_token

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
USER_AGENT = f"task-pipeline-operator/{__version__}"
_TOKEN_SECONDS = 60.0


class NoCluster(Exception):
    """There is no usable configuration; the message says which file or variable is at fault."""


@dataclass(slots=True)
class Connection:
    """A server's address, its TLS context, and a source of the bearer token.

    `read_token(refused)` returns the token or None; it is asked at most once a minute, and again after a 401 (then with
    `refused` True). `answered` is told of each request that was sent, in the thread of who sent it: method, path, and
    status, 0 when no answer came.
    """

    server: str
    ssl: ssl.SSLContext | bool
    read_token: Callable[[bool], Awaitable[str | None]]
    user_agent: str = USER_AGENT
    answered: Callable[[str, str, int], None] = lambda method, path, status: None
    _header: dict[str, str] = field(default_factory=dict)
    _until: float = 0.0
    _refused: bool = False

    async def authorization(self) -> dict[str, str]:
        """The Authorization header as a dict, empty when none is needed. Raises NoCluster, or OSError from a file."""
        if time.monotonic() >= self._until:
            token = await self.read_token(self._refused)
            if token and not (token.isascii() and token.isprintable()):
                raise NoCluster("the bearer token holds characters that no header can carry")
            self._header = {"Authorization": f"Bearer {token}"} if token else {}
            self._until = time.monotonic() + _TOKEN_SECONDS
            self._refused = False
        return self._header

    def refused(self) -> None:
        """The server did not accept the credential: get a new one before the next request."""
        self._until, self._refused = 0.0, True


async def connect(kubeconfig: Path | None = None, environ: dict[str, str] | None = None) -> Connection:
    """The connection from a kubeconfig file, or from the service account when running in a pod.

    Raises NoCluster when neither is there or the file cannot be used.
    """
    environ = environ or {}
    host = environ.get("KUBERNETES_SERVICE_HOST")
    if kubeconfig is None and host:
        return _in_pod(host, environ.get("KUBERNETES_SERVICE_PORT", "443"), SERVICE_ACCOUNT)
    if kubeconfig is None:
        raise NoCluster("no kubeconfig given and not running in a pod: set KUBECONFIG, or run `make cluster-up`")
    if not os.path.isfile(kubeconfig):  # noqa: ASYNC240 (once, at the start)
        if os.pathsep in str(kubeconfig):
            raise NoCluster(
                f"KUBECONFIG names several files, {kubeconfig}, and only one is read: "
                "make one of them with `kubectl config view --flatten --minify`"
            )
        raise NoCluster(f"kubeconfig {kubeconfig} does not exist: set KUBECONFIG, or run `make cluster-up`")
    return await _from_kubeconfig(kubeconfig)


def _in_pod(host: str, port: str, folder: Path) -> Connection:
    async def read_token(refused: bool) -> str | None:
        return (folder / "token").read_text().strip()

    address = f"[{host}]" if ":" in host else host
    context = ssl.create_default_context(cafile=str(folder / "ca.crt"))
    return Connection(f"https://{address}:{port}", context, read_token)


async def _from_kubeconfig(path: Path) -> Connection:
    plain = read_plain(path)
    if plain is not None:
        return Connection(plain.server, plain.ssl, partial(_plain_token, path, plain.context))
    settings = await _load_kubeconfig(path)
    token = _token_of(settings)

    async def read_token(refused: bool) -> str | None:
        nonlocal token
        if refused:
            token = _token_of(await _load_kubeconfig(path))
        return token

    return Connection(settings.host.rstrip("/"), _tls(settings), read_token)


async def _plain_token(path: Path, context: str, refused: bool) -> str | None:
    """The token as the file has it now: somebody may have written a new one. It is always that of the same context, for
    that of another must not be sent to this server.
    """
    try:
        return read_token(path, context)
    except ValueError as error:
        raise NoCluster(str(error)) from error


async def _load_kubeconfig(path: Path) -> Any:
    from kubernetes_asyncio import client, config  # costs 50 MB of memory, and few ever need it

    settings = client.Configuration()
    try:
        await config.load_kube_config(config_file=str(path), client_configuration=settings)
    except Exception as error:
        raise NoCluster(f"kubeconfig {path} cannot be used: {error}") from error
    return settings


def _token_of(settings: Any) -> str | None:
    header = settings.api_key.get("BearerToken")
    return header.removeprefix("Bearer ") if header else None


def _tls(settings: Any) -> ssl.SSLContext | bool:
    if not settings.host.startswith("https"):
        return False
    context = ssl.create_default_context(cafile=settings.ssl_ca_cert)
    if not settings.verify_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if settings.cert_file:
        context.load_cert_chain(settings.cert_file, settings.key_file)
    return context
