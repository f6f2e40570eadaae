"""What a cluster has started, on disk before it is started.

Rule: `state.json` is written whole (a new file renamed over the old one) before the first program starts
and after each one, so whatever kills `up`, the next command knows what to stop. One command at a time
works on a folder: it holds the lock.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from tests.cluster.config import ClusterError, ClusterRequest
from tests.cluster.paths import ClusterPaths
from tests.cluster.report import Report

LOCK_SECONDS = 1200


class Process(msgspec.Struct, frozen=True):
    """A program that was started: its process id and the kernel's start time (clock ticks after boot)."""

    name: str
    pid: int
    started: int
    log: str


class Network(msgspec.Struct, frozen=True):
    """The private network of a real node."""

    bridge: str
    subnet: str
    gateway: str
    api_port: int


class ClusterState(msgspec.Struct, frozen=True):
    """Everything needed to use and to stop a cluster."""

    request: ClusterRequest
    marker: str
    """Value of the environment variable that all programs of this cluster carry."""
    server: str
    tokens: dict[str, str]
    """Token of each user by name."""
    private: str
    """Folder of etcd's sockets; a short path, since a socket's path holds 107 characters."""
    data: str
    """Folder of etcd's data."""
    real: bool
    simulated: bool
    note: str = ""
    """Why there is no real node where one was wished for."""
    network: Network | None = None
    """Only with a real node."""
    processes: tuple[Process, ...] = ()
    complete: bool = False
    """False while `up` is at work, and for ever if it was killed."""


def load(paths: ClusterPaths) -> ClusterState | None:
    """The recorded state, or None when nothing was started here.

    Raises ClusterError when the file is there and not readable as a state.
    """
    try:
        return msgspec.json.decode(paths.state.read_bytes(), type=ClusterState)
    except FileNotFoundError:
        return None
    except (msgspec.DecodeError, OSError) as error:
        raise ClusterError(
            f"{paths.state}: not a state file of a cluster ({error}); stop its programs by hand and remove it"
        ) from error


def save(paths: ClusterPaths, state: ClusterState) -> None:
    """Write the state, whole or not at all, readable by its owner only (it holds tokens)."""
    new = paths.state.with_suffix(".new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(state)))
    new.replace(paths.state)


@contextmanager
def locked(paths: ClusterPaths, report: Report) -> Iterator[None]:
    """Hold the folder's lock, waiting for another command at most LOCK_SECONDS; makes the folder.

    The lock is on the folder itself, so that it leaves no file behind.
    """
    deadline = time.monotonic() + LOCK_SECONDS
    waiting = False
    while (descriptor := _try_lock(paths.root)) is None:
        if time.monotonic() > deadline:
            raise ClusterError(f"{paths.root}: in use by another command for {LOCK_SECONDS} s")
        if not waiting:
            report.say(f"waiting for another command that works on {paths.root}")
            waiting = True
        time.sleep(0.1)
    try:
        yield
    finally:
        os.close(descriptor)


def _try_lock(folder: Path) -> int | None:
    """A descriptor that holds the lock; None while another command has it."""
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # The command that had the lock may have removed the folder, and with it what was opened here.
        if folder.exists() and os.path.samestat(folder.stat(), os.fstat(descriptor)):
            return descriptor
    except BlockingIOError:
        pass
    os.close(descriptor)
    return None
