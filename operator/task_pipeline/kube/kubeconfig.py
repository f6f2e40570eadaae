"""Kubeconfig files in their plain form: a server, its CA, and a token or a client certificate.

Most files are of that form, and a generated client that understands all the others costs 50 MB and a second to import.
So what is plain is read here, and `read_plain` returns None for everything else. The format is that of
https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/: what is not listed in `_PLAIN_*` is not plain.
"""

import base64
import binascii
import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

_PLAIN_CLUSTER = {"server", "certificate-authority", "certificate-authority-data", "insecure-skip-tls-verify"}
_PLAIN_USER = {"token", "client-certificate", "client-certificate-data", "client-key", "client-key-data"}
_FAULTS = (OSError, ValueError, KeyError, TypeError, StopIteration, yaml.YAMLError, binascii.Error)


@dataclass(frozen=True, slots=True)
class Plain:
    """What a plain file says of its current context. `ssl` is False for a server without TLS."""

    context: str
    server: str
    ssl: ssl.SSLContext | bool
    token: str | None


def read_plain(path: Path) -> Plain | None:
    """The current context of the file; None when it is not plain, or not right: the library has words for that."""
    try:
        content = yaml.safe_load(path.read_text())
        name = content["current-context"]
        context = _named(content, "contexts", "context", name)
        cluster = _named(content, "clusters", "cluster", context["cluster"])
        user = _named(content, "users", "user", context["user"])
        if set(cluster) - _PLAIN_CLUSTER or set(user) - _PLAIN_USER:
            return None
        server = str(cluster["server"]).rstrip("/")
        tls = tls_context(cluster, user, path.parent) if server.startswith("https://") else False
        return Plain(name, server, tls, _token(user))
    except _FAULTS:
        return None


def read_token(path: Path, context: str) -> str | None:
    """The token of a context as the file has it now, whichever context is the current one. ValueError when there is no
    such context any more, or its user is not plain.
    """
    try:
        content = yaml.safe_load(path.read_text())
        user = _named(content, "users", "user", _named(content, "contexts", "context", context)["user"])
        if set(user) - _PLAIN_USER:
            raise ValueError("its user is not plain")
        return _token(user)
    except _FAULTS as error:
        raise ValueError(f"context {context} of kubeconfig {path} cannot be read any more") from error


def _token(user: dict[str, Any]) -> str | None:
    token = user.get("token")
    if token is not None and not isinstance(token, str):
        raise TypeError("a token is text")
    return token


def _named(content: Any, group: str, field: str, name: str) -> dict[str, Any]:
    found = next(entry for entry in content[group] if entry["name"] == name)
    return dict(found.get(field) or {})


def tls_context(cluster: dict[str, Any], user: dict[str, Any], folder: Path) -> ssl.SSLContext:
    """How to speak TLS to a cluster as a user of the file; raises ValueError or OSError for what cannot be used."""
    context = ssl.create_default_context()
    authority = _content(cluster, "certificate-authority", folder)
    if authority is not None:
        context = ssl.create_default_context(cadata=authority.decode("ascii"))
    if cluster.get("insecure-skip-tls-verify"):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    certificate, key = (_content(user, name, folder) for name in ("client-certificate", "client-key"))
    if (certificate is None) != (key is None):
        raise ValueError("a certificate without its key, or a key without its certificate")
    if certificate is not None and key is not None:
        with tempfile.NamedTemporaryFile() as file:  # readable by us alone, and gone at once: ssl takes files only
            file.write(certificate + b"\n" + key)
            file.flush()
            context.load_cert_chain(file.name)
    return context


def _content(entry: dict[str, Any], name: str, folder: Path) -> bytes | None:
    """A file that is in the entry, or that it names; relative names are meant from the kubeconfig's own folder."""
    inline = entry.get(f"{name}-data")
    if inline:
        return base64.b64decode(inline, validate=True)
    return (folder / entry[name]).read_bytes() if entry.get(name) else None
