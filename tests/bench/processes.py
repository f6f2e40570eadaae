"""What processes use, from /proc: CPU seconds and memory."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far, all of its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def megabytes(pid: int, field: str = "VmRSS") -> float:
    """Memory in use now, in MiB; with `VmHWM` the peak since `reset_peak`."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{field}:"))


def reset_peak(pid: int) -> None:
    """Let the peak of a process's memory begin anew (proc(5): 5 in clear_refs)."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def busy_seconds() -> float:
    """CPU time that the whole machine has spent since its start, without idling and waiting for disks."""
    return busy_of(Path("/proc/stat").read_text().partition("\n")[0])


def busy_of(line: str) -> float:
    """The same, of the line `cpu` of /proc/stat: user, nice, system, irq, softirq, and steal."""
    fields = [int(field) for field in line.split()[1:9]]
    idle, iowait = fields[3], fields[4]
    return (sum(fields) - idle - iowait) / TICKS


@dataclass(frozen=True)
class Usage:
    """What was used in a while: CPU seconds by process, those of all that is not ours, peak memory by process (MiB)."""

    seconds: float
    cpu: dict[str, float]
    foreign_cpu: float
    peak_megabytes: dict[str, float]


class Meter:
    """Counts from its creation on; `pids` by name. The benchmark itself is `bench`."""

    def __init__(self, pids: Mapping[str, int], clock: float) -> None:
        self._pids = {**pids, "bench": os.getpid()}
        self._began = clock
        for pid in self._pids.values():
            reset_peak(pid)
        self._cpu = {name: cpu_seconds(pid) for name, pid in self._pids.items()}
        self._busy = busy_seconds()

    def read(self, clock: float) -> Usage:
        """What was used since then; every process must still run."""
        cpu = {name: cpu_seconds(pid) - self._cpu[name] for name, pid in self._pids.items()}
        foreign = max(busy_seconds() - self._busy - sum(cpu.values()), 0.0)
        peaks = {name: megabytes(pid, "VmHWM") for name, pid in self._pids.items()}
        return Usage(clock - self._began, cpu, foreign, peaks)
