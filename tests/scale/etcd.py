"""Objects by the thousand, written straight into etcd: copies of what the operator and the cluster have really made.

Through the API server a hundred thousand objects with a status take an hour on two cores, this way some minutes; it
hears of them as of its own writes. Names, UIDs and hashes are replaced by others of the same length, so that what is
stored as protobuf (pods) stays intact.
"""

import asyncio
import re
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import aiohttp

from task_pipeline.core.naming import job_hash, job_object_name, workload_name
from tests.cluster import Cluster

AT_ONCE = 16
JOBS = "/registry/taskpipeline.dev/pipelinejobs"
PIPELINES = "/registry/taskpipeline.dev/pipelines"
PODS = "/registry/pods"


@dataclass(frozen=True)
class Entry:
    """One key with its value, as etcd has it."""

    key: bytes
    value: bytes


class Etcd:
    """etcd's gateway for JSON, on the socket of a cluster of `tests.cluster`."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def under(self, prefix: str) -> list[Entry]:
        """Everything whose key begins with `prefix` and a slash."""
        wanted = {"key": _text(f"{prefix}/".encode()), "range_end": _text(f"{prefix}0".encode())}
        found = (await self._post("kv/range", wanted)).get("kvs", ())
        return [Entry(b64decode(one["key"]), b64decode(one["value"])) for one in found]

    async def put(self, entries: Iterable[Entry]) -> None:
        """Write them in this order, but for a few at once; each is a change of its own, as a write of the server is."""
        left = iter(entries)

        async def put() -> None:
            for entry in left:
                await self._post("kv/put", {"key": _text(entry.key), "value": _text(entry.value)})

        await asyncio.gather(*(put() for _ in range(AT_ONCE)))

    async def megabytes(self) -> float:
        """Size of the database on disk, in MiB."""
        return int((await self._post("maintenance/status", {}))["dbSize"]) / 2**20

    async def _post(self, path: str, body: Any) -> Any:
        async with self._session.post(f"http://etcd/v3/{path}", json=body) as response:
            response.raise_for_status()
            return await response.json(content_type=None)


@asynccontextmanager
async def etcd_of(cluster: Cluster) -> AsyncIterator[Etcd]:
    """The etcd of a cluster."""
    connector = aiohttp.UnixConnector(path=f"{cluster.state.private}/client")
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=60)) as session:
        yield Etcd(session)


@dataclass(frozen=True)
class Member:
    """What names one PipelineJob of the family, and its pod if it has one."""

    job: str
    object: str
    uid: str
    hash: str
    pod: tuple[str, str] | None
    """Name and UID."""


class Family:
    """One Pipeline with its PipelineJobs and their pods; its name ends with five digits, which are replaced."""

    def __init__(self, pipeline: dict[str, Any], jobs: Sequence[dict[str, Any]], entries: Sequence[Entry]) -> None:
        self._name: str = pipeline["metadata"]["name"]
        self._uid: str = pipeline["metadata"]["uid"]
        self._entries = list(entries)
        self._members = [_member(job) for job in jobs]

    def copies(self, numbers: range) -> Iterator[Entry]:
        """The family once more for each number, under that number."""
        for number in numbers:
            names = self._names(number)
            pattern = re.compile("|".join(map(re.escape, sorted(names, key=len, reverse=True))).encode())
            table = {old.encode(): new.encode() for old, new in names.items()}
            assert all(len(old) == len(new) for old, new in table.items()), names
            swap = partial(pattern.sub, partial(_other, table))
            yield from (Entry(swap(entry.key), swap(entry.value)) for entry in self._entries)

    def _names(self, number: int) -> dict[str, str]:
        """Every name in the family, and what takes its place."""
        name, uid = f"{self._name[:-5]}{number:05}", other_uid(self._uid, number)
        names = {self._name: name, self._uid: uid}
        for member in self._members:
            own = job_hash(uid, 1, member.job)
            title, own_uid = job_object_name(name, member.job, own), other_uid(member.uid, number)
            names |= {member.object: title, member.uid: own_uid, member.hash: own}
            if member.pod is not None:
                names |= {
                    member.pod[0]: workload_name(title, own_uid, 1),
                    member.pod[1]: other_uid(member.pod[1], number),
                }
        return names


def other_uid(uid: str, number: int) -> str:
    """Another UID of the same form; the same number gives the same one."""
    return f"{number:08x}{uid[8:]}"


def _member(job: dict[str, Any]) -> Member:
    meta, workload = job["metadata"], job.get("status", {}).get("workload")
    pod = (workload["name"], workload["uid"]) if workload else None
    return Member(job["spec"]["name"], meta["name"], meta["uid"], meta["labels"]["taskpipeline.dev/job-hash"], pod)


def _other(table: Mapping[bytes, bytes], found: re.Match[bytes]) -> bytes:
    return table[found[0]]


def _text(raw: bytes) -> str:
    return b64encode(raw).decode()
