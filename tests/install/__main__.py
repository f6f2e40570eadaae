"""The chart's tools: `helm` builds it, `manifests` renders, `released` marks a release, `checkov` compares findings."""

import sys
from pathlib import Path

import click

from tests.cluster.config import ClusterError
from tests.install import findings
from tests.install import helm as helms
from tests.install import manifests as rendering


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """The chart's tools."""


@main.command()
def helm() -> None:
    """Build helm into the cache, once; prints its path."""
    click.echo(_helm())


@main.command()
@click.option("--check", is_flag=True, help="Write nothing; exit code 1 if a file differs.")
def manifests(check: bool) -> None:
    """Write the manifests that are rendered from the chart."""
    changed = rendering.differing(helms.Helm(_helm()))
    for path, text in changed.items():
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        click.echo(f"{'differs' if check else 'wrote'}: {path.relative_to(helms.ROOT)}")
    if check and changed:
        click.echo("run `make manifests` and commit the result", err=True)
        sys.exit(1)


@main.command()
def released() -> None:
    """Take the CRDs over as those of a release: later ones have to take everything that these take."""
    for path in sorted((helms.ROOT / "crds").glob("*.yaml")):
        (Path(__file__).parent / "released" / path.name).write_bytes(path.read_bytes())
        click.echo(f"released: {path.name}")


@main.command()
def checkov() -> None:
    """Hold what checkov finds against the answers in docs/installation.md."""
    try:
        found = findings.found(helms.Helm(_helm()))
    except ClusterError as error:
        click.echo(str(error), err=True)
        sys.exit(1)
    answered = findings.answered()
    for words, names in (("not answered", found - answered), ("not found any more", answered - found)):
        for name in sorted(names):
            click.echo(f"{name}: {words}", err=True)
    click.echo(f"{len(found)} findings, {len(found & answered)} of them answered")
    sys.exit(found != answered)


def _helm() -> Path:
    try:
        return helms.build()
    except ClusterError as error:
        click.echo(f"helm: {error}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
