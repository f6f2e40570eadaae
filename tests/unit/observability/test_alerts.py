"""Alerts and dashboard: read by a parser of PromQL, and every name in them is one that the programs tell."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from task_pipeline.entrypoints.chart import alerts_text, dashboard_text
from task_pipeline.observability.alerts import ALERTS, rule_file
from task_pipeline.observability.dashboard import WIDTH, dashboard
from tests.metric_names import OF_TARGETS, grouped, parsed, queries, selectors, series

PROCESS = {"process_resident_memory_bytes": set[str](), "process_cpu_seconds_total": set[str]()}
KNOWN = series() | PROCESS
PROMTOOL = os.environ.get("TASK_PIPELINE_PROMTOOL") or shutil.which("promtool")


@pytest.mark.parametrize(("place", "expr"), list(queries()))
def test_every_query_reads_series_and_labels_that_exist(place: str, expr: str) -> None:
    tree = parsed(expr)
    used = list(selectors(tree))
    assert used, place
    for name, labels in used:
        assert name in KNOWN, f"{place}: nobody tells {name}"
        assert labels <= KNOWN[name] | OF_TARGETS, f"{place}: {name} has no {labels - KNOWN[name]}"
    for by, names in grouped(tree):
        for name in names:
            assert by <= KNOWN[name] | OF_TARGETS, f"{place}: {name} has no {by - KNOWN[name]}"


def test_a_query_that_names_what_nobody_tells_is_found() -> None:
    names = [
        name for name, _ in selectors(parsed('sum(rate(task_pipeline_nope_total{namespace="$namespace"}[5m])) > 1'))
    ]
    assert names == ["task_pipeline_nope_total"]
    assert names[0] not in KNOWN
    with pytest.raises(ValueError, match="unclosed"):
        parsed("sum by (task_pipeline_jobs > 1")


def test_alerts_are_whole() -> None:
    assert len({alert.name for alert in ALERTS}) == len(ALERTS)
    for alert in ALERTS:
        assert re.fullmatch(r"TaskPipeline[A-Z]\w+", alert.name)
        assert re.fullmatch(r"[1-9]\d*[mh]", alert.for_)
        assert alert.severity in ("critical", "warning", "info")
        assert len(alert.remedy) > 40
        for label in re.findall(r"\$labels\.(\w+)", alert.summary):
            assert any(label in by for by, _ in grouped(parsed(alert.expr))), f"{alert.name} has no {label}"
        assert alert.summary.count("{{") == alert.summary.count("}}")


def test_the_files_of_the_chart_say_the_same() -> None:
    assert yaml.safe_load(alerts_text()) == rule_file()
    assert json.loads(dashboard_text()) == dashboard()


def test_panels_do_not_overlap_and_have_words() -> None:
    cells: set[tuple[int, int]] = set()
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= WIDTH
        own = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not own & cells, panel["title"]
        cells |= own
        if panel["type"] != "row":
            assert panel["targets"]
            assert panel["description"] or "process_" in panel["targets"][0]["expr"]


@pytest.mark.skipif(PROMTOOL is None, reason="there is no promtool; TASK_PIPELINE_PROMTOOL names one")
def test_promtool_takes_the_rules(tmp_path: Path) -> None:
    file = tmp_path / "alerts.yaml"
    file.write_text(alerts_text())
    done = subprocess.run(
        [str(PROMTOOL), "check", "rules", str(file)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(ALERTS)} rules found" in done.stdout
