"""The catalogue follows the rules of Prometheus and holds what the design demands; programs tell exactly that."""

import re

import pytest

from task_pipeline.observability.catalog import CATALOG, LABELS, PREFIX, Program, Sort, told_by
from task_pipeline.observability.meters import Meters
from task_pipeline.runner.counting import counting as runner_counting
from task_pipeline.server.counting import counting as server_counting
from tests.scrape import Scrape

DEMANDED = """
pipelines{state} pipelines_finished_total{client,outcome} pipeline_duration_seconds jobs{state}
jobs_running{client} jobs_waiting{client,reason} queue_wait_seconds{client} oldest_wait_seconds{client}
client_limit{client} queue_size slots_drift job_attempts_total{kind,outcome} retries_total{reason}
launch_latency_seconds reconcile_duration_seconds{kind} workqueue_depth api_requests_total{verb,resource,code}
stream_age_seconds{kind} relists_total ghosts_total leader build_info
"""
TOO_MANY = {"pipeline", "job", "pod", "namespace", "uid", "name", "instance"}


def test_the_catalogue_holds_what_is_demanded() -> None:
    told = {metric.name: metric for metric in CATALOG}
    for entry in DEMANDED.split():
        name, _, labels = entry.rstrip("}").partition("{")
        assert PREFIX + name in told, name
        if name != "build_info":
            assert told[PREFIX + name].labels == tuple(filter(None, labels.split(","))), name


def test_names_and_labels_follow_the_rules() -> None:
    assert len({metric.name for metric in CATALOG}) == len(CATALOG)
    for metric in CATALOG:
        assert re.fullmatch(r"task_pipeline_[a-z][a-z_]*[a-z]", metric.name)
        assert metric.name.endswith("_total") is (metric.sort is Sort.COUNTER)
        if metric.unit == "seconds":
            assert metric.name.endswith("_seconds"), metric.name
        assert metric.meaning.endswith(".")
        assert "|" not in metric.meaning
        assert not TOO_MANY & set(metric.labels), metric.name
        assert bool(metric.buckets) is (metric.sort is Sort.HISTOGRAM)
        assert list(metric.buckets) == sorted(set(metric.buckets))
        assert len(metric.buckets) <= 12


def test_every_label_is_explained_and_used() -> None:
    assert {label for metric in CATALOG for label in metric.labels} == set(LABELS)


@pytest.mark.parametrize("program", [Program.SERVER, Program.RUNNER])
def test_a_program_registers_what_it_tells(program: Program) -> None:
    meters = Meters()
    if program is Program.SERVER:
        server_counting(meters)
    else:
        runner_counting(meters)
    own = {metric.name for metric in told_by(program) if metric.of != (Program.OPERATOR, Program.SERVER)}
    types = Scrape.of(meters.registry).types
    told = {name if kind != "counter" else f"{name}_total" for name, kind in types.items() if name.startswith(PREFIX)}
    assert told == own


def test_a_process_says_what_it_is_and_how_large() -> None:
    found = Scrape.of(Meters().registry)
    assert len(found.values("build_info")) == 1
    assert "process_resident_memory_bytes" in found.names
    assert not [name for name in found.names if name.endswith("_created")]
