"""The command line: up, down, status, build.

Rule: exit code 0 when it is as asked, 1 when it could not be done, 3 from `status` when nothing healthy
runs, 130 after Ctrl-C; progress goes to stderr, what a script may read to stdout.
"""

import signal
import sys
import time
from pathlib import Path

import click

from tests.cluster import build as builds
from tests.cluster.cluster import Cluster, ClusterConfig
from tests.cluster.cluster import down as stop_cluster
from tests.cluster.config import ClusterError, NodeMode
from tests.cluster.paths import CHECKOUT
from tests.cluster.report import Report

NOT_RUNNING = 3
INTERRUPTED = 130

_folder = click.option(
    "--dir",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    envvar="CLUSTER_DIR",
    default=CHECKOUT / ".cluster",
    show_default=".cluster in the checkout",
    help="Folder of the cluster; each folder is a cluster of its own.",
)


class _Group(click.Group):
    """Turns the errors of this package into one line on stderr and an exit code."""

    def invoke(self, ctx: click.Context) -> None:
        """Run the command, SIGTERM meaning the same as Ctrl-C."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.default_int_handler)
        try:
            super().invoke(ctx)
        except (ClusterError, OSError) as error:
            Report().error(str(error))
            sys.exit(1)
        except KeyboardInterrupt:
            Report().error("interrupted; nothing of this command is left running")
            sys.exit(INTERRUPTED)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """A real Kubernetes on this machine, without a container engine."""


@main.command()
@_folder
@click.option(
    "--nodes",
    type=click.Choice([mode.value for mode in NodeMode]),
    envvar="CLUSTER_NODES",
    default=NodeMode.AUTO.value,
    show_default=True,
    help="real: containers on this machine; simulated: pods without containers; auto: real where possible.",
)
@click.option("--audit", is_flag=True, help="Write the API server's audit log to audit.log in the folder.")
def up(folder: Path, nodes: str, audit: bool) -> None:
    """Start the cluster; nothing to do when it runs already."""
    report = Report()
    started = time.monotonic()
    cluster = Cluster.up(ClusterConfig(dir=folder, nodes=NodeMode(nodes), audit=audit), report)
    if cluster.state.note:
        report.warn(cluster.state.note)
    if cluster.fresh:
        report.say(f"the cluster runs ({time.monotonic() - started:.1f} s); use it with")
    else:
        report.say("the cluster runs already; use it with")
    click.echo(f"export KUBECONFIG={cluster.kubeconfig}")
    report.say(f"or {cluster.paths.kubectl}; logs are in {cluster.paths.logs}")


@main.command()
@_folder
def down(folder: Path) -> None:
    """Stop the cluster and remove it; nothing to do when there is none."""
    report = Report()
    started = time.monotonic()
    if stop_cluster(folder, report):
        report.say(f"the cluster is stopped and removed ({time.monotonic() - started:.1f} s)")
    else:
        report.say(f"{folder}: no cluster here")


@main.command()
@_folder
def status(folder: Path) -> None:
    """Show programs and nodes; exit code 3 when the cluster does not run or is not healthy."""
    cluster = Cluster.at(folder)
    if cluster is None:
        click.echo(f"{folder}: no cluster runs here")
        sys.exit(NOT_RUNNING)
    ended = {process.pid for process in cluster.ended()}
    for process in cluster.state.processes:
        word = "ended" if process.pid in ended else "runs"
        click.echo(f"{process.name:26} {word:6} pid {process.pid:<8} {process.log}")
    if ended or not cluster.client.ready():
        click.echo(f"API server {cluster.server}: not healthy")
        sys.exit(NOT_RUNNING)
    click.echo(f"API server {cluster.server}: ready; nodes: {cluster.nodes_in_words()}")
    click.echo(f"export KUBECONFIG={cluster.kubeconfig}")


@main.command()
def build() -> None:
    """Build the cluster's programs into the cache, for machines that prepare ahead."""
    report = Report()
    for program in (builds.KUBERNETES, builds.KWOK):
        click.echo(builds.built(program, report))
