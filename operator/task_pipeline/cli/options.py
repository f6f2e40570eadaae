"""Options that several commands share: where to go, how to print, what to do after a start."""

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import click

from task_pipeline.cli.ages import seconds
from task_pipeline.cli.session import OPERATOR_NAMESPACE, REQUEST_SECONDS, session_of

F = TypeVar("F", bound=Callable[..., Any])


class Duration(click.ParamType[int]):
    """`90`, `90s`, `10m`, `1h30m`; in seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The seconds; fails for what is no duration."""
        if isinstance(value, int):
            return value
        found = seconds(str(value))
        if found is None:
            self.fail(f"{value!r} is no duration; give 90s, 10m, 1h30m", param, ctx)
        return found


DURATION = Duration()


class ObjectName(click.ParamType[str]):
    """The name of an object, perhaps after its kind and a slash; refused where no object can be called so."""

    name = "name"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The text as it is; fails for one that a server would take for a step of its path."""
        if str(value).rpartition("/")[2] in ("", ".", ".."):
            self.fail(f"{value!r} is no name of an object", param, ctx)
        return str(value)


OBJECT_NAME = ObjectName()


class NamespaceName(click.ParamType[str]):
    """The name of a namespace, a DNS label: it becomes a step of a path."""

    name = "namespace"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The text as it is; fails for what no namespace can be called."""
        if not re.fullmatch(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?", str(value)):
            text = "is no name of a namespace: lower case letters, digits and -, at most 63"
            self.fail(f"{value!r} {text}", param, ctx)
        return str(value)


NAMESPACE_NAME = NamespaceName()


def _keep(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    if value is not None:
        session_of(context).given[str(parameter.name)] = value


def _global(*names: str, **settings: Any) -> click.Option:
    return click.Option(names, expose_value=False, callback=_keep, **settings)


def target_options() -> list[click.Option]:
    """The options about the cluster; `tpctl` itself takes them as well as each command does."""
    return [
        _global(
            "-n",
            "--namespace",
            metavar="NAME",
            type=NAMESPACE_NAME,
            help="Namespace; that of the context if absent.",
        ),
        _global("--context", metavar="NAME", help="Context of the kubeconfig."),
        _global(
            "--kubeconfig",
            metavar="FILE",
            type=click.Path(path_type=Path),
            help="Instead of KUBECONFIG, ~/.kube/config.",
        ),
        _global("--server", metavar="URL", envvar="TPCTL_SERVER", help="Use the REST API at this address."),
        _global(
            "--request-timeout",
            metavar="TIME",
            type=DURATION,
            help=f"How long an answer may take. [default: {REQUEST_SECONDS}s]",
        ),
        _global(
            "--operator-namespace",
            metavar="NAME",
            type=NAMESPACE_NAME,
            envvar="TASK_PIPELINE_OPERATOR_NAMESPACE",
            help=f"Where the clients are. [default: {OPERATOR_NAMESPACE}]",
        ),
    ]


class Verb(click.Command):
    """A command that takes the options about the cluster, too."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.params += target_options()


def output(*formats: str, default: str = "table") -> Callable[[F], F]:
    """-o, and --no-headers where there are tables."""

    def add(command: F) -> F:
        if default == "table":
            command = click.option("--no-headers", is_flag=True, help="No line of titles.")(command)
        return click.option(
            "-o",
            "--output",
            "form",
            type=click.Choice(formats or ("table", "wide", "json", "yaml", "name")),
            default=default,
            show_default=True,
            help="How to print.",
        )(command)

    return add


def afterwards(command: F) -> F:
    """--watch, --wait, --logs and --timeout: what to do after a run was started."""
    for option in reversed(
        [
            click.option("--watch", "follow", flag_value="watch", help="Show how the run goes, until its end."),
            click.option("--wait", "follow", flag_value="wait", help="Wait in silence for the end of the run."),
            click.option("--logs", "follow", flag_value="logs", help="Print the logs of all jobs, until the end."),
            click.option("--timeout", type=DURATION, metavar="TIME", help="Follow no longer; then exit code 124."),
        ]
    ):
        command = option(command)
    return command


def name_argument(*, many: bool = False) -> Callable[[F], F]:
    """The NAME of a Pipeline, completed from the cluster."""

    def complete(context: click.Context, parameter: click.Parameter, incomplete: str) -> Iterable[Any]:
        from task_pipeline.cli.completion import names

        return names(context, incomplete)

    if many:
        return click.argument(
            "names", metavar="NAME...", nargs=-1, required=True, type=OBJECT_NAME, shell_complete=complete
        )
    return click.argument("name", metavar="NAME", type=OBJECT_NAME, shell_complete=complete)
