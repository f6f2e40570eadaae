"""`make bench` and `make bench-full`: every contender with the same work on fresh clusters; see docs/benchmarks.md.

Without a subcommand it runs workloads and prints their tables. `report` makes the page from results; `queue` measures
the queue's decisions alone, `past` a start where much is over, `rest` the REST server, `tpctl` the command line, `w4`
the backlog alone.
"""

import json
import signal
from pathlib import Path
from types import FrameType
from typing import Any

import click
import uvloop

from tests.bench import commands, contenders, decisions, environment, page, plan, report
from tests.bench import past as finished
from tests.bench import rest as through_rest
from tests.bench.run import run
from tests.bench.site import site

_FILE = click.Path(path_type=Path, dir_okay=False)
AS_JSON = click.option("--json", "path", type=_FILE, help="Write the results there, too.")
SCALE = click.option("--scale", default=1.0, show_default=True, help="How much of each workload.")


@click.group(invoke_without_command=True, help="Measure this operator beside others and beside scripts.")
@click.option("--full", is_flag=True, help="The full sizes, five rounds: hours. Otherwise minutes.")
@SCALE
@click.option("--rounds", type=click.IntRange(1), help="Rounds of each workload; 2, with --full 5.")
@click.option("--workload", "workloads", multiple=True, type=click.Choice(plan.WORKLOADS), help="Only these.")
@click.option("--contender", "names", multiple=True, type=click.Choice(contenders.NAMES), help="Only these.")
@AS_JSON
@click.pass_context
def main(
    context: click.Context,
    full: bool,
    scale: float,
    rounds: int | None,
    workloads: tuple[str, ...],
    names: tuple[str, ...],
    path: Path | None,
) -> None:
    """Prints tables; exit code 0 when everything could be measured, 1 when a block failed."""
    signal.signal(signal.SIGTERM, _stop)
    if context.invoked_subcommand is None:
        form = plan.FULL if full else plan.QUICK
        _measure(form, scale, rounds or (5 if full else 2), workloads, names, path)


def _measure(
    form: str, scale: float, rounds: int, workloads: tuple[str, ...], names: tuple[str, ...], path: Path | None
) -> None:
    found, skipped = contenders.present(names or contenders.NAMES)
    for line in skipped:
        click.echo(line)
    document: dict[str, Any] = {
        "environment": environment.describe(),
        "flags": {"form": form, "scale": scale, "rounds": rounds},
        "skipped": skipped,
        "blocks": [],
        "failed": [],
    }
    takes_part = {name: contender.workloads for name, contender in found.items()}
    blocks = plan.blocks(workloads or plan.WORKLOADS, takes_part, form, scale, rounds)
    run(document, blocks, contenders.make, form, scale, path)
    click.echo(report.markdown([document]))
    if document["failed"]:
        raise click.ClickException(f"{len(document['failed'])} of {len(blocks)} blocks failed; see above")


@main.command("report", help="Write the tables of results into docs/benchmarks.md.")
@click.argument("files", nargs=-1, required=True, type=_FILE)
def write_report(files: tuple[Path, ...]) -> None:
    """Replaces what stands between the page's marks."""
    page.write([json.loads(file.read_text()) for file in files])


@main.command(help="W4 alone: Pipelines of 20 clients wait for 50 slots.")
@SCALE
@AS_JSON
def w4(scale: float, path: Path | None) -> None:
    """The same as the workload W4 of the operator with Shell."""
    _measure(plan.QUICK, scale, 1, ("W4",), ("ours-shell",), path)


@main.command(help="The queue's decisions alone, from 100 to 100,000 waiting jobs. No cluster.")
@AS_JSON
def queue(path: Path | None) -> None:
    """Prints a table; it takes some minutes, most of them to fill queues."""
    _keep(decisions.measure(), path)


@main.command(help="The start of the operator where thousands of Pipelines are over.")
@click.option("--pipelines", default=1000, show_default=True, help="How many finished Pipelines there are.")
@click.option("--jobs", default=5, show_default=True, help="How many jobs each of them has.")
@AS_JSON
def past(pipelines: int, jobs: int, path: Path | None) -> None:
    """Prints how long the start takes and what it writes; to write the past takes most of the time."""
    with site(audit=True) as place:
        _keep(uvloop.run(finished.measure(place, pipelines, jobs)), path)


@main.command(help="The first output of each command of tpctl where thousands of Pipelines are over.")
@click.option("--pipelines", default=2000, show_default=True, help="How many finished Pipelines there are.")
@AS_JSON
def tpctl(pipelines: int, path: Path | None) -> None:
    """Prints a line for each command; to write the past takes most of the time."""
    with site() as place:
        _keep(uvloop.run(commands.measure(place, pipelines)), path)


@main.command(help="The REST server's submits and claims beside raw writes of the same objects.")
@click.option("--rounds", default=5, show_default=True, help="Rounds of each, with raw writes before it.")
@click.option("--count", default=300, show_default=True, help="Requests in each round.")
@AS_JSON
def rest(rounds: int, count: int, path: Path | None) -> None:
    """Prints rates, their ratios, CPU per request, and latencies at half of the server's rate."""
    with site() as place:
        _keep(uvloop.run(through_rest.measure(place, rounds, count)), path)


def _stop(number: int, frame: FrameType | None) -> None:
    """End as Ctrl-C does, once: a second signal shall not interrupt the clean-up."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


def _keep(results: dict[str, Any], path: Path | None) -> None:
    if path is not None:
        path.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
