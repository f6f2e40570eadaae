"""GET /kinds: the job kinds of this server with the schemas of their params."""

from task_pipeline.server.answers import Kind, KindList, KindVersion
from task_pipeline.server.call import Call, Reply


async def list_kinds(call: Call) -> Reply:
    """Every kind and version, in alphabetical order."""
    items = [
        Kind(
            name=name,
            versions=[
                KindVersion(version=version, params=model.model_json_schema(by_alias=True))
                for version, model in kind.versions.items()
            ],
        )
        for name, kind in sorted(call.services.kinds.items())
    ]
    return Reply(body=KindList(items=items))
