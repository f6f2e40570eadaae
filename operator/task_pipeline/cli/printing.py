"""Objects as JSON, YAML or names, in the forms that kubectl has."""

import json
import re
from collections.abc import Sequence
from typing import Any

from task_pipeline.cli.backend import Object
from task_pipeline.cli.screen import Screen

# What kubectl would take for a number or a truth value although PyYAML writes it without quotes.
_AMBIGUOUS = re.compile(r"[-+.]?[0-9][0-9_.eExXoOa-fA-F+:-]*|[yYnN]")


def print_object(screen: Screen, thing: Any, form: str) -> None:
    """One object."""
    screen.block(as_yaml(thing) if form == "yaml" else as_json(thing))


def print_list(screen: Screen, things: Sequence[Object], form: str) -> None:
    """Several objects, as a List that `kubectl apply` takes."""
    print_object(screen, {"apiVersion": "v1", "kind": "List", "items": list(things)}, form)


def as_json(thing: Any) -> str:
    """Indented JSON."""
    return json.dumps(thing, indent=2, ensure_ascii=False)


def as_yaml(thing: Any) -> str:
    """YAML in the order of the object; texts of several lines as blocks."""
    import yaml

    class Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
        """Writes no aliases, and texts of several lines as blocks."""

        def ignore_aliases(self, data: Any) -> bool:
            return True

    def text(dumper: Any, value: str) -> Any:
        style = "|" if "\n" in value else "'" if _AMBIGUOUS.fullmatch(value) else None
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)

    Dumper.add_representer(str, text)
    return yaml.dump(thing, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=100)


def name_of(thing: Object) -> str:
    """`pipeline.taskpipeline.dev/NAME`, as kubectl prints names."""
    return f"pipeline.taskpipeline.dev/{thing['metadata']['name']}"
