"""docs/gitops.md: its health check is the one that the tests judge by, and its warning stands where it must."""

import re
from pathlib import Path
from typing import Any

import lupa
import pytest
import yaml

from task_pipeline.core.conditions import TABLE
from tests.gitops import argo

PAGE = (Path(__file__).parents[2] / "docs" / "gitops.md").read_text()
BLOCKS = [yaml.safe_load(block) for block in re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)]
CHECK = "resource.customizations.health.taskpipeline.dev_Pipeline"


def pipeline(row: dict[str, str], *, generation: int = 1, observed: int | None = 1) -> dict[str, Any]:
    found = [{"type": kind, "status": status} for kind, status in row.items()]
    status: dict[str, Any] = {"conditions": found, "reason": "Because"}
    if observed is not None:
        status["observedGeneration"] = observed
    return {"metadata": {"generation": generation}, "status": status}


SITUATIONS = {name: pipeline(dict(row)) for name, row in TABLE.items()} | {
    "not seen": pipeline({}, observed=-1),
    "edited": pipeline(dict(TABLE["DONE"]), generation=2),
    "without a status": {"metadata": {"generation": 1}},
}
HEALTH = {
    "READY": "Progressing",
    "IN PROGRESS": "Progressing",
    "suspended": "Suspended",
    "DONE": "Healthy",
    "ERROR": "Degraded",
    "CANCELLED": "Degraded",
    "invalid": "Degraded",
    "not seen": "Progressing",
    "edited": "Progressing",
    "without a status": "Progressing",
}


@pytest.mark.parametrize("name", SITUATIONS)
def test_the_rule_of_the_tests_knows_every_row_of_the_table_of_conditions(name: str) -> None:
    assert argo(SITUATIONS[name]) == HEALTH[name]


@pytest.mark.parametrize("name", SITUATIONS)
def test_the_health_check_for_argo_cd_says_the_same(name: str) -> None:
    (script,) = (block["data"][CHECK] for block in BLOCKS if "data" in block)
    lua = lupa.LuaRuntime(unpack_returned_tuples=True)
    check = lua.eval("function(obj) " + script + " end")
    answer = check(lua.table_from(SITUATIONS[name], recursive=True))
    assert answer["status"] == HEALTH[name]
    assert isinstance(answer["message"], str)


def test_b056_the_page_warns_of_the_loop() -> None:
    warning = PAGE[PAGE.index("## Never with Git: `ttlPolicy: Delete`") :]
    assert "**it runs again, for ever**" in warning
