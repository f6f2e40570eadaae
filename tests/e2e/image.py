"""The project's image, built from the Dockerfile by buildah on a base of Debian's packages: no registry, no engine.

Rule: nothing is installed into the machine but Debian's buildah and debootstrap; what was built lies in the cache under
the hash of what it was made of.
"""

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.cluster.commands import run
from tests.cluster.config import ClusterError
from tests.cluster.packages import obstacle as node_obstacle
from tests.cluster.paths import cache_dir
from tests.cluster.report import Report
from tests.install.helm import ROOT

REPOSITORY = "localhost/task-pipeline/operator"
BASE = "localhost/task-pipeline/python:1"
AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
BUILD_SECONDS = 900
_TOOLS = ("buildah", "debootstrap")
_SOURCES = ("Dockerfile", ".dockerignore", "requirements.lock", "requirements-image.lock", "pyproject.toml", "operator")
_INCLUDED = "python3,python3-venv,ca-certificates"


def obstacle(report: Report) -> str | None:
    """Why no image can be built and run here; None when it can. Installs missing packages."""
    reason = node_obstacle(report)
    if reason:
        return reason
    missing = [tool for tool in _TOOLS if shutil.which(tool) is None]
    if not missing:
        return None
    if shutil.which("apt-get") is None:
        return f"{' and '.join(missing)} missing, and no apt-get"
    install = [
        "apt-get",
        "-o",
        "DPkg::Lock::Timeout=120",
        "-qq",
        "install",
        "--yes",
        "--no-install-recommends",
        *missing,
    ]
    environment = {"DEBIAN_FRONTEND": "noninteractive"}
    try:
        try:
            run(install, seconds=600, env=environment)
        except ClusterError:
            run(["apt-get", "-qq", "update"], seconds=600, env=environment)
            run(install, seconds=600, env=environment)
    except ClusterError as error:
        return f"{' and '.join(missing)} could not be installed ({error})"
    return None


@cache
def tag() -> str:
    """A version for the image of exactly these sources, as they are when it is first asked."""
    digest = hashlib.sha256()
    for path in _files():
        digest.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


def archive(report: Report) -> Path:
    """A docker-archive of the image `REPOSITORY:tag()`; builds it first if it is not there. Raises ClusterError."""
    folder = cache_dir() / "images"
    target = folder / f"operator-{tag()}.tar"
    if target.exists():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    base = _base(folder, report)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".build-") as scratch, report.step("built the image"):
        storage, output = Path(scratch) / "storage", Path(scratch) / "image.tar"
        _buildah(storage, "pull", f"docker-archive:{base}")
        arguments = {"BASE": BASE} | ({"SSL_CERT_FILE": str(AUTHORITIES)} if AUTHORITIES.exists() else {})
        flags = [part for name, value in arguments.items() for part in ("--build-arg", f"{name}={value}")]
        name = f"{REPOSITORY}:{tag()}"
        _buildah(storage, "bud", "--isolation", "chroot", "--pull-never", *flags, "--tag", name, str(ROOT))
        _buildah(storage, "push", name, f"docker-archive:{output}:{name}")
        for old in folder.glob("operator-*.tar"):
            old.unlink()
        output.replace(target)
    return target


def _base(folder: Path, report: Report) -> Path:
    """A docker-archive of a Debian with Python, which stands for the official image of Python."""
    target = folder / "python.tar"
    if target.exists():
        return target
    with (
        tempfile.TemporaryDirectory(dir=folder, prefix=".base-") as scratch,
        report.step("made a Python base of Debian"),
    ):
        system, storage, output = (Path(scratch) / name for name in ("system", "storage", "image.tar"))
        # In a mount namespace of its own, so that an end by force leaves no /proc mounted in the folder.
        command: list[str | Path] = [
            "unshare",
            "--mount",
            "debootstrap",
            "--variant=minbase",
            f"--include={_INCLUDED}",
            _suite(),
            system,
        ]
        run(command, seconds=BUILD_SECONDS)
        if AUTHORITIES.exists():  # those that this machine trusts, or packages could not be fetched through its proxy
            shutil.copy(AUTHORITIES, system / AUTHORITIES.relative_to("/"))
        container = _buildah(storage, "from", "scratch").strip()
        _buildah(storage, "add", "--quiet", container, str(system), "/")
        _buildah(storage, "commit", "--quiet", container, BASE)
        _buildah(storage, "push", BASE, f"docker-archive:{output}:{BASE}")
        output.replace(target)
    return target


def _suite() -> str:
    text = Path("/etc/os-release").read_text()
    return next(line.partition("=")[2] for line in text.splitlines() if line.startswith("VERSION_CODENAME="))


def _buildah(storage: Path, *arguments: str) -> str:
    command = ["buildah", "--root", str(storage), "--runroot", str(storage.with_name("run")), "--storage-driver", "vfs"]
    environment = {**os.environ, "TMPDIR": str(storage.parent)}
    done = subprocess.run(
        [*command, *arguments], capture_output=True, text=True, timeout=BUILD_SECONDS, check=False, env=environment
    )
    if done.returncode != 0:
        raise ClusterError(f"buildah {arguments[0]}: {(done.stdout + done.stderr)[-2000:]}")
    return done.stdout


def _files() -> Iterator[Path]:
    for name in _SOURCES:
        path = ROOT / name
        yield from sorted(one for one in path.rglob("*.py") if one.is_file()) if path.is_dir() else [path]
