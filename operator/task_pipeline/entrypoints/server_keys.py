"""`task-pipeline-server-keys`: makes a new key for the tokens of the REST API before its time has come.

Without `--revoke` nobody notices: the new key signs from a few minutes on, the old ones verify until their tokens have
expired. With it every token that was given out is worthless at once, those of running workers included.
"""

import asyncio
import os
import sys
import time
from pathlib import Path

import click

from task_pipeline.kube.client import HttpCluster
from task_pipeline.kube.config import NoCluster, connect
from task_pipeline.kube.errors import KubeError
from task_pipeline.server.auth.keys import KeyRing, TooManyKeys

PROGRAM = "task-pipeline-server-keys"


@click.command(help="Make a new key for the tokens of the REST API; all replicas take it over by themselves.")
@click.option("--namespace", "-n", default="task-pipeline", show_default=True, help="The operator's namespace.")
@click.option("--kubeconfig", envvar="KUBECONFIG", type=click.Path(path_type=Path), help="Default: KUBECONFIG.")
@click.option("--revoke", is_flag=True, help="End every token that has been given out, within half a minute.")
def main(namespace: str, kubeconfig: Path | None, revoke: bool) -> None:
    """Exit code 0 when the key is there, 1 with the reason otherwise."""
    try:
        made = asyncio.run(_rotate(namespace, kubeconfig, revoke))
    except (NoCluster, KubeError, TooManyKeys) as error:
        click.echo(f"{PROGRAM}: {error}", err=True)
        sys.exit(1)
    click.echo(f"key {made} is there{'; every token of another key is worthless' if revoke else ''}")


async def _rotate(namespace: str, kubeconfig: Path | None, revoke: bool) -> str:
    async with HttpCluster(await connect(kubeconfig, dict(os.environ))) as cluster:
        return await KeyRing(cluster, namespace, now=time.time, clock=time.monotonic).rotate(revoke=revoke)


if __name__ == "__main__":
    main()
