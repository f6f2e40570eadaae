"""`make bench`: latency and throughput on a cluster of its own, beside bare pods in the same run.

Absolute times depend on the machine and on what else it does; the ratios to bare pods, measured in turn, do not.
`python -m tests.bench queue` and `... w4` measure the queue: its decisions alone, and with the whole operator. `past`
measures a start where much is over, `rest` the REST server.
"""

import json
import signal
import statistics
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import uvloop

from tests.bench import backlog, decisions
from tests.bench import past as finished
from tests.bench import rest as through_rest
from tests.bench.site import Site, connected, site
from tests.bench.workloads import Latency, Stand, Throughput

AS_JSON = click.option("--json", "path", type=click.Path(path_type=Path), help="Write the results there, too.")


@click.group(invoke_without_command=True, help="Measure the operator beside bare pods, or its queue.")
@click.option("--rounds", default=3, show_default=True, help="Rounds of W2, each with bare pods before it.")
@click.option("--pipelines", default=50, show_default=True, help="Pipelines of 20 jobs in each round of W2.")
@click.option("--runs", default=100, show_default=True, help="Runs of W1.")
@AS_JSON
@click.pass_context
def main(context: click.Context, rounds: int, pipelines: int, runs: int, path: Path | None) -> None:
    """Prints a table; exit code 0 when everything could be measured."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if context.invoked_subcommand is None:
        with site() as place:
            place.operator.start()
            _keep(uvloop.run(_measure(place, rounds, pipelines, runs)), path)


@main.command(help="The queue's decisions alone, from 100 to 100,000 waiting jobs. No cluster.")
@AS_JSON
def queue(path: Path | None) -> None:
    """Prints a table; it takes some minutes, most of them to fill queues."""
    _keep(decisions.measure(), path)


@main.command(help="W4: Pipelines of 20 clients wait for 50 slots.")
@click.option("--pipelines", default=5000, show_default=True, help="How many Pipelines of one job wait.")
@click.option("--jobs", default=600, show_default=True, help="After how many launches it is over.")
@click.option("--seconds", default=8.0, show_default=True, help="How long a job runs; 2: the API server is the bound.")
@AS_JSON
def w4(pipelines: int, jobs: int, seconds: float, path: Path | None) -> None:
    """Prints what was seen from outside while the backlog was worked off."""
    with site(audit=True, max_running_jobs=0) as place:
        _keep(uvloop.run(backlog.measure(place, backlog.Load(pipelines, jobs, seconds))), path)


@main.command(help="The start of the operator where thousands of Pipelines are over.")
@click.option("--pipelines", default=1000, show_default=True, help="How many finished Pipelines there are.")
@click.option("--jobs", default=5, show_default=True, help="How many jobs each of them has.")
@AS_JSON
def past(pipelines: int, jobs: int, path: Path | None) -> None:
    """Prints how long the start takes and what it writes; to write the past takes most of the time."""
    with site(audit=True) as place:
        _keep(uvloop.run(finished.measure(place, pipelines, jobs)), path)


@main.command(help="The REST server's submits and claims beside raw writes of the same objects.")
@click.option("--rounds", default=5, show_default=True, help="Rounds of each, with raw writes before it.")
@click.option("--count", default=300, show_default=True, help="Requests in each round.")
@AS_JSON
def rest(rounds: int, count: int, path: Path | None) -> None:
    """Prints rates, their ratios, CPU per request, and latencies at half of the server's rate."""
    with site() as place:
        _keep(uvloop.run(through_rest.measure(place, rounds, count)), path)


def _keep(results: dict[str, Any], path: Path | None) -> None:
    if path is not None:
        path.write_text(json.dumps(results, indent=2) + "\n")


async def _measure(place: Site, rounds: int, pipelines: int, runs: int) -> dict[str, Any]:
    async with connected(place.kubeconfig) as cluster, Stand(cluster) as stand:
        await stand.w1(5, "warm")
        latency = await stand.w1(runs, "run")
        click.echo(
            f"W1  overhead over the pod's own time: p50 {latency.p50:.1f} ms, p99 {latency.p99:.1f} ms ({runs} runs)"
        )
        pairs = []
        for number in range(rounds):
            raw = await stand.raw_pods(20 * pipelines, str(number))
            before = place.cpu_seconds()
            ours = await stand.w2(pipelines, str(number))
            cpu = (place.cpu_seconds() - before) / ours.jobs * 1000
            pairs.append((raw, ours, cpu))
            click.echo(
                f"W2  {ours.per_second:6.1f} jobs/s; bare pods {raw.per_second:6.1f}/s; "
                f"ratio {ours.per_second / raw.per_second:.2f}; operator CPU {cpu:.2f} s per 1,000 jobs"
            )
        return _summary(latency, pairs)


def _summary(latency: Latency, pairs: list[tuple[Throughput, Throughput, float]]) -> dict[str, Any]:
    ratio = statistics.median(ours.per_second / raw.per_second for raw, ours, _ in pairs)
    cpu = statistics.median(cpu for *_, cpu in pairs)
    rate = statistics.median(ours.per_second for _, ours, _ in pairs)
    click.echo(f"median: {rate:.1f} jobs/s, {ratio:.2f} of bare pods, {cpu:.2f} CPU-s per 1,000 jobs")
    return {
        "w1": asdict(latency),
        "w2": [{"ours": asdict(ours), "raw_pods": asdict(raw), "cpu_per_1000": cpu} for raw, ours, cpu in pairs],
        "median": {"jobs_per_second": rate, "ratio_to_pods": ratio, "cpu_per_1000": cpu},
    }


if __name__ == "__main__":
    main()
