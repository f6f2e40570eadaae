"""Names, order of blocks, requests per job, and the tables: what the benchmark makes of what it has."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.bench import calibration, contenders, counting, page, plan, processes, report
from tests.bench.calibration import Calibration
from tests.bench.contenders.base import Submitter, Work, place

PROGRAMS = ("ARGO", "TEKTON", "KUEUE")
NAMED = {f"BENCH_{name}_{what}": __file__ for name in PROGRAMS for what in ("BIN", "MANIFESTS")}
TAKES_PART = {"ours-shell": ("W1", "W2", "W6"), "raw-pods": ("W1", "W2")}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("w2-17-s3-j4-0a1b2c3d4e5f-1", ("w2-17", 3, 4)),
        ("w2-17-s3-j4", ("w2-17", 3, 4)),
        ("w4-urgent-1-s0-j0-abcde", ("w4-urgent-1", 0, 0)),
        ("w2-17", None),
        ("w2-17-s3-j4x", None),
        ("coredns-abcde", None),
    ],
)
def test_names_tell_whose_a_pod_is(name: str, expected: object) -> None:
    assert place(name) == expected


@pytest.mark.parametrize("name", contenders.NAMES)
def test_every_contender_names_its_work(name: str) -> None:
    contender = contenders.make(name, NAMED)
    manifests = contender.manifests(Work("w2-7", 2, 3))
    names = [manifest["metadata"]["name"] for manifest in manifests]
    assert len(names) == len(set(names))
    assert all(one == "w2-7" or (place(one) or ("",))[0] == "w2-7" for one in names)


def test_whoever_is_not_named_is_skipped_with_a_line() -> None:
    found, skipped = contenders.present(("ours-shell", "argo"), {})
    assert list(found) == ["ours-shell"]
    assert skipped == ["argo: skipped, BENCH_ARGO_BIN is not set"]


def test_a_program_that_is_not_there_is_skipped() -> None:
    _, skipped = contenders.present(("argo",), {"BENCH_ARGO_BIN": "/nowhere/argo"})
    assert skipped == ["argo: skipped, BENCH_ARGO_BIN names nothing that exists"]


def test_the_submitter_goes_before_the_own_priority() -> None:
    works = [Work("a", submitter=Submitter("x", 2), priority=1), Work("b", submitter=Submitter("y", 1), priority=9)]
    assert [work.name for work in sorted(works, key=lambda work: work.rank)] == ["b", "a"]


def test_every_second_round_goes_backwards() -> None:
    blocks = plan.blocks(["W1"], TAKES_PART, plan.QUICK, 1.0, 3)
    order = [block.contender for block in blocks]
    assert order == ["ours-shell", "raw-pods", "raw-pods", "ours-shell", "ours-shell", "raw-pods"]


def test_counting_runs_are_runs_of_their_own() -> None:
    blocks = plan.blocks(["W2"], TAKES_PART, plan.QUICK, 1.0, 1)
    assert [(block.contender, block.size, block.counting) for block in blocks] == [
        ("ours-shell", 2000, False),
        ("raw-pods", 2000, False),
        ("ours-shell", 200, True),
        ("raw-pods", 200, True),
    ]


def test_scale_keeps_the_least_that_means_anything() -> None:
    assert plan.size("W2", plan.FULL, 1.0) == 10_000
    assert plan.size("W2", plan.QUICK, 0.1) == 200
    assert plan.size("W2", plan.QUICK, 0.001) == 40


def event(user: str, verb: str, resource: str, code: int = 200) -> dict[str, Any]:
    """A line of the audit log."""
    name, _, sub = resource.partition("/")
    return {
        "stage": "ResponseComplete",
        "user": {"username": user},
        "verb": verb,
        "objectRef": {"resource": name, "subresource": sub} if sub else {"resource": name},
        "responseStatus": {"code": code},
    }


def test_requests_are_counted_by_user(tmp_path: Path) -> None:
    events = [
        event("contender", "create", "pods"),
        event("contender", "patch", "pipelinejobs/status"),
        event("contender", "patch", "pipelinejobs/status", 409),
        event("contender", "get", "pods"),
        event("contender", "watch", "pods"),
        event("system:kube-scheduler", "create", "pods/binding", 201),
    ]
    log = tmp_path / "audit.log"
    before = json.dumps(event("contender", "create", "pods")) + "\n"
    log.write_text(before + "".join(json.dumps(one) + "\n" for one in events) + '{"stage": "Respo')
    found = counting.figures(counting.requests(log, len(before)), 2, ["contender"])
    assert found["writes_per_job"] == 1.0
    assert found["failed_writes_per_job"] == 0.5
    assert found["reads_per_job"] == 0.5
    assert found["cluster_writes_per_job"] == 1.5
    assert found["of_which"] == {"create pods": 0.5, "patch pipelinejobs/status": 0.5}
    assert found["by_user"] == {"contender": 1.0, "kube-scheduler": 0.5}


def test_a_block_is_marked_beyond_a_tenth() -> None:
    before = Calibration(1000.0, 500.0, 40.0)
    assert calibration.marks(before, Calibration(1090.0, 455.0, 43.9)) == []
    assert calibration.marks(before, Calibration(880.0, 500.0, 80.0)) == [
        "C0 ConfigMap POST drifted 12%",
        "probe drifted 100%",
    ]


def test_a_busy_machine_is_read_without_idle_and_waiting() -> None:
    ticks = processes.busy_of("cpu  100 20 30 999 888 4 5 6 77 0")
    assert ticks == pytest.approx((100 + 20 + 30 + 4 + 5 + 6) / processes.TICKS)


def block(contender: str, number: int, rate: float, marks: list[str]) -> dict[str, Any]:
    """A block of W2 in a result."""
    c0 = {"config_map_posts": 1000.0 + number, "status_patches": 500.0, "probe_ms": 40.0}
    return {
        "workload": "W2",
        "contender": contender,
        "size": 2000,
        "round": number,
        "counting": False,
        "audited": False,
        "contender_is": {"settings": "as shipped"},
        "calibration": {"before": c0, "after": c0},
        "marks": marks,
        "figures": {"jobs_per_second": rate},
        "usage": {"peak_megabytes": {contender: 64.0}},
    }


def document() -> dict[str, Any]:
    """A result with three rounds of two contenders."""
    rates = {"ours-shell": (60.0, 80.0, 66.0), "raw-pods": (100.0, 100.0, 110.0)}
    blocks = [block(name, number, rate, []) for name, own in rates.items() for number, rate in enumerate(own)]
    blocks[1]["marks"] = ["probe drifted 20%"]
    environment = {
        "date": "2031-01-31T12:00:00+00:00",
        "commit": "0123456789abcdef",
        "changed_since": [],
        "load_average": [0.1, 0.2, 0.3],
        "processor": "Model",
        "processors": 2,
        "memory_gib": 23.0,
        "kernel": "6.18",
        "python": "3.11.7",
        "kubernetes": "1.37.2",
        "libraries": {"kopf": "1.45.2"},
        "cluster": "in memory",
    }
    return {
        "environment": environment,
        "flags": {"form": "quick"},
        "skipped": ["argo: skipped"],
        "blocks": blocks,
        "failed": [],
    }


def test_tables_have_medians_with_their_ends() -> None:
    text = report.markdown([document()])
    assert "| ours-shell | 3 | 66.0 (60.0-80.0) | - |" in text
    assert "ours-shell / raw-pods, round by round: 0.60 (0.60-0.80)." in text
    assert "- W2 ours-shell round 2: probe drifted 20%" in text
    assert "- argo: skipped" in text
    assert "- ours-shell in W2: {settings: as shipped}" in text


def test_a_block_that_failed_is_told() -> None:
    failed = {"workload": "W3", "contender": "argo", "round": 1, "counting": False, "error": "TimeoutError: "}
    text = report.markdown([document() | {"failed": [failed]}])
    assert "- W3 argo round 2 failed: TimeoutError" in text


def test_nothing_measured_is_still_a_page() -> None:
    assert "C0" in report.markdown([document() | {"blocks": []}])


def test_the_page_keeps_what_is_written_by_hand(tmp_path: Path) -> None:
    target = tmp_path / "benchmarks.md"
    target.write_text(f"before\n{page.BEGIN}\nold\n{page.END}\nafter\n")
    page.write([document()], target)
    text = target.read_text()
    assert text.startswith(f"before\n{page.BEGIN}\n")
    assert text.endswith(f"{page.END}\nafter\n")
    assert "old" not in text
    assert "ours-shell" in text


def test_a_page_without_marks_is_refused(tmp_path: Path) -> None:
    target = tmp_path / "benchmarks.md"
    target.write_text("nothing\n")
    with pytest.raises(ValueError, match="has no"):
        page.write([document()], target)


def test_the_committed_page_has_its_marks() -> None:
    text = page.PAGE.read_text()
    assert text.index(page.BEGIN) < text.index(page.END)
