"""YAML for people: expressions stand as blocks."""

from typing import Any

import yaml


class _Readable(yaml.SafeDumper):
    """Writes expressions as blocks, since quotes inside quotes cannot be read."""

    def represent_str(self, data: str) -> yaml.ScalarNode:
        return self.represent_scalar("tag:yaml.org,2002:str", data, "|" if "'" in data or "\n" in data else None)


_Readable.add_representer(str, _Readable.represent_str)


def readable(*documents: Any) -> str:
    """The documents as YAML, `---` between them, keys in the order they have."""
    return yaml.dump_all(documents, Dumper=_Readable, sort_keys=False, allow_unicode=True, width=110)
