"""`lint`: check manifests without a cluster."""

import os
from typing import TYPE_CHECKING

import click

from task_pipeline.cli import files, options
from task_pipeline.cli.failures import Code
from task_pipeline.cli.session import session_of

if TYPE_CHECKING:
    from task_pipeline.core.workload import KindDefaults

HELP = """Check manifests offline: form, rules, and the params of every job, as admission does.

All faults of all documents are told at once, each with file, line and column. Objects of other API groups are passed
over; exit code 1 when there is nothing else. Give the operator's own settings where they matter to params.
"""


@click.command("lint", cls=options.Verb, help=HELP, short_help="Check manifests offline, all faults at once.")
@click.argument("names", metavar="FILE...", nargs=-1, required=True, type=click.Path())
@click.option("--shell-image", envvar="TASK_PIPELINE_SHELL_IMAGE", help="The operator's image for Shell jobs.")
@click.option(
    "--pod-security",
    type=click.Choice(["baseline", "restricted"]),
    envvar="TASK_PIPELINE_POD_SECURITY",
    help="The operator's setting.",
)
@click.pass_context
def command(context: click.Context, names: tuple[str, ...], shell_image: str | None, pod_security: str | None) -> None:
    """Tell every fault; exit code 1 if there is one."""
    from task_pipeline.cli.lint import findings  # needs pydantic

    screen = session_of(context).screen
    documents, wrong = files.documents(names)
    found, judged = findings(documents, defaults_of(shell_image, pod_security))
    for fault in [*wrong, *map(str, found)]:
        screen.line(fault)
    count = len(wrong) + len(found)
    if count:
        screen.note(f"{count} fault{'s' if count > 1 else ''}")
        context.exit(Code.FAILED)
    if not judged:
        screen.note("no manifest of task-pipeline was found, so nothing was judged")
        context.exit(Code.FAILED)
    screen.line(f"{judged} manifest{'s' if judged > 1 else ''}, no fault")


def defaults_of(shell_image: str | None = None, pod_security: str | None = None) -> "KindDefaults":
    """The operator's settings that params depend on; from its own variables if they are not given."""
    from task_pipeline.core.workload import KindDefaults, PodSecurity

    image = shell_image or os.environ.get("TASK_PIPELINE_SHELL_IMAGE") or None
    security = (pod_security or os.environ.get("TASK_PIPELINE_POD_SECURITY") or "baseline").lower()
    level = PodSecurity.RESTRICTED if security == "restricted" else PodSecurity.BASELINE
    return KindDefaults(shell_image=image, pod_security=level)
