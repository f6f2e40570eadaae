"""`make scale`: how the operator grows, as curves. Each part has a cluster of its own, prints tables and writes JSON.

Small by default (minutes); `--full` takes the sizes of the goals, and an idle machine.
"""

import json
import os
import platform
import signal
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import click
import uvloop

from tests.scale import holdings, runs

SMALL: dict[str, Any] = {
    "large": 500,
    "flood": 1_000,
    "finished": (100, 250, 500, 1_000),
    "live": (250, 500, 1_000, 2_500),
}
FULL: dict[str, Any] = {
    "large": 2_000, "flood": 5_000, "finished": (1_000, 2_500, 5_000, 10_000), "live": (1_000, 2_500, 5_000, 10_000)
}  # fmt: skip
JOBS = 10  # of each Pipeline that is held
RUNNING = 100  # at a time, while thousands wait


def of_part(name: str, sizes: dict[str, Any]) -> Callable[[], Coroutine[Any, Any, Any]]:
    """What measures a part."""
    return {
        "large": lambda: runs.large(sizes["large"], 1),
        "stages": lambda: runs.large(sizes["large"], 4),
        "flood": lambda: runs.flood(sizes["flood"], RUNNING),
        "finished": lambda: holdings.finished(sizes["finished"], JOBS),
        "running": lambda: holdings.live(sizes["live"], JOBS, running=True),
        "waiting": lambda: holdings.live(sizes["live"], JOBS, running=False),
    }[name]


PARTS = ("large", "stages", "flood", "finished", "running", "waiting")


@click.command(help="Measure how memory, CPU and time grow with the size of the cluster.")
@click.argument("parts", nargs=-1, type=click.Choice(PARTS))
@click.option("--full", is_flag=True, help="The sizes of the goals: up to 10,000 Pipelines of 10 jobs.")
@click.option("--json", "path", type=click.Path(path_type=Path), default=Path("scale.json"), show_default=True)
def main(parts: tuple[str, ...], full: bool, path: Path) -> None:
    """Exit code 0 when everything could be measured; what was measured before a failure is kept."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    results: dict[str, Any] = {"date": time.strftime("%Y-%m-%d %H:%M"), "cores": os.cpu_count()}
    results |= {"machine": platform.processor() or platform.machine(), "python": platform.python_version()}
    for name in parts or PARTS:
        click.echo(f"{name}: load of the machine {os.getloadavg()[0]:.1f}")
        results[name] = {"load": os.getloadavg()[0], "rows": uvloop.run(of_part(name, FULL if full else SMALL)())}
        path.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
