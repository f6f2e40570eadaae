"""The reference pages that are made from models: docs/settings.md and docs/reference/kinds.md.

Rule: pure text builders over JSON schemas; generate.py writes the files. Only what the package itself brings is
listed, so that a kind installed beside it changes no file of the checkout.
"""

import re
from collections.abc import Mapping
from typing import Any

from task_pipeline.api.pages import page, table_row
from task_pipeline.core.workload import JobKind
from task_pipeline.kinds.registry import BUILT_IN
from task_pipeline.settings import AT_ONCE, CONFIG, Settings, is_live, variables

Schema = Mapping[str, Any]


def settings_page() -> str:
    """docs/settings.md: every setting with its variable, values, default, meaning and when a change applies."""
    properties = Settings.model_json_schema()["properties"]
    body = [
        "A setting is a flag, an environment variable, or a line of a YAML file: `TASK_PIPELINE_QUEUE_SIZE` in the",
        "table is also the flag `--queue-size` and the line `queue_size: 1000`, and so are the others. The variable",
        f"`{CONFIG}` names the file. A flag beats a variable, a variable beats the file. Where the table",
        "has two variables, the last one wins.",
        "",
        "At the start, a wrong setting stops the operator with exit code 2 and a line for each fault. Flags and",
        "variables are read at the start, the file also whenever it changes. The table says which settings then apply",
        "at once; the others wait for the next start. See [how to change them](operations.md#change-settings).",
        "",
        "A limit of 0 is closed, a negative one is refused, `unlimited` is no limit. Lists are names with commas",
        "between, such as `team-a,team-b`, or JSON; in the file also YAML lists.",
        "",
        "| Variable | Values | Default | A change applies | Meaning |",
        "|---|---|---|---|---|",
    ]
    for name, field in Settings.model_fields.items():
        schema = {**properties[name], "$defs": Settings.model_json_schema().get("$defs", {})}
        names = ", ".join(f"`{variable}`" for variable in variables(name))
        applies = AT_ONCE if is_live(field) else "at the next start"
        body.append(table_row(names, _values(schema), _default(field.get_default()), applies, field.description or ""))
    return page("Settings", "task_pipeline.settings", body)


def kinds_page() -> str:
    """docs/reference/kinds.md: the params of every job kind and version, and the API rights of the kind."""
    body = [
        "Fields and types of `params`, by kind and version. [Job kinds](../kinds.md) explains them with examples.",
        'Unknown fields are refused, and no value is converted: `"5"` is not a number.',
    ]
    shapes: dict[str, Schema] = {}
    for kind in BUILT_IN:
        for version, model in kind.versions.items():
            schema = model.model_json_schema(by_alias=True)
            shapes |= schema.get("$defs", {})
            body += ["", f"## {kind.name} {version}", "", str(schema["description"]), "", *_fields(schema)]
        body += ["", *_rights(kind)]
    body += ["", "## Shapes", "", "Objects that stand inside params."]
    for name in sorted(shapes):
        body += ["", f"### {name}", "", str(shapes[name]["description"]), "", *_fields(shapes[name])]
    return page("Params of the job kinds", "the models in task_pipeline.kinds", body)


def _default(value: Any) -> str:
    if value is None or value == ():
        return "none"
    return f"`{value:g}`" if isinstance(value, float) and value < 1e6 else f"`{value}`"


def _fields(schema: Schema) -> list[str]:
    required = set(schema.get("required", ()))
    lines = ["| Field | Type | Default | Meaning |", "|---|---|---|---|"]
    for name, field in schema["properties"].items():
        default = field.get("default")
        shown = "required" if name in required else "absent" if default is None else f"`{_plain(default)}`"
        lines.append(table_row(f"`{name}`", _values(field), shown, field.get("description", "")))
    return lines


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _values(schema: Schema) -> str:
    """What may be given, in words."""
    if "$ref" in schema:
        return _reference(schema)
    if "anyOf" in schema:
        words = [_values(branch) for branch in schema["anyOf"] if branch.get("type") != "null"]
        return " or ".join(dict.fromkeys(words))
    if "enum" in schema:
        return ", ".join(f"`{value}`" if value != "" else '`""`' for value in schema["enum"])
    match schema["type"]:
        case "array":
            return f"list of {_values(schema['items'])}"
        case "object":
            inner = next(iter(schema.get("patternProperties", {}).values()), schema.get("additionalProperties"))
            return f"map of {_values(inner)}" if isinstance(inner, Mapping) else "object"
        case "string":
            choices = re.fullmatch(r"\^\(([A-Z|]+)\)\$", schema.get("pattern", ""))
            return ", ".join(f"`{word}`" for word in choices[1].split("|")) if choices else "text"
        case other:
            return f"{other}{_bounds(schema)}"


def _reference(schema: Schema) -> str:
    name = str(schema["$ref"]).rsplit("/", 1)[1]
    target = schema.get("$defs", {}).get(name, {})
    return _values(target) if "enum" in target else f"[{name}](#{name.lower()})"


def _bounds(schema: Schema) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    if "exclusiveMinimum" in schema:
        return f" above {schema['exclusiveMinimum']}" + (f", to {high}" if high is not None else "")
    if low is None and high is None:
        return ""
    if high is None or high >= 2**31 - 1:
        return f" from {low}"
    return f" {low} to {high}"


def _rights(kind: JobKind) -> list[str]:
    """The API rights that the operator needs for the kind, in the namespaces it watches."""
    if not kind.rights:
        return [f"The operator needs no further API rights for {kind.name}: it launches nothing in the cluster."]
    lines = [f"API rights that the operator needs for {kind.name}:", "", "| Resource | Verbs |", "|---|---|"]
    for right in kind.rights:
        group = right.resource.group or "core"
        lines.append(table_row(f"`{right.resource.plural}` ({group})", ", ".join(right.verbs)))
    return lines
