"""The generated reference says what the code does, no more."""

from pydantic import BaseModel

from task_pipeline.api.pipeline import JobSpec, PipelineSpec, PipelineStatus
from task_pipeline.api.pipelineclient import PipelineClientSpec
from task_pipeline.api.pipelinejob import PipelineJobSpec, PipelineJobStatus
from task_pipeline.entrypoints.fields import fields_page
from task_pipeline.entrypoints.reference import kinds_page, settings_page
from task_pipeline.kinds.registry import BUILT_IN
from task_pipeline.settings import Settings


def test_every_setting_has_a_row_with_its_variable() -> None:
    rows = [line for line in settings_page().splitlines() if line.startswith("| `")]
    assert len(rows) == len(Settings.model_fields)
    assert any(row.startswith("| `TASK_PIPELINE_QUEUE_SIZE`, `QUEUE_SIZE` | integer from 0 | `1000` |") for row in rows)


def test_every_param_of_every_kind_has_a_row() -> None:
    page = kinds_page()
    for kind in BUILT_IN:
        for version, model in kind.versions.items():
            section = page.split(f"## {kind.name} {version}\n")[1].split("\n## ")[0]
            for name, field in model.model_fields.items():
                assert f"\n| `{field.alias or name}` |" in section


def test_every_field_of_every_object_has_a_row_with_its_meaning() -> None:
    page = fields_page()
    parts: dict[str, list[tuple[str, type[BaseModel]]]] = {
        "Pipeline spec": [("", PipelineSpec), ("jobs[].", JobSpec)],
        "Pipeline status": [("", PipelineStatus)],
        "PipelineJob spec": [("", PipelineJobSpec)],
        "PipelineJob status": [("", PipelineJobStatus)],
        "PipelineClient spec": [("", PipelineClientSpec)],
    }
    for heading, models in parts.items():
        section = page.split(f"### {heading}\n")[1].split("\n#")[0]
        rows = {line.split("`")[1]: line for line in section.splitlines() if line.startswith("| `")}
        for prefix, model in models:
            for name, field in model.model_json_schema(by_alias=True)["properties"].items():
                assert field["description"] in rows[prefix + name].replace("\\|", "|")
