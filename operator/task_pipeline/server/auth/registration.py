"""Gives a client a secret: the hash goes into a Secret, its name into the PipelineClient, the secret to the caller.

Rule: the secret exists in the answer of `add_secret` and nowhere else. A reference is added to what is there, so the
old secret goes on working until its own end. What has expired is cleared away on the same occasion.
"""

import re
import secrets as random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson

from task_pipeline.api.common import SUBDOMAIN_PATTERN
from task_pipeline.api.group import PIPELINECLIENT_KIND
from task_pipeline.api.resources import PIPELINE_CLIENTS, SECRETS
from task_pipeline.api.times import format_time, parse_time
from task_pipeline.kube.cluster import Cluster
from task_pipeline.kube.errors import Conflict, NotFound
from task_pipeline.server.auth import secrets, vault
from task_pipeline.server.auth.asking import ask
from task_pipeline.server.auth.credentials import HASH, TYPE_CLIENT, read_pepper

MOST_ID_CHARS = 253
_ATTEMPTS = 5
_Entry = Mapping[str, Any]


class NotRegistered(Exception):
    """A client cannot be given a secret; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class NewSecret:
    """A secret, to be shown once, and the name of the Secret that holds its hash."""

    secret: str
    name: str

    def __repr__(self) -> str:
        return f"NewSecret(name={self.name!r})"


def check_id(client: str) -> None:
    """Raise NotRegistered for what can be no client id."""
    if not 0 < len(client) <= MOST_ID_CHARS or not re.search(SUBDOMAIN_PATTERN, client) or "\n" in client:
        raise NotRegistered(
            f"{client[:80]!r} can be no client id: it is the name of a Kubernetes object, at most {MOST_ID_CHARS} "
            "lower-case letters, digits, '-' and '.', with a letter or a digit at both ends of each part"
        )


async def add_secret(
    cluster: Cluster, namespace: str, client: str, now: datetime, *, old_end: timedelta | None = None
) -> NewSecret:
    """Give the client a further secret; with `old_end` those it has end that much later at the latest.

    Raises NotRegistered, and KubeError.
    """
    check_id(client)
    thing = await _client(cluster, namespace, client)
    _room(thing, now)
    made = await store_hash(cluster, namespace, client, owner=thing)
    for _ in range(_ATTEMPTS):
        kept, gone = _room(thing, now)
        entries = [*(_ending(entry, now, old_end) for entry in kept), _reference(made.name)]
        try:
            await _write(cluster, thing, entries)
        except Conflict:
            thing = await _client(cluster, namespace, client)
            if not _names(made.name, thing):
                continue  # otherwise the write was made, only its answer was lost
        await _clear(cluster, namespace, gone)
        return made
    await _clear(cluster, namespace, [_reference(made.name)])
    raise NotRegistered(f"others keep changing the PipelineClient {client}: try again")


async def store_hash(
    cluster: Cluster, namespace: str, client: str, *, owner: Mapping[str, Any] | None = None
) -> NewSecret:
    """Make a secret for the client and the Secret with its hash, named in no PipelineClient yet. Raises KubeError."""
    check_id(client)
    secret = secrets.generate()
    hashed = secrets.digest(await read_pepper(cluster, namespace), client, secret)
    name = f"{client[:200].rstrip('-.')}-secret-{random.token_hex(5)}"
    body = vault.manifest(name, TYPE_CLIENT, {HASH: secrets.to_data(hashed)}, immutable=True)
    if owner is not None:
        body["metadata"]["ownerReferences"] = [
            {
                "apiVersion": PIPELINE_CLIENTS.api_version,
                "kind": PIPELINECLIENT_KIND,
                "name": client,
                "uid": owner["metadata"]["uid"],
            }
        ]
    await vault.create(cluster, namespace, body)
    return NewSecret(secret, name)


async def _client(cluster: Cluster, namespace: str, client: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = orjson.loads(await ask(lambda: cluster.get(PIPELINE_CLIENTS, namespace, client)))
    except NotFound:
        text = f"there is no PipelineClient {client} in the namespace {namespace}: create it first"
        raise NotRegistered(text) from None
    return found


async def _write(cluster: Cluster, thing: Mapping[str, Any], entries: Sequence[_Entry]) -> None:
    """Set the credentials of a PipelineClient that is still as it was read. Raises Conflict."""
    meta = thing["metadata"]
    patch = {"metadata": {"resourceVersion": meta["resourceVersion"]}, "spec": {"credentials": list(entries)}}
    await ask(lambda: cluster.patch(PIPELINE_CLIENTS, meta["namespace"], meta["name"], patch))


def _reference(name: str) -> _Entry:
    return {"secretRef": {"name": name}}


def _room(thing: Mapping[str, Any], now: datetime) -> tuple[list[_Entry], list[_Entry]]:
    """The credentials that go on and those that have expired. Raises NotRegistered when there is no room for more."""
    entries: Sequence[_Entry] = thing["spec"].get("credentials") or ()
    gone = [entry for entry in entries if "notAfter" in entry and parse_time(entry["notAfter"]) <= now]
    kept = [entry for entry in entries if entry not in gone]
    if len(kept) >= secrets.MOST_CREDENTIALS:
        name = thing["metadata"]["name"]
        raise NotRegistered(f"the PipelineClient {name} has {len(kept)} credentials: remove one from spec.credentials")
    return kept, gone


def _ending(entry: _Entry, now: datetime, old_end: timedelta | None) -> _Entry:
    if old_end is None:
        return entry
    end = now + old_end
    if "notAfter" in entry and parse_time(entry["notAfter"]) <= end:
        return entry
    return {**entry, "notAfter": format_time(end)}


def _names(name: str, thing: Mapping[str, Any]) -> bool:
    return any(entry["secretRef"]["name"] == name for entry in thing["spec"].get("credentials") or ())


async def _clear(cluster: Cluster, namespace: str, gone: Sequence[_Entry]) -> None:
    """Remove the Secrets of expired credentials, if they are hashes."""
    for entry in gone:
        name = entry["secretRef"]["name"]
        try:
            sealed = await vault.read(cluster, namespace, name)
            if sealed.type == TYPE_CLIENT:
                await cluster.delete(SECRETS, namespace, name, resource_version=sealed.version)
        except (NotFound, Conflict):
            continue
