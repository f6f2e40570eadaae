"""Files that commands are given: `-` is standard input, a directory stands for the manifests in it."""

import sys
from pathlib import Path

from task_pipeline.cli.documents import Document, Unreadable, read
from task_pipeline.cli.failures import Code, Failure

SUFFIXES = (".yaml", ".yml", ".json")
STDIN = "-"


def documents(names: tuple[str, ...]) -> tuple[list[Document], list[str]]:
    """All documents of the files, and what could not be read. Raises Failure for a file that is not there."""
    found: list[Document] = []
    wrong: list[str] = []
    for source, raw in _contents(names):
        try:
            found += read(source, raw)
        except Unreadable as error:
            wrong.append(str(error))
    return found, wrong


def _contents(names: tuple[str, ...]) -> list[tuple[str, bytes]]:
    contents = []
    for name in names:
        try:
            if name == STDIN:
                contents.append(("<stdin>", sys.stdin.buffer.read()))
            elif Path(name).is_dir():
                inside = sorted(one for one in Path(name).iterdir() if one.suffix in SUFFIXES and one.is_file())
                if not inside:
                    raise Failure(f"{name} holds no {', '.join(SUFFIXES)} file", Code.USAGE)
                contents += [(str(one), one.read_bytes()) for one in inside]
            else:
                contents.append((name, Path(name).read_bytes()))
        except OSError as error:
            raise Failure(f"{name} cannot be read: {error.strerror or error}", Code.USAGE) from error
    return contents


def is_terminal_input(names: tuple[str, ...]) -> bool:
    """Whether the user is expected to type a manifest, which deserves a hint."""
    return STDIN in names and sys.stdin.isatty()
