"""Build the programs of the cluster once and keep them in the cache.

Rule: a program's name in the cache holds the hash of everything of this checkout that it is made of, so a
changed source or a changed version can never run an old binary; one build at a time, finished files only.
"""

import fcntl
import hashlib
import os
import platform
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import msgspec

from tests.cluster import commands, golang
from tests.cluster.config import KUBERNETES_VERSION, ClusterError
from tests.cluster.paths import SOURCES, cache_dir
from tests.cluster.report import Report

DOWNLOAD_SECONDS = 1200
BUILD_SECONDS = 5400
_VERSION = "k8s.io/component-base/version"
_MAJOR, _MINOR, _ = KUBERNETES_VERSION.split(".")


class Program(msgspec.Struct, frozen=True):
    """A program to build: the module's folder, the package in it, and how long a first build takes."""

    name: str
    module: str
    package: str
    ldflags: str
    cold: str

    def path(self) -> Path:
        """Where the finished binary lies in the cache."""
        digest = hashlib.sha256(f"{self.package} {self.ldflags} {platform.machine()}".encode())
        for source in sorted((SOURCES / self.module).iterdir()):
            digest.update(source.name.encode() + b"\0" + source.read_bytes())
        return cache_dir() / "bin" / f"{self.name}-{digest.hexdigest()[:16]}"


KUBERNETES = Program(
    name="kubernetes",
    module="controlplane",
    package=".",
    ldflags=f"-s -w -X {_VERSION}.gitVersion=v{KUBERNETES_VERSION}"
    f" -X {_VERSION}.gitMajor={_MAJOR} -X {_VERSION}.gitMinor={_MINOR}",
    cold="about 8 minutes on 2 cores",
)
KWOK = Program(
    name="kwok",
    module="kwok",
    package="sigs.k8s.io/kwok/cmd/kwok",
    ldflags="-s -w",
    cold="about 90 seconds on 2 cores",
)


def built(program: Program, report: Report) -> Path:
    """Path of the program's binary; builds it first when the cache does not have it.

    Raises ClusterError with the compiler's words when it cannot be built.
    """
    target = program.path()
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with _one_at_a_time(report):
        if not target.exists():
            _build(program, target, report)
    return target


@contextmanager
def _one_at_a_time(report: Report) -> Iterator[None]:
    lock = cache_dir() / "build.lock"
    deadline = time.monotonic() + BUILD_SECONDS
    with lock.open("w") as file:
        told = False
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise ClusterError(f"{lock}: held by another build for {BUILD_SECONDS} s") from None
                if not told:
                    report.say("waiting for another build of the same cache")
                    told = True
                time.sleep(0.2)
        yield


def _build(program: Program, target: Path, report: Report) -> None:
    go = golang.toolchain(report)
    module = SOURCES / program.module
    report.say(f"building {program.name} into {target.parent} (once; {program.cold} if nothing is compiled yet)")
    started = time.monotonic()
    with report.step(f"  sources of {program.name} are here"):
        listing = commands.run(
            [go, "list", "-deps", program.package],
            cwd=module,
            env=golang.ENVIRONMENT,
            seconds=DOWNLOAD_SECONDS,
        )
    packages = len(listing.splitlines())
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".build-") as folder:
        output = Path(folder) / program.name
        command = [go, "build", "-v", "-ldflags", program.ldflags, "-o", output, program.package]
        _compile([str(part) for part in command], module, packages, report)
        output.replace(target)
    report.say(f"  built {program.name} in {time.monotonic() - started:.0f} s")


def _compile(command: list[str], module: Path, packages: int, report: Report) -> None:
    """Run the compiler in a session of its own, counting the packages that it names as it goes."""
    process = subprocess.Popen(
        command,
        cwd=module,
        env={**os.environ, **golang.ENVIRONMENT},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stderr is not None
    lines: list[str] = []
    reader = threading.Thread(target=_collect, args=(process.stderr, lines), daemon=True)
    reader.start()
    started = time.monotonic()
    try:
        with report.ticking("  compiling") as tick:
            while process.poll() is None:
                elapsed = time.monotonic() - started
                if elapsed > BUILD_SECONDS:
                    raise ClusterError(f"go build in {module}: no end after {BUILD_SECONDS} s")
                tick(f"{len(lines)} of at most {packages} packages, {elapsed:.0f} s")
                time.sleep(0.1)
    finally:
        if process.poll() is None:
            commands.stop_group(process)
        reader.join(timeout=5)
        process.stderr.close()
    if process.returncode != 0:
        raise ClusterError(f"go build in {module}: " + "\n".join(lines[-20:]))


def _collect(stream: TextIO, lines: list[str]) -> None:
    lines.extend(line.rstrip() for line in iter(stream.readline, ""))
