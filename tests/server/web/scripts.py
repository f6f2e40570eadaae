"""The pages' scripts in Node.js, without a browser: a document that a test makes up, and what they do with it."""

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from task_pipeline.server.web import assets

SECONDS = 20.0
NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="there is no Node.js")
_DOCUMENT = """
export const said = [];
export const heard = {};
export const toast = { set textContent(text) { said.push(text); }, hidden: true };
globalThis.document = {
  body: { dataset: { now: "0" } },
  getElementById: (id) => (id === "toast" ? toast : null),
  addEventListener: (name, listener) => { heard[name] = listener; },
};
globalThis.location = { pathname: "/ui/x", search: "?job=a", assign: (url) => said.push(`to ${url}`) };
"""


async def run(folder: Path, script: str) -> Any:
    """What the module `script` prints as JSON; it finds our scripts beside it, and `world.js`."""
    assert NODE is not None
    for name in assets.MODULES:
        (folder / name).write_bytes(assets.FILES[name])
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "world.js").write_text(_DOCUMENT)
    (folder / "test.js").write_text(script)
    process = await asyncio.create_subprocess_exec(
        NODE, "test.js", cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        out, fault = await asyncio.wait_for(process.communicate(), SECONDS)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, fault.decode()
    return json.loads(out)
