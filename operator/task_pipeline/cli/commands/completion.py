"""`completion`: the script that lets a shell complete words."""

import click
from click.shell_completion import get_completion_class

HELP = """Print the completion script for SHELL. For bash: `source <(tpctl completion bash)`.

kubectl completes `kubectl taskpipeline` by itself once kubectl_complete-taskpipeline is on the PATH.
"""


@click.command("completion", help=HELP, short_help="Print the completion script for a shell.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(context: click.Context, shell: str) -> None:
    """Print the script."""
    kind = get_completion_class(shell)
    assert kind is not None
    root = context.find_root()
    click.echo(kind(root.command, {}, "tpctl", "_TPCTL_COMPLETE").source())
