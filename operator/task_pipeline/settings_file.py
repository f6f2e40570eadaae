"""The YAML file with settings: where it is, what is in it, and what is wrong with it.

Rule: the file is small, local and regular, so that reading it never hangs, and only a mapping of names to values is
taken. A file that was named and is not there is a fault, never an empty file.
"""

from pathlib import Path
from typing import Any

import yaml

LARGEST = 65_536  # bytes; the parser is slow, and it runs in the event loop


class WrongFile(Exception):
    """The file cannot be used; the text names it and says why."""


def content(path: Path) -> bytes:
    """What is in the file. Raises WrongFile if it is missing, unreadable, too large or not a file."""
    try:
        if path.exists() and not path.is_file():
            raise WrongFile(f"{path}: not a regular file; name a YAML file")
        with path.open("rb") as file:
            found = file.read(LARGEST + 1)
    except OSError as error:
        raise WrongFile(f"{path}: {(error.strerror or str(error)).lower()}; put a readable YAML file there") from error
    if len(found) > LARGEST:
        raise WrongFile(f"{path}: larger than {LARGEST} bytes")
    return found


def values(path: Path) -> dict[str, Any]:
    """The settings in the file by name, unchecked. Raises WrongFile if that cannot be told."""
    try:
        found = yaml.safe_load(content(path))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise WrongFile(f"{path}: not YAML: {_where(error)}") from error
    if found is None:
        return {}
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found):
        raise WrongFile(f"{path}: must be lines of `name: value`, such as `queue_size: 100`")
    return found


def _where(error: Exception) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        return f"line {mark.line + 1}, column {mark.column + 1}: {error.problem}"
    return str(error).splitlines()[0] if str(error) else type(error).__name__
