"""Applies the files that an operator outside the cluster needs inside it: CRDs, its namespace, the client `default`.

Server-side apply, so doing it again changes nothing; a CRD is waited for until the API server serves it.
"""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import click
import msgspec
import yaml

from task_pipeline.api.resources import CRDS, NAMESPACES, PIPELINE_CLIENTS, Resource
from task_pipeline.kube.client import HttpCluster
from task_pipeline.kube.config import NoCluster, connect
from task_pipeline.kube.errors import KubeError, NotFound, is_transient

KINDS: dict[str, Resource] = {resource.kind: resource for resource in (CRDS, NAMESPACES, PIPELINE_CLIENTS)}
PATIENCE = 60.0  # seconds for an API server that is just starting, or a CRD that is just being taken up


@click.command(help="Apply FILES (or the YAML files of folders) to the cluster of KUBECONFIG.")
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--kubeconfig", envvar="KUBECONFIG", type=click.Path(path_type=Path), required=True)
def main(files: tuple[Path, ...], kubeconfig: Path) -> None:
    """Exit code 0 when all of it stands, 1 with the reason otherwise."""
    documents = [document for path in files for document in _documents(path)]
    try:
        asyncio.run(_apply_all(documents, kubeconfig))
    except (NoCluster, KubeError) as error:
        click.echo(f"apply: {error}", err=True)
        sys.exit(1)


def _documents(path: Path) -> list[dict[str, Any]]:
    paths = sorted(path.glob("*.yaml")) if path.is_dir() else [path]
    found = [document for each in paths for document in yaml.safe_load_all(each.read_text()) if document]
    for document in found:
        if document.get("kind") not in KINDS:
            raise click.ClickException(f"{path}: kind {document.get('kind')} is not one of {', '.join(KINDS)}")
    return found


async def _apply_all(documents: list[dict[str, Any]], kubeconfig: Path) -> None:
    async with HttpCluster(await connect(kubeconfig, dict(os.environ))) as cluster:
        for document in documents:
            await _patiently(cluster, document)
            meta = document["metadata"]
            click.echo(f"{document['kind']} {meta['name']} stands")


async def _patiently(cluster: HttpCluster, document: dict[str, Any]) -> None:
    resource, meta = KINDS[document["kind"]], document["metadata"]
    deadline = asyncio.get_running_loop().time() + PATIENCE
    while True:
        try:
            raw = await cluster.apply(resource, meta.get("namespace"), meta["name"], document, force=True)
            if resource is not CRDS or _established(raw):
                return
        except KubeError as error:
            passing = is_transient(error) or isinstance(error, NotFound)
            if not passing or asyncio.get_running_loop().time() > deadline:
                raise
        await asyncio.sleep(0.2)


def _established(raw: bytes) -> bool:
    conditions = msgspec.json.decode(raw).get("status", {}).get("conditions") or ()  # null before it is taken up
    return any(c["type"] == "Established" and c["status"] == "True" for c in conditions)


if __name__ == "__main__":
    main()
