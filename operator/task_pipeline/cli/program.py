"""The program `tpctl`: its verbs, each loaded when it is called.

Rule: the list of verbs and what `--help` says of them stand here, so that help loads no command.
"""

import importlib
import os
import sys
from typing import Any

import click

from task_pipeline import __version__
from task_pipeline.cli.backend import InvalidManifest
from task_pipeline.cli.failures import Failure
from task_pipeline.cli.options import target_options

PROGRAM, PLUGIN = "tpctl", "kubectl taskpipeline"
PLUGIN_FILE, COMPLETION_FILE = "kubectl-taskpipeline", "kubectl_complete-taskpipeline"
VERBS: dict[str, tuple[str, str]] = {  # verb: its module, its short help
    "submit": ("submit", "Create Pipelines from manifests."),
    "list": ("list_all", "List Pipelines."),
    "get": ("get", "Show a Pipeline with its stages and jobs."),
    "watch": ("watch", "Show how a run goes, until its end."),
    "wait": ("wait", "Wait for the end of a run; the exit code says how it ended."),
    "logs": ("logs", "Print the logs of jobs."),
    "explain": ("explain", "Say why each job waits or failed, and what to do."),
    "cancel": ("cancel", "Cancel a Pipeline, or one job of it."),
    "suspend": ("suspend", "Start nothing more of a Pipeline; what runs goes on."),
    "resume": ("resume", "Let a suspended Pipeline go on."),
    "rerun": ("rerun", "Run a finished Pipeline again."),
    "delete": ("delete", "Delete Pipelines and all that they run."),
    "lint": ("lint", "Check manifests offline, all faults at once."),
    "convert": ("convert", "Make manifests from files of the first version."),
    "queue": ("queue", "Show what runs next, and why."),
    "kinds": ("kinds", "List the job kinds and their params."),
    "client": ("client", "List clients, make secrets for them."),
    "completion": ("completion", "Print the completion script for a shell."),
}
EPILOG = "Exit codes: 0 succeeded, 1 failed or refused, 2 usage, 4 cancelled, 5 not found, 124 timed out."


class Program(click.Group):
    """The group of all verbs."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The verbs in the order of the table."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """One verb, loaded now."""
        if cmd_name not in VERBS:
            return None
        module = importlib.import_module(f"task_pipeline.cli.commands.{VERBS[cmd_name][0]}")
        found: click.Command = module.command
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The table of verbs, without loading any."""
        with formatter.section("Commands"):
            formatter.write_dl([(verb, words) for verb, (_, words) in VERBS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run the verb; a manifest that is refused somewhere without a file becomes a plain failure."""
        try:
            return super().invoke(ctx)
        except InvalidManifest as error:
            raise Failure(error.message) from error


program = Program(
    "tpctl",
    params=list(target_options()),
    help="Pipelines of jobs on Kubernetes: submit, follow, explain.",
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
program = click.version_option(__version__, prog_name=PROGRAM, message="%(prog)s %(version)s")(program)


def main() -> None:
    """The console script `tpctl`, also as the kubectl plugin: usage texts then show how it was called."""
    called = os.path.basename(sys.argv[0])
    program(prog_name=PLUGIN if called.startswith("kubectl-") else PROGRAM, complete_var="_TPCTL_COMPLETE")


if __name__ == "__main__":
    main()
