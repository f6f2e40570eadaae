"""Container images made from this machine's own busybox, in the form that `ctr images import` reads.

Rule: nothing is downloaded; the same busybox always gives the same bytes.
"""

import hashlib
import io
import json
import platform
import tarfile
from pathlib import Path
from typing import Any

from tests.cluster.commands import run

BUSYBOX = "docker.io/library/busybox:1.36"
PAUSE = "localhost/pause:1"
_FOLDERS = ("bin", "dev", "etc", "home", "proc", "root", "sbin", "sys", "tmp", "usr", "usr/bin", "usr/sbin", "var")
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/home:/bin/false\n",
    "etc/group": "root:x:0:\nnogroup:x:65534:\n",
}


def write_busybox(archive: Path, busybox: Path) -> None:
    """The image that tests and examples run: a shell, the usual tools and a small web server."""
    write_image(archive, BUSYBOX, busybox_layer(busybox), {"Cmd": ["sh"]})


def write_pause(archive: Path, busybox: Path) -> None:
    """The image whose container holds a pod's network while the others come and go."""
    write_image(archive, PAUSE, busybox_layer(busybox), {"Entrypoint": ["/bin/sleep", "2147483647"]})


def busybox_layer(busybox: Path) -> bytes:
    """A file system with busybox, a link for each of its tools, and two users."""
    links = [name for name in run([busybox, "--list-full"]).split() if name != "bin/busybox"]
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for folder in _FOLDERS:
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if folder == "tmp" else 0o755
            tar.addfile(entry)
        _add(tar, "bin/busybox", busybox.read_bytes(), mode=0o755)
        for name, text in _FILES.items():
            _add(tar, name, text.encode())
        for name in sorted(links):
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, "/bin/busybox"
            tar.addfile(entry)
    return buffer.getvalue()


def write_image(archive: Path, name: str, layer: bytes, config: dict[str, Any]) -> None:
    """Write an archive with one image of one layer."""
    digest = hashlib.sha256(layer).hexdigest()
    description = {
        "architecture": _ARCHITECTURES.get(platform.machine(), platform.machine()),
        "os": "linux",
        "created": "1970-01-01T00:00:00Z",
        "config": {"Env": ["PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"], **config},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
    }
    content = json.dumps(description, sort_keys=True).encode()
    file = f"{hashlib.sha256(content).hexdigest()}.json"
    layers = [f"{digest}/layer.tar"]
    manifest = json.dumps([{"Config": file, "RepoTags": [name], "Layers": layers}]).encode()
    with tarfile.open(archive, mode="w") as tar:
        _add(tar, layers[0], layer)
        _add(tar, file, content)
        _add(tar, "manifest.json", manifest)


def _add(tar: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    tar.addfile(entry, io.BytesIO(content))
