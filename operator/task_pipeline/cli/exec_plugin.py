"""Credential plugins of a kubeconfig: a program that prints an ExecCredential, as cloud providers ship them.

Protocol: https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins. What the
program prints is a secret: it is never repeated in a message. Its standard error is the user's, for logins by hand.
"""

import asyncio
import json
import os
import ssl
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from task_pipeline.kube.config import NoCluster

SECONDS = 120.0  # a person may have to log in with a browser meanwhile
_VERSIONS = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")


@dataclass(frozen=True, slots=True)
class Credential:
    """What a plugin gave: a token, or a certificate with its key."""

    token: str | None = field(repr=False)
    certificate: str | None = field(default=None, repr=False)
    key: str | None = field(default=None, repr=False)

    def load_into(self, tls: ssl.SSLContext) -> None:
        """Let connections show the certificate."""
        with tempfile.NamedTemporaryFile() as file:  # readable by us alone, and gone at once: ssl takes files only
            file.write(f"{self.certificate}\n{self.key}".encode())
            file.flush()
            tls.load_cert_chain(file.name)


class ExecPlugin:
    """The `exec` entry of a user. Asked once, and again when its credential was refused."""

    def __init__(self, entry: Mapping[str, Any], folder: Path, cluster: Mapping[str, Any]) -> None:
        self._version = str(entry.get("apiVersion"))
        if self._version not in _VERSIONS:
            raise ValueError(f"its credential plugin is of {self._version}; known: {', '.join(_VERSIONS)}")
        command = str(entry["command"])
        self._command = str(folder / command) if os.sep in command else command
        self._arguments = [str(argument) for argument in entry.get("args") or ()]
        self._environment = {str(one["name"]): str(one["value"]) for one in entry.get("env") or ()}
        self._hint = str(entry.get("installHint") or "")
        self._interactive = entry.get("interactiveMode") != "Never" and sys.stdin.isatty()
        self._cluster = dict(cluster) if entry.get("provideClusterInfo") else None
        self._found: Credential | None = None

    async def credential(self, *, anew: bool) -> Credential:
        """The credential. Raises NoCluster when there is none within `SECONDS`."""
        if self._found is None or anew:
            self._found = _read(await self._run(), self._command)
        return self._found

    async def _run(self) -> bytes:
        spec: dict[str, Any] = {"interactive": self._interactive}
        if self._cluster is not None:
            spec["cluster"] = self._cluster
        info = json.dumps({"apiVersion": self._version, "kind": "ExecCredential", "spec": spec})
        try:
            process = await asyncio.create_subprocess_exec(
                self._command,
                *self._arguments,
                env={**os.environ, **self._environment, "KUBERNETES_EXEC_INFO": info},
                stdin=None if self._interactive else asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
            )
        except OSError as error:
            hint = f": {self._hint}" if self._hint else ""
            raise NoCluster(f"the credential plugin {self._command} cannot be started ({error}){hint}") from error
        try:
            async with asyncio.timeout(SECONDS):
                output, _ = await process.communicate()
        except TimeoutError as error:
            raise NoCluster(f"the credential plugin {self._command} took longer than {SECONDS:g} s") from error
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode:
            raise NoCluster(f"the credential plugin {self._command} failed with code {process.returncode}")
        return output


def _read(output: bytes, command: str) -> Credential:
    try:
        status = json.loads(output)["status"]
        found = Credential(status.get("token"), status.get("clientCertificateData"), status.get("clientKeyData"))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise NoCluster(f"the credential plugin {command} printed no ExecCredential with a status") from None
    if not (found.token or (found.certificate and found.key)):
        raise NoCluster(f"the credential plugin {command} gave neither a token nor a certificate with its key")
    return found
