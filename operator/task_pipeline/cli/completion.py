"""Completion of names from the cluster, and the protocol by which kubectl asks a plugin for candidates.

kubectl runs `kubectl_complete-taskpipeline WORDS...`; it prints one candidate a line and `:4` at the end, which means
that files are no candidates (https://kubernetes.io/docs/reference/kubectl/, the directives are those of cobra).
"""

import asyncio
import os
import sys
from collections.abc import Sequence

import click
from click.shell_completion import CompletionItem, ShellComplete

from task_pipeline.cli.backend import Backend, ListQuery
from task_pipeline.cli.session import LATEST, session_of

SECONDS = 2.0  # nobody waits longer for a key press
MOST = 200
NO_FILES = ":4"


def names(context: click.Context, incomplete: str) -> list[CompletionItem]:
    """Names of Pipelines that begin so; none when the cluster does not answer at once."""
    session = session_of(context)

    async def ask() -> list[str]:
        async with asyncio.timeout(SECONDS):
            backend = await session.opener(session.target, session.environ)
            try:
                return await _listed(backend, session.namespace(backend), incomplete)
            finally:
                await backend.close()

    try:
        found = asyncio.run(ask())
    except Exception:  # whatever it is, completion is no place to say so
        return []
    return [CompletionItem(name) for name in found]


async def _listed(backend: Backend, namespace: str, incomplete: str) -> list[str]:
    found = [LATEST] if LATEST.startswith(incomplete) else []
    async for page in backend.summaries(ListQuery(namespace)):
        found += [one.name for one in page if one.name.startswith(incomplete)]
        if len(found) >= MOST:
            break
    return found


def candidates(program: click.Command, words: Sequence[str]) -> list[str]:
    """What may stand for the last of `words`, the first of which follow the program's name."""
    *before, incomplete = words or [""]
    complete = ShellComplete(program, {}, "tpctl", "_TPCTL_COMPLETE")
    return [item.value for item in complete.get_completions(list(before), incomplete) if item.type == "plain"]


def main() -> None:
    """The console script `kubectl_complete-taskpipeline`."""
    from task_pipeline.cli.program import program

    os.environ.setdefault("NO_COLOR", "1")
    for candidate in candidates(program, sys.argv[1:]):
        click.echo(candidate)
    click.echo(NO_FILES)
