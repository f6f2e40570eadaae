"""How soon each command of `tpctl` says something where thousands of Pipelines are.

First output: from the start of the process to the first byte, on a pipe. The cluster is idle meanwhile.
"""

import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import click

from task_pipeline.api.resources import PIPELINES
from tests.bench import past
from tests.bench.client import client_of
from tests.bench.manifests import FINAL, NAMESPACE, pipeline
from tests.bench.observer import Observer
from tests.bench.site import Site, connected
from tests.programs import compiled

TIMES = 5
Results = dict[str, dict[str, float]]


async def measure(place: Site, pipelines: int) -> Results:
    """Prints and returns milliseconds of each command: median, least and most."""
    async with connected(place.kubeconfig) as cluster, client_of(place.cluster) as client:
        seen = Observer(client, PIPELINES.path(NAMESPACE), lambda thing: thing.get("status", {}).get("state") in FINAL)
        await seen.start()
        await past.write(place, cluster, seen, pipelines, 1)
        place.operator.start(seconds=past.PATIENCE)
        fails = pipeline("fails", 1, 1)
        fails["spec"]["jobs"][0]["params"]["annotations"] = {"simulate.test/exit-code": "1"}
        await past.run(cluster, seen, fails)
        await seen.stop()
        await asyncio.sleep(5)  # what the operator does about the last one is over
        return await asyncio.to_thread(_all, place)


def _all(place: Site) -> Results:
    files = [place.folder / f"new-{number}.json" for number in range(TIMES)]
    for file in files:
        file.write_text(json.dumps(pipeline(file.stem, 1, 2)))
    each: dict[str, Sequence[Sequence[str]]] = {
        "submit --watch": [("submit", "--watch", "-f", str(file)) for file in files],
        "lint": [("lint", str(files[0]))] * TIMES,
    }
    for line in (
        "list", "get old-00007", "explain fails", "queue", "watch fails", "wait fails", "rerun fails",
        "cancel old-00008", "suspend old-00009", "client list", "kinds", "--help",
    ):  # fmt: skip
        each[line] = [line.split()] * TIMES
    results = {}
    for name, lines in each.items():
        taken = [_first_output(line, place.kubeconfig) for line in lines]
        results[name] = {"median": statistics.median(taken), "least": min(taken), "most": max(taken)}
        click.echo(f"{name:18} {results[name]['median']:4.0f} ms ({min(taken):.0f}-{max(taken):.0f})")
    return results


def _first_output(arguments: Sequence[str], kubeconfig: Path) -> float:
    """Milliseconds until the command has written something to standard output; its end is awaited."""
    program = Path(sys.executable).with_name("tpctl")
    began = time.monotonic()
    with subprocess.Popen(
        [program, *arguments], stdout=subprocess.PIPE, env=compiled(os.environ) | {"KUBECONFIG": str(kubeconfig)}
    ) as process:
        assert process.stdout is not None
        assert process.stdout.read(1), f"tpctl {' '.join(arguments)} said nothing"
        taken = time.monotonic() - began
        process.stdout.read()
    return taken * 1000
