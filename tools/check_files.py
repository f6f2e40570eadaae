"""Checks files before a commit: YAML and TOML can be read, nothing is large, no private key is among them.

Called by pre-commit with the names of the files; needs only the virtual environment of the checkout. Exit code 1 and
one line for each fault.
"""

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import yaml

MAX_BYTES = 512 * 1024
PRIVATE_KEY = re.compile(rb"-----BEGIN [A-Z ]*" + rb"PRIVATE KEY-----")


def faults(path: Path) -> Iterator[str]:
    """What is wrong with the file, each with the way out."""
    if path.is_symlink() or not path.is_file():
        return
    content = path.read_bytes()
    if len(content) > MAX_BYTES:
        yield f"has {len(content)} bytes, at most {MAX_BYTES} belong into the repository"
    if PRIVATE_KEY.search(content):
        yield "holds a private key: take it out, and replace that key wherever it is used"
    try:
        if path.suffix in (".yaml", ".yml") and "templates" not in path.parts:  # those of a chart are no YAML yet
            list(yaml.compose_all(content, Loader=yaml.SafeLoader))
        elif path.suffix == ".toml":
            tomllib.loads(content.decode())
    except (yaml.YAMLError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        yield f"cannot be read: {error}"


def main(names: list[str]) -> int:
    """Print the faults of all files; 1 if there is any."""
    found = [f"{name}: {fault}" for name in names for fault in faults(Path(name))]
    print("\n".join(found), end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
