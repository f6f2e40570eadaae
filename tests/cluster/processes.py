"""Programs in the background: start, watch, stop; only those of this cluster.

Rule: a program is known by its process id together with its start time, so that a number that the kernel
has given to somebody else is never signalled. All programs of a cluster, and what they start themselves,
carry the cluster's marker in their environment: that finds what was started in the instant before its
number could be written down, and the helpers that containerd leaves behind.
"""

import os
import signal
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from tests.cluster.config import ClusterError
from tests.cluster.state import Process

MARKER = "TASK_PIPELINE_CLUSTER"
TAIL_LINES = 15


def start(name: str, command: Sequence[str | Path], log: Path, marker: str) -> Process:
    """Start a program in a session of its own, its output in `log`, and say what was started.

    Raises ClusterError when it cannot be started at all.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    arguments = [str(part) for part in command]
    environment = {**os.environ, MARKER: marker}
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(log), flags, 0o644),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    try:
        pid = os.posix_spawnp(arguments[0], arguments, environment, file_actions=actions, setsid=True)
    except OSError as error:
        raise ClusterError(f"cannot start {name} ({arguments[0]}): {error}") from error
    return Process(name=name, pid=pid, started=_start_time(pid) or 0, log=str(log))


def alive(process: Process) -> bool:
    """Whether this very program still runs."""
    _reap(process.pid)
    return _start_time(process.pid) == process.started


def dead_report(process: Process) -> str:
    """What to tell about a program that has ended: the last lines of its log and where the rest is."""
    try:
        lines = Path(process.log).read_text(errors="replace").splitlines()[-TAIL_LINES:]
    except OSError:
        lines = []
    tail = "\n".join(f"    {line[:600]}" for line in lines)
    return f"{process.name} has ended; the last lines of {process.log}:\n{tail}"


def stop(processes: Iterable[Process], grace: float = 5.0) -> None:
    """Ask the programs to end, wait `grace` seconds for all together, then kill what is left."""
    remaining = [process for process in processes if alive(process)]
    for number, seconds in ((signal.SIGTERM, grace), (signal.SIGKILL, 5.0)):
        for process in remaining:
            with suppress(ProcessLookupError):
                os.kill(process.pid, number)
        remaining = _wait_gone(remaining, seconds)
        if not remaining:
            return
    names = ", ".join(f"{process.name} (pid {process.pid})" for process in remaining)
    raise ClusterError(f"could not stop {names}; look at /proc/PID/stack, then run `down` again")


def marked(marker: str) -> list[Process]:
    """All running programs whose marker is this or begins with it, whoever started them."""
    wanted = f"{MARKER}={marker}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal() or int(entry.name) == os.getpid():
            continue
        with suppress(OSError):
            environment = (entry / "environ").read_bytes().split(b"\0")
            if any(variable.startswith(wanted) for variable in environment):
                pid = int(entry.name)
                started = _start_time(pid)
                if started is not None:
                    name = (entry / "comm").read_text().strip()
                    found.append(Process(name=name, pid=pid, started=started, log=os.devnull))
    return found


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold back Ctrl-C and SIGTERM until the block is done: a start and its record belong together."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    held: list[int] = []

    def hold(number: int, frame: FrameType | None) -> None:
        held.append(number)

    before = {number: signal.signal(number, hold) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for pending in held:
            os.kill(os.getpid(), pending)


def _wait_gone(processes: list[Process], seconds: float) -> list[Process]:
    deadline = time.monotonic() + seconds
    while processes and time.monotonic() < deadline:
        processes = [process for process in processes if alive(process)]
        if processes:
            time.sleep(0.02)
    return processes


def _reap(pid: int) -> None:
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def _start_time(pid: int) -> int | None:
    """Field 22 of /proc/PID/stat; None for a process that is gone or only waits to be reaped."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in ("Z", "X") else int(fields[19])
