"""The scripts, styles and icons: read once, served under a path with their digest, so that browsers keep them.

Rule: nothing is made from them and nothing is fetched from elsewhere. During an update of the server a page of the new
version may ask an old replica: the path of another digest is answered as well, and is not kept then.
"""

import hashlib
from collections.abc import Mapping
from importlib.resources import files
from types import MappingProxyType

from aiohttp import web

from task_pipeline.server.call import Call, Reply
from task_pipeline.server.problem import problem

_TYPES = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_KEPT = "public, max-age=31536000, immutable"


def _read() -> Mapping[str, bytes]:
    folder = files("task_pipeline.server.web").joinpath("static")
    found = {one.name: one.read_bytes() for one in folder.iterdir() if one.name.rpartition(".")[2] in _TYPES}
    return MappingProxyType(dict(sorted(found.items())))


FILES = _read()
DIGEST = hashlib.sha256(b"\0".join(name.encode() + b"\0" + text for name, text in FILES.items())).hexdigest()[:16]
MODULES = tuple(name for name in FILES if name.endswith(".js"))


def url(name: str) -> str:
    """Where a file is served."""
    assert name in FILES
    return f"/ui/static/{DIGEST}/{name}"


async def serve(call: Call) -> Reply:
    """GET one file. Raises ProblemError 404."""
    name = call.path["file"]
    content = FILES.get(name)
    if content is None:
        raise problem(404, "NotFound", "there is no such file")
    kept = _KEPT if call.path["digest"] == DIGEST else "no-store"
    headers = {
        "Content-Type": f"{_TYPES[name.rpartition('.')[2]]}; charset=utf-8",
        "Cache-Control": kept,
        "Cross-Origin-Resource-Policy": "same-origin",
        "Content-Security-Policy": "default-src 'none'",
    }
    return Reply(body=web.Response(body=content, headers=headers))
