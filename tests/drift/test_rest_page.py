"""docs/rest.md names every request of the table, and every reason that the server gives."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from task_pipeline.server import logs
from task_pipeline.server.health import Readiness
from task_pipeline.server.order import Orders
from task_pipeline.server.streams import Streams
from task_pipeline.server.table import PIPELINES, routes

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "rest.md").read_text(encoding="utf-8")
SERVER = ROOT / "operator" / "task_pipeline" / "server"
REFUSING = ("problem", "ProblemError", "_check", "invalid")
WORDS = {"name": "NAME", "job": "JOB", "id": "ID"}
OWN = (
    "app",
    "actions",
    "objects",
    "pipelines",
    "problem",
    "reading",
    "room",
    "submit",
    "jobs",
    "health",
    "logs",
    "streams",
    "order",
)


async def test_every_request_stands_on_the_page() -> None:
    orders = Orders(cast(Any, None)).routes
    for route in (*routes(Readiness()), *orders, *Streams().routes, *logs.routes):
        inside = route.path.removeprefix(PIPELINES)
        shown = re.sub(r"{(\w+)}", lambda found: WORDS[found[1]], inside) or "/"
        wanted = f"`{route.method} {shown}`" if inside != route.path else shown
        assert wanted in PAGE, f"{route.method} {route.path}"


def test_every_reason_stands_on_the_page() -> None:
    reasons = {reason for name in OWN for reason in _reasons(SERVER / f"{name}.py")}
    assert len(reasons) > 15
    assert {reason for reason in reasons if f"`{reason}`" not in PAGE} <= {"InvalidForm"}


def _reasons(path: Path) -> Iterator[str]:
    """The reasons that the calls in one module give a refusal: words in CamelCase among their arguments."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in REFUSING:
            for given in (*node.args, *(keyword.value for keyword in node.keywords)):
                if isinstance(given, ast.Constant) and re.fullmatch(r"[A-Z][a-z]+[A-Za-z]*", str(given.value)):
                    yield str(given.value)
