"""Kernel settings that the kubelet changes, given back when the last real node goes.

Rule: the kubelet sets the machine up as a server (a fault restarts it, memory is promised freely). The
values from before the first of our nodes are kept in one place for all clusters of the machine, and come
back with the end of the last, whatever the order in which clusters start and stop.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

SETTINGS = (
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)
SYSTEM = Path("/proc/sys")
KEPT = Path("/run/task-pipeline-kernel.json")


class Kept(msgspec.Struct):
    """The values by setting, and the ids of the clusters for which they are kept."""

    values: dict[str, str]
    clusters: list[str]


def keep(cluster: str) -> None:
    """Note the present values for this cluster, unless another cluster has them noted already."""
    with _kept() as kept:
        if not kept.clusters:
            kept.values = {name: (SYSTEM / name).read_text().strip() for name in SETTINGS}
        kept.clusters = sorted({*kept.clusters, cluster})


def give_back(cluster: str) -> None:
    """Set the values as they were, if this is the last cluster for which they are kept."""
    if not KEPT.exists():
        return
    with _kept() as kept:
        if cluster in kept.clusters:
            kept.clusters.remove(cluster)
            if not kept.clusters:
                for name, value in kept.values.items():
                    with suppress(OSError):
                        (SYSTEM / name).write_text(value)


@contextmanager
def _kept() -> Iterator[Kept]:
    """The content of the file, written back at the end; one process at a time, no file when empty."""
    with _locked() as descriptor:
        text = os.pread(descriptor, os.fstat(descriptor).st_size, 0)
        kept = msgspec.json.decode(text, type=Kept) if text else Kept(values={}, clusters=[])
        yield kept
        if kept.clusters:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, msgspec.json.encode(kept), 0)
        else:
            KEPT.unlink()


@contextmanager
def _locked() -> Iterator[int]:
    while True:
        descriptor = os.open(KEPT, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            # The process that had the lock may have removed the file.
            if KEPT.exists() and os.path.samestat(KEPT.stat(), os.fstat(descriptor)):
                yield descriptor
                return
        finally:
            os.close(descriptor)
