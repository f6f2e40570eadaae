"""`task-pipeline-client-secret CLIENT`: gives a client a secret for the REST API and prints it, once.

The secret goes to standard output, alone on its line; all else goes to standard error.
"""

import asyncio
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from task_pipeline.kube.client import HttpCluster
from task_pipeline.kube.config import NoCluster, connect
from task_pipeline.kube.errors import KubeError
from task_pipeline.server.auth.registration import NewSecret, NotRegistered, add_secret, store_hash

PROGRAM = "task-pipeline-client-secret"


@click.command(help="Give the PipelineClient CLIENT a new secret and print it; it cannot be shown again.")
@click.argument("client")
@click.option("--namespace", "-n", default="task-pipeline", show_default=True, help="The operator's namespace.")
@click.option("--kubeconfig", envvar="KUBECONFIG", type=click.Path(path_type=Path), help="Default: KUBECONFIG.")
@click.option(
    "--old-for",
    metavar="HOURS",
    type=click.FloatRange(min=0, max=87_600),
    help="Let the secrets that the client has end after so many hours. Without it they go on.",
)
@click.option(
    "--no-reference",
    is_flag=True,
    help="Leave the PipelineClient as it is, and print the reference to be added where it is kept (GitOps).",
)
def main(client: str, namespace: str, kubeconfig: Path | None, old_for: float | None, no_reference: bool) -> None:
    """Exit code 0 when the secret is good, 1 with the reason otherwise."""
    if no_reference and old_for is not None:
        raise click.UsageError("--old-for changes the PipelineClient, --no-reference does not")
    old_end = None if old_for is None else timedelta(hours=old_for)
    try:
        made = asyncio.run(_make(client, namespace, kubeconfig, old_end, not no_reference))
    except (NoCluster, KubeError, NotRegistered) as error:
        click.echo(f"{PROGRAM}: {error}", err=True)
        sys.exit(1)
    if no_reference:
        click.echo(f"add to spec.credentials of the PipelineClient: {{secretRef: {{name: {made.name}}}}}", err=True)
    click.echo(f"the secret of client {client}; only its hash is kept, in Secret {namespace}/{made.name}:", err=True)
    click.echo(made.secret)


async def _make(
    client: str, namespace: str, kubeconfig: Path | None, old_end: timedelta | None, reference: bool
) -> NewSecret:
    async with HttpCluster(await connect(kubeconfig, dict(os.environ))) as cluster:
        if not reference:
            return await store_hash(cluster, namespace, client)
        return await add_secret(cluster, namespace, client, datetime.now(UTC), old_end=old_end)


if __name__ == "__main__":
    main()
