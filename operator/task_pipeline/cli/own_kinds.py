"""The job kinds that this installation knows, for the list of kinds without a server."""

from task_pipeline.cli.backend import Object
from task_pipeline.kinds.registry import KINDS


def kinds() -> list[Object]:
    """Every kind with its versions and the JSON Schema of their params, in alphabetical order."""
    return [
        {
            "name": name,
            "versions": [
                {"version": version, "params": model.model_json_schema(by_alias=True)}
                for version, model in kind.versions.items()
            ],
        }
        for name, kind in sorted(KINDS.items())
    ]
