"""Alerts fire when they should and are silent when they should be: judged by promtool, on made-up series."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from task_pipeline.entrypoints.chart import alerts_text
from task_pipeline.observability.alerts import ALERTS

PROMTOOL = os.environ.get("TASK_PIPELINE_PROMTOOL") or shutil.which("promtool")
WHERE = 'namespace="tp"'
A, B = f'{WHERE},pod="a"', f'{WHERE},pod="b"'

pytestmark = pytest.mark.skipif(PROMTOOL is None, reason="there is no promtool; TASK_PIPELINE_PROMTOOL names one")

HEALTHY = {
    f"task_pipeline_leader{{{A}}}": "1x180",
    f"task_pipeline_leader{{{B}}}": "0x180",
    f"task_pipeline_slots_drift{{{A}}}": "0x180",
    f'task_pipeline_jobs_waiting{{{A},client="c",reason="Queued"}}': "5x180",
    f'task_pipeline_jobs_running{{{A},client="c"}}': "10x180",
    f"task_pipeline_running_limit{{{A}}}": "100x180",
    f"task_pipeline_launch_latency_seconds_count{{{A}}}": "0+60x180",
    f'task_pipeline_launch_latency_seconds_bucket{{{A},le="0.1"}}': "0+60x180",
    f'task_pipeline_launch_latency_seconds_bucket{{{A},le="10.0"}}': "0+60x180",
    f'task_pipeline_launch_latency_seconds_bucket{{{A},le="+Inf"}}': "0+60x180",
    f"task_pipeline_queue_enqueued{{{A}}}": "10x180",
    f"task_pipeline_queue_size{{{A}}}": "1000x180",
    f'task_pipeline_oldest_wait_seconds{{{A},client="c"}}': "60x180",
    f'task_pipeline_pipelines_finished_total{{{A},client="c",outcome="Succeeded"}}': "0+1x180",
    f'task_pipeline_pipelines_finished_total{{{A},client="c",outcome="Failed"}}': "0x180",
    f'task_pipeline_retries_total{{{A},reason="Lost"}}': "0x180",
    f'task_pipeline_api_requests_total{{{A},verb="patch",resource="pods",code="200"}}': "0+100x180",
    f'task_pipeline_api_requests_total{{{A},verb="patch",resource="pods",code="503"}}': "0x180",
    f'task_pipeline_stream_age_seconds{{{B},kind="pods"}}': "30x180",
    f"task_pipeline_streams{{{A}}}": "9x180",
    f"task_pipeline_relists_total{{{A}}}": "0x180",
    f'task_pipeline_server_requests_total{{{A},route="/x",method="GET",code="200"}}': "0+60x180",
    f'task_pipeline_server_requests_total{{{A},route="/x",method="GET",code="500"}}': "0x180",
}
# What is counted begins with 0 (see test_history.py), so a first burst is an increase.
FAULTS: dict[str, dict[str, str | None]] = {
    "TaskPipelineDown": {f"task_pipeline_leader{{{A}}}": None, f"task_pipeline_leader{{{B}}}": None},
    "TaskPipelineNoLeader": {f"task_pipeline_leader{{{A}}}": "0x180"},
    "TaskPipelineTwoLeaders": {f"task_pipeline_leader{{{B}}}": "1x180"},
    "TaskPipelineSlotsDrift": {f"task_pipeline_slots_drift{{{A}}}": "0x20 2x160"},
    "TaskPipelineNoProgress": {f"task_pipeline_launch_latency_seconds_count{{{A}}}": "7x180"},
    "TaskPipelineQueueNearlyFull": {f"task_pipeline_queue_enqueued{{{A}}}": "950x180"},
    "TaskPipelineWaitsLong": {f'task_pipeline_oldest_wait_seconds{{{A},client="c"}}': "21700+60x180"},
    "TaskPipelineFailures": {
        f'task_pipeline_pipelines_finished_total{{{A},client="c",outcome="Failed"}}': "0x100 90x80"
    },
    "TaskPipelineInfrastructure": {f'task_pipeline_retries_total{{{A},reason="Lost"}}': "0x110 25x70"},
    "TaskPipelineLaunchesSlow": {f'task_pipeline_launch_latency_seconds_bucket{{{A},le="0.1"}}': "0x180"},
    "TaskPipelineApiErrors": {
        f'task_pipeline_api_requests_total{{{A},verb="patch",resource="pods",code="503"}}': "0+50x180"
    },
    "TaskPipelineWatchStale": {f'task_pipeline_stream_age_seconds{{{B},kind="pods"}}': "0+60x180"},
    "TaskPipelineRelists": {f"task_pipeline_relists_total{{{A}}}": "0+1x180"},
    "TaskPipelineServerErrors": {
        f'task_pipeline_server_requests_total{{{A},route="/x",method="GET",code="500"}}': "0+6x180"
    },
}
QUIET: dict[str, dict[str, str | None]] = {
    "nothing is unusual": {},
    "all slots are in use": {
        f"task_pipeline_launch_latency_seconds_count{{{A}}}": "7x180",
        f'task_pipeline_jobs_running{{{A},client="c"}}': "100x180",
    },
    "nothing waits for its turn": {
        f"task_pipeline_launch_latency_seconds_count{{{A}}}": "7x180",
        f'task_pipeline_jobs_waiting{{{A},client="c",reason="Queued"}}': None,
    },
    "the queue is closed": {f"task_pipeline_queue_size{{{A}}}": "0x180"},
    "the queue has no limit": {f"task_pipeline_queue_size{{{A}}}": None},
    "a few of many fail": {f'task_pipeline_pipelines_finished_total{{{A},client="c",outcome="Failed"}}': "0x100 1x80"},
    "the API server has restarted, and each of many namespaces is watched by itself": {
        f"task_pipeline_streams{{{A}}}": "90x180",
        f"task_pipeline_relists_total{{{A}}}": "0x100 180x80",
    },
    "a handover": {
        f"task_pipeline_leader{{{A}}}": "1x90 0x90",
        f"task_pipeline_leader{{{B}}}": "0x91 1x89",
    },
}


def judged(folder: Path, change: dict[str, str | None], firing: str | None) -> str:
    """What promtool has against it that, after two hours, exactly `firing` fires; empty when nothing."""
    (folder / "alerts.yaml").write_text(alerts_text())
    series = {**HEALTHY, **change}
    inputs = [{"series": name, "values": values} for name, values in series.items() if values is not None]
    document = yaml.safe_load(alerts_text())
    (group,) = document["groups"]
    checks = [
        {"expr": f'count(ALERTS{{alertname="{rule["alert"]}",alertstate="firing"}}) or vector(0)', "eval_time": "2h",
         "exp_samples": [{"labels": "{}", "value": int(rule["alert"] == firing)}]}
        for rule in group["rules"]
    ]  # fmt: skip
    test = {"rule_files": ["alerts.yaml"], "evaluation_interval": "1m",
            "tests": [{"interval": "1m", "input_series": inputs, "promql_expr_test": checks}]}  # fmt: skip
    (folder / "test.yaml").write_text(yaml.safe_dump(test))
    done = subprocess.run(
        [str(PROMTOOL), "test", "rules", str(folder / "test.yaml")],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return "" if done.returncode == 0 else done.stdout + done.stderr


def test_every_alert_has_its_case() -> None:
    assert set(FAULTS) == {alert.name for alert in ALERTS}


@pytest.mark.parametrize("alert", FAULTS)
def test_an_alert_fires_for_its_fault_and_no_other_does(alert: str, tmp_path: Path) -> None:
    assert judged(tmp_path, FAULTS[alert], alert) == ""


@pytest.mark.parametrize("case", QUIET)
def test_nothing_fires_when_all_is_as_it_should_be(case: str, tmp_path: Path) -> None:
    assert judged(tmp_path, QUIET[case], None) == ""
