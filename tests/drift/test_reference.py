"""The generated reference says what the code does, no more."""

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
