"""The user's kubeconfig as kubectl takes it: several files, a context by name, every way to log in that is in use.

The operator's own reader (`kube.kubeconfig`) takes plain files only, and the library that it turns to for others costs
a second. Format: https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/. Of files that name the same thing the
first one counts, and what a file names is meant from its own folder. What is not supported is refused, not ignored.
"""

import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from task_pipeline import __version__
from task_pipeline.cli.exec_plugin import ExecPlugin
from task_pipeline.kube.config import Connection, NoCluster, connect
from task_pipeline.kube.kubeconfig import tls_context

_CLUSTER = {
    "server", "certificate-authority", "certificate-authority-data", "insecure-skip-tls-verify", "disable-compression",
    "extensions",
}  # fmt: skip
_USER = {
    "token", "tokenFile", "client-certificate", "client-certificate-data", "client-key", "client-key-data", "exec",
    "as", "extensions",
}  # fmt: skip
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
USER_AGENT = f"tpctl/{__version__}"


@dataclass(frozen=True, slots=True)
class Entry:
    """One context, cluster or user, and the folder of the file that has it."""

    content: Mapping[str, Any]
    folder: Path


@dataclass(frozen=True, slots=True)
class Access:
    """A way into a cluster: the connection, the namespace that the context names, and a name for messages."""

    connection: Connection
    namespace: str
    place: str


class Kubeconfig:
    """Files, merged."""

    def __init__(self, files: list[Path]) -> None:
        self.files = files
        self.current = ""
        self._named: dict[str, dict[str, Entry]] = {"contexts": {}, "clusters": {}, "users": {}}
        for path in files:
            self._take(path)

    def _take(self, path: Path) -> None:
        try:
            content = yaml.load(path.read_text(encoding="utf-8"), Loader=_LOADER) or {}  # noqa: S506 (a safe loader)
            self.current = self.current or str(content.get("current-context") or "")
            for group, known in self._named.items():
                for one in content.get(group) or ():
                    known.setdefault(str(one["name"]), Entry(one.get(group[:-1]) or {}, path.parent))
        except (OSError, yaml.YAMLError, KeyError, TypeError, AttributeError, UnicodeDecodeError) as error:
            raise NoCluster(f"kubeconfig {path} cannot be read: {_first_line(error)}") from error

    @property
    def contexts(self) -> list[str]:
        """The names of the contexts."""
        return sorted(self._named["contexts"])

    def entry(self, group: str, name: str) -> Entry:
        """One of them by its name. Raises NoCluster."""
        found = self._named[group].get(name)
        if found is None:
            known = ", ".join(sorted(self._named[group])) or "none"
            where = " and ".join(map(str, self.files))
            raise NoCluster(f"there is no {group[:-1]} {name!r} in kubeconfig {where}; known: {known}")
        return found


def paths(given: Path | None, environ: Mapping[str, str]) -> list[Path]:
    """The files to read: the one given, else those of KUBECONFIG, else ~/.kube/config; only those that exist.

    Raises NoCluster for a file that was given and is not there.
    """
    if given is not None:
        if not given.is_file():
            raise NoCluster(f"kubeconfig {given} does not exist")
        return [given]
    listed = [Path(part).expanduser() for part in environ.get("KUBECONFIG", "").split(os.pathsep) if part]
    found = [path for path in listed or [Path("~/.kube/config").expanduser()] if path.is_file()]
    if listed and not found:
        raise NoCluster(f"KUBECONFIG names {', '.join(map(str, listed))}, which does not exist")
    return found


async def access(kubeconfig: Path | None, context: str | None, environ: Mapping[str, str]) -> Access:
    """The way into the cluster that the user means. Raises NoCluster with what is missing."""
    files = paths(kubeconfig, environ)
    if not files:
        if "KUBERNETES_SERVICE_HOST" in environ and context is None:
            connection = await connect(None, dict(environ))
            return Access(connection, _own_namespace(), f"the API server {connection.server}")
        raise NoCluster("no kubeconfig: give --kubeconfig, set KUBECONFIG, or use --server for the REST API")
    config = Kubeconfig(files)
    name = context or config.current
    if not name:
        raise NoCluster(f"kubeconfig {files[0]} has no current-context: give --context ({', '.join(config.contexts)})")
    chosen = config.entry("contexts", name).content
    cluster = config.entry("clusters", str(chosen.get("cluster")))
    user = config.entry("users", str(chosen["user"])) if chosen.get("user") else Entry({}, files[0].parent)
    try:
        connection = _connection(cluster, user)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise NoCluster(f"context {name} of the kubeconfig cannot be used: {_first_line(error)}") from error
    return Access(connection, str(chosen.get("namespace") or "default"), f"context {name} ({connection.server})")


def _connection(cluster: Entry, user: Entry) -> Connection:
    _check("cluster", set(cluster.content) - _CLUSTER)
    _check("user", set(user.content) - _USER)
    server = str(cluster.content["server"]).rstrip("/")
    secure = server.startswith("https://")
    if not secure and not server.startswith("http://"):
        raise ValueError(f"its server {server!r} is no http or https address")
    tls: ssl.SSLContext | bool = tls_context(_absolute(cluster), _absolute(user), cluster.folder) if secure else False
    plugin = ExecPlugin(user.content["exec"], user.folder, cluster.content) if user.content.get("exec") else None

    async def read_token(refused: bool) -> str | None:
        if plugin is not None:
            credential = await plugin.credential(anew=refused)
            if credential.certificate and isinstance(tls, ssl.SSLContext):
                credential.load_into(tls)
            return credential.token
        if user.content.get("token"):
            return str(user.content["token"])
        if user.content.get("tokenFile"):
            return (user.folder / str(user.content["tokenFile"])).read_text().strip()
        return None

    made = _Impersonating if user.content.get("as") else Connection
    connection = made(server, tls, read_token, USER_AGENT)
    if isinstance(connection, _Impersonating):
        connection.user = str(user.content["as"])
    return connection


class _Impersonating(Connection):
    """A connection of somebody who acts as somebody else (`as` in the kubeconfig)."""

    user = ""

    async def authorization(self) -> dict[str, str]:
        if not self.user.isprintable():
            raise NoCluster("the name under `as` in the kubeconfig holds characters that no header can carry")
        return {**await super().authorization(), "Impersonate-User": self.user}


def _absolute(entry: Entry) -> dict[str, Any]:
    """The entry with the names of its files made absolute, since cluster and user may be of different files."""
    files = ("certificate-authority", "client-certificate", "client-key")
    return {
        name: str(entry.folder / str(value)) if name in files and value else value
        for name, value in entry.content.items()
    }


def _check(what: str, unknown: set[str]) -> None:
    if unknown:
        raise ValueError(
            f"its {what} has {', '.join(sorted(unknown))}, which tpctl does not support; try `kubectl proxy`"
        )


def _own_namespace() -> str:
    try:
        return Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace").read_text().strip()
    except OSError:
        return "default"


def _first_line(error: Exception) -> str:
    """What an error says, in one line, or its class if it says nothing."""
    if isinstance(error, KeyError):
        return f"{error.args[0]} is missing"
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        # Only the place: what stands there may be a secret.
        return f"no valid YAML at line {error.problem_mark.line + 1}: {error.problem}"
    return str(error).split("\n", 1)[0] or type(error).__name__
