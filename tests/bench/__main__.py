"""`make bench`: latency and throughput on a cluster of its own, beside bare pods in the same run.

Absolute times depend on the machine and on what else it does; the ratios to bare pods, measured in turn, do not.
"""

import json
import signal
import statistics
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import uvloop

from task_pipeline.kube.client import HttpCluster
from task_pipeline.kube.config import connect
from tests.bench.workloads import Latency, Stand, Throughput
from tests.cluster import Cluster, ClusterConfig, NodeMode
from tests.operators import OperatorProcess, install


@click.command(help="Measure the operator beside bare pods.")
@click.option("--rounds", default=3, show_default=True, help="Rounds of W2, each with bare pods before it.")
@click.option("--pipelines", default=50, show_default=True, help="Pipelines of 20 jobs in each round of W2.")
@click.option("--runs", default=100, show_default=True, help="Runs of W1.")
@click.option("--json", "path", type=click.Path(path_type=Path), help="Write the results there, too.")
def main(rounds: int, pipelines: int, runs: int, path: Path | None) -> None:
    """Prints a table; exit code 0 when everything could be measured."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="task-pipeline-bench-") as folder:
        cluster = Cluster.up(ClusterConfig(dir=Path(folder) / "cluster", nodes=NodeMode.SIMULATED))
        operator = OperatorProcess(cluster.kubeconfig, Path(folder) / "operator.log")
        try:
            install(cluster.kubeconfig)
            operator.start()
            results = uvloop.run(_measure(cluster.kubeconfig, operator.pid, rounds, pipelines, runs))
            operator.stop()
        finally:
            if operator.running:
                operator.kill()
            cluster.down()
    if path is not None:
        path.write_text(json.dumps(results, indent=2) + "\n")


async def _measure(kubeconfig: Path, pid: int, rounds: int, pipelines: int, runs: int) -> dict[str, Any]:
    connection = await connect(kubeconfig)
    connection.user_agent = "task-pipeline-bench"
    async with HttpCluster(connection) as cluster, Stand(cluster) as stand:
        await stand.w1(5, "warm")
        latency = await stand.w1(runs, "run")
        click.echo(
            f"W1  overhead over the pod's own time: p50 {latency.p50:.1f} ms, p99 {latency.p99:.1f} ms ({runs} runs)"
        )
        pairs = []
        for number in range(rounds):
            raw = await stand.raw_pods(20 * pipelines, str(number))
            before = _cpu_seconds(pid)
            ours = await stand.w2(pipelines, str(number))
            cpu = (_cpu_seconds(pid) - before) / ours.jobs * 1000
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


def _cpu_seconds(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


if __name__ == "__main__":
    main()
