"""`kinds`: which job kinds there are, and the params of one."""

from collections.abc import Mapping, Sequence
from typing import Any

import click

from task_pipeline.cli import options
from task_pipeline.cli.failures import Code, Failure
from task_pipeline.cli.printing import print_object
from task_pipeline.cli.screen import Screen
from task_pipeline.cli.session import session_of

HELP = """List the job kinds, or the params of one KIND such as Shell or K8S/Job.

With --server those of the server, else those of this installation.
"""


@click.command("kinds", cls=options.Verb, help=HELP, short_help="List the job kinds and their params.")
@click.argument("kind", metavar="[KIND]", required=False)
@options.output("table", "json", "yaml", "name")
@click.pass_context
def command(context: click.Context, kind: str | None, form: str, no_headers: bool) -> None:
    """List kinds, or params."""
    session = session_of(context)
    if session.target.server is None:
        from task_pipeline.cli.own_kinds import kinds  # needs pydantic

        found: Sequence[Mapping[str, Any]] = kinds()
    else:
        found = session.run(lambda backend: backend.kinds())
    if kind is not None:
        chosen = [one for one in found if one["name"].lower() == kind.lower()]
        if not chosen:
            known = ", ".join(one["name"] for one in found)
            raise Failure(f"there is no job kind {kind}; there are {known}", Code.NOT_FOUND)
        found = chosen
    if form in ("json", "yaml"):
        print_object(session.screen, {"items": list(found)}, form)
    elif form == "name":
        for one in found:
            session.screen.line(one["name"])
    elif kind is not None:
        _params(session.screen, found[0], headers=not no_headers)
    else:
        rows = [
            (one["name"], version["version"], _first(version["params"].get("description", "")))
            for one in found
            for version in one["versions"]
        ]
        session.screen.table(("KIND", "VERSION", "WHAT IT IS"), rows, headers=not no_headers)


def _params(screen: Screen, kind: Mapping[str, Any], *, headers: bool) -> None:
    for version in kind["versions"]:
        schema = version["params"]
        screen.line(f"{kind['name']} {version['version']}: {_first(schema.get('description', ''))}")
        required = set(schema.get("required", ()))
        rows = [
            (name, _type(field), "yes" if name in required else "no", field.get("description", ""))
            for name, field in schema.get("properties", {}).items()
        ]
        screen.table(("PARAM", "TYPE", "REQUIRED", "MEANING"), rows, headers=headers)


def _type(field: Mapping[str, Any]) -> str:
    """The type of a param in a word or two."""
    if "anyOf" in field:
        words = [_type(branch) for branch in field["anyOf"] if branch.get("type") != "null"]
        return " or ".join(dict.fromkeys(words))
    if "$ref" in field:
        return str(field["$ref"]).rsplit("/", 1)[-1]
    if "enum" in field:
        return "|".join(str(value) for value in field["enum"])
    names = {"array": "list", "object": "map", "string": "text"}
    kind = str(field.get("type", "any"))
    return names.get(kind, kind)


def _first(text: str) -> str:
    return text.strip().split("\n\n", 1)[0].replace("\n", " ")
