"""What was used, for the result: machine, versions, commit, date, and how busy the machine was at the start."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.cluster.config import KUBERNETES_VERSION

ROOT = Path(__file__).parents[2]
_LIBRARIES = ("task-pipeline", "kopf", "aiohttp", "uvloop", "msgspec", "orjson")
_MEASURED = ("operator", "crds", "manifests", "requirements.lock")


def describe() -> dict[str, Any]:
    """All of it; names of machines and paths are left out."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _git("rev-parse", "HEAD"),
        "changed_since": sorted(line[3:] for line in _git("status", "--porcelain", "--", *_MEASURED).splitlines()),
        "load_average": [round(value, 2) for value in os.getloadavg()],
        "processor": _field(Path("/proc/cpuinfo"), "model name"),
        "processors": os.cpu_count(),
        "memory_gib": round(int(_field(Path("/proc/meminfo"), "MemTotal").split()[0]) / 2**20, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "kubernetes": KUBERNETES_VERSION,
        "libraries": {name: version(name) for name in _LIBRARIES},
        "cluster": "etcd in memory without fsync, 10 simulated nodes, limits on request rates lifted, TLS on loopback",
        "settings_from_environment": sorted(name for name in os.environ if name.startswith("TASK_PIPELINE_")),
    }


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    return done.stdout.rstrip("\n") if done.returncode == 0 else "unknown"


def _field(file: Path, name: str) -> str:
    """The value of the first line `name : value`."""
    for line in file.read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return "unknown"
