"""`convert`: manifests from files of the first version, which had other names and no head."""

import click

from task_pipeline.cli import files, options
from task_pipeline.cli.converting import NotConvertible, convert
from task_pipeline.cli.failures import Code, Failure
from task_pipeline.cli.printing import as_yaml, print_object
from task_pipeline.cli.session import session_of

HELP = """Print manifests made from Pipelines in YAML or JSON without apiVersion, with the names of the first version.

`client_id`, `retry_attempt` and the like become `clientId`, `retryAttempt`; head and metadata are added. What is a
manifest already only gets the new names. Comments are not kept. `-` is standard input.
"""


@click.command("convert", cls=options.Verb, help=HELP, short_help="Make manifests from files of the first version.")
@click.argument("names", metavar="FILE...", nargs=-1, required=True, type=click.Path(allow_dash=True))
@click.option("--name", help="metadata.name where the file has none.")
@click.option("-o", "--output", "form", type=click.Choice(["yaml", "json"]), default="yaml", show_default=True)
@click.pass_context
def command(context: click.Context, names: tuple[str, ...], name: str | None, form: str) -> None:
    """Convert all documents, or none."""
    screen = session_of(context).screen
    documents, wrong = files.documents(names)
    made = []
    for document in documents:
        for path, message in document.faults:
            line, column = document.place(path)
            wrong.append(f"{document.source}:{line}:{column}: {path}: {message}")
        try:
            made.append(convert(document.content, name))
        except NotConvertible as error:
            line, column = document.at
            wrong.append(f"{document.source}:{line}:{column}: {error}")
    for one in wrong:
        screen.note(one)
    if wrong or not made:
        raise Failure("nothing was converted", Code.FAILED)
    if form == "json":
        for one_made in made:
            print_object(screen, one_made, "json")
    else:
        screen.block("---\n".join(as_yaml(thing) for thing in made))
